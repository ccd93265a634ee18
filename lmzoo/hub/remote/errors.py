"""Errors of huggingface_hub as Python's own kinds, in one line with a remedy."""

import contextlib

__all__ = ["make_offline_error", "make_no_weights_error", "translate_errors"]


@contextlib.contextmanager
def translate_errors(received):
    """Context manager: translates what huggingface_hub raises in the block.

    Args:
        received: str. What the caller passed, for the message.
    Raises:
        FileNotFoundError, PermissionError, ConnectionError, OSError: as `find_folder`.
    """
    try:
        yield
    # The HTTP library below raises classes that differ from version to version.
    except Exception as error:
        raise _translate(error, received) from error


def _translate(error, received):
    """The error to raise instead of one of huggingface_hub."""
    from huggingface_hub import constants, errors

    # The error that the library wraps says what went wrong.
    first = error.__cause__ or error
    said = f"{type(first).__name__}: {' '.join(str(first).split())}"[:300]
    if isinstance(error, errors.GatedRepoError):
        return PermissionError(
            f"`source` must be a model that you may read. Received: {received}, which is gated. "
            "Accept its terms on its page and set HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return FileNotFoundError(
            f"`source` must be a model on the hub. Received: {received}, which is not there or is "
            "private. Check the spelling, and set HF_TOKEN for a private one."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return FileNotFoundError(
            f"`revision` must be a branch, a tag or a commit of the model. Received: {received}."
        )
    if isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
        if constants.HF_HUB_OFFLINE:
            return make_offline_error(received)
        return ConnectionError(
            "`source` must be in the cache, whole, where the hub is not reached. Received: "
            f"{received} ({said}). Check the network, or HF_ENDPOINT if you have set it."
        )
    if isinstance(error, errors.EntryNotFoundError):
        return FileNotFoundError(
            "`source` must have the files that the hub lists for it. Received: "
            f"{received} ({said}). Try again, or pass another `revision`."
        )
    if isinstance(error, OSError) and error.errno is not None:
        # A full disk or a read-only cache: the system's message says so.
        return OSError(error.errno, f"{error.strerror}. Received: {received}", error.filename)
    return ConnectionError(
        f"`source` must come whole from the hub. Received: {received} ({said}). Try again: what "
        "has come is kept."
    )


def make_offline_error(received):
    """The error for files that are not in the cache while HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    return FileNotFoundError(
        "`source` must be in the cache, whole, while HF_HUB_OFFLINE is set. Received: "
        f"{received}, in the cache {constants.HF_HUB_CACHE!r}. Unset it to download."
    )


def make_no_weights_error(received):
    """The error for a model on the hub that has no safetensors."""
    return FileNotFoundError(
        "`source` must have its weights as safetensors; pickled ones are never opened, since "
        f"they can run any code. Received: {received}. Pass a `revision` that has them, often "
        "'refs/pr/1', or save it again with transformers."
    )
