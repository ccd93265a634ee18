"""What goes wrong with a hub, told in one line with its remedy."""

import contextlib

__all__ = ["make_offline_error", "refuse_weightless", "tell_errors"]


@contextlib.contextmanager
def tell_errors(received):
    """Raises our own error for whatever huggingface_hub raises in the block.

    Args:
        received: str. What the caller has named.
    Raises:
        FileNotFoundError, PermissionError, ConnectionError, OSError: as `find_folder` tells it.
    """
    try:
        yield
    # What the HTTP library below raises has another name from one version to the next.
    except Exception as error:
        raise _explain(error, received) from error


def _explain(error, received):
    """Our own error for one of huggingface_hub, in one line with its remedy."""
    from huggingface_hub import constants, errors

    # What went wrong is said by the error that the library wraps.
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
        # A full disk, or a cache that may not be written: it says so itself.
        return OSError(error.errno, f"{error.strerror}. Received: {received}", error.filename)
    return ConnectionError(
        f"`source` must come whole from the hub. Received: {received} ({said}). Try again: what "
        "has come is kept."
    )


def make_offline_error(received):
    """The error for what is not in the cache while the hub may not be asked."""
    from huggingface_hub import constants

    return FileNotFoundError(
        "`source` must be in the cache, whole, while HF_HUB_OFFLINE is set. Received: "
        f"{received}, in the cache {constants.HF_HUB_CACHE!r}. Unset it to download."
    )


def refuse_weightless(received):
    """Refuses a model on the hub that has no weights which are opened here.

    Raises:
        FileNotFoundError: always.
    """
    raise FileNotFoundError(
        "`source` must have its weights as safetensors; pickled ones are never opened, since "
        f"they can run any code. Received: {received}. Pass a `revision` that has them, often "
        "'refs/pr/1', or save it again with transformers."
    )
