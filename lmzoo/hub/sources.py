"""From what a caller names to a folder on this machine, downloaded first where it must be."""

import difflib
import pathlib
import re

from lmzoo import __version__
from lmzoo.hub import cards
from lmzoo.hub.published import ENTRIES

__all__ = ["find_folder"]

_SCHEME = "hf://"
_LONGEST_NAME, _LONGEST_REVISION = 96, 200
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_NAME = re.compile(f"{_PART}/{_PART}")
# A branch, a tag, a commit or "refs/pr/1": it becomes a part of a path in the cache.
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/-]*[A-Za-z0-9_-])?")
# Everything that is read here, and no pickle. A pattern that has no star stays at the top level.
_FILES = (
    *("config.json", "generation_config.json", *cards.FILES),
    *("model.safetensors", "model.safetensors.index.json"),
    f"model-{'[0-9]' * 5}-of-{'[0-9]' * 5}.safetensors",
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    *("modules.json", "1_Pooling/config.json"),
    *("sentence_bert_config.json", "config_sentence_transformers.json"),
)


def find_folder(source, revision=None):
    """The folder of a model: a folder is itself, everything else is downloaded once.

    A folder that has the name of a published model wins over that model. What is on the hub goes
    through huggingface_hub, which keeps it in the cache below `HF_HOME`, asks the hub only for what
    has changed, takes what is in the cache where the hub is not reached, shows a bar on a terminal,
    and obeys `HF_HUB_OFFLINE`, `HF_TOKEN` and `HF_ENDPOINT`. Only files that lmzoo reads are
    fetched, never pickled weights.

    Args:
        source: str or path. A folder, "hf://org/name", or one of `lmzoo.zoo.names()`.
        revision: str or None. A branch, a tag or a commit of a model on the hub; None for its
            newest state. A commit never changes.
    Returns:
        pathlib.Path; for a model on the hub its last part is the commit.
    Raises:
        FileNotFoundError: if there is no such folder, model, revision or file, or none of them in
            the cache while offline, or if the model has no config.json or no safetensors.
        PermissionError: if the model's terms have not been accepted.
        ConnectionError: if the hub is not reached, or a file does not come whole.
        ValueError: if a name is malformed, or `revision` is given for a folder.
        ImportError: if huggingface_hub is not installed.
    """
    name = _find_name(source)
    if name is not None:
        _check_revision(source, revision)
        return _download(name, source, revision)
    if revision is not None:
        raise ValueError(
            "`revision` must be None for a folder, which has no history. Received: "
            f"revision={revision!r:.200}, source={str(source)!r}."
        )
    folder = pathlib.Path(source)
    if not folder.is_dir():
        near = difflib.get_close_matches(str(source), ENTRIES, n=3)
        raise FileNotFoundError(
            f'`source` must be a folder with a config.json, "{_SCHEME}org/name", or one of '
            f"lmzoo.zoo.names(){f', such as {near}' if near else ''}. Received: "
            f"source={str(source)!r}."
        )
    return folder


def _find_name(source):
    """The "org/name" of a model on the hub, or None for a folder."""
    if not isinstance(source, str):
        return None
    if source in ENTRIES and not pathlib.Path(source).is_dir():
        source = ENTRIES[source].source
    if not source.startswith(_SCHEME):
        return None
    name = source.removeprefix(_SCHEME)
    wrong = ".." in name or "--" in name or name.endswith(".git") or len(name) > _LONGEST_NAME
    if wrong or not _NAME.fullmatch(name):
        raise ValueError(
            f'`source` must be "{_SCHEME}org/name" of letters, digits, single dots, dashes and '
            f"underscores, at most {_LONGEST_NAME}. Received: source={source!r:.200}. A branch, a "
            "tag or a commit goes into `revision`."
        )
    return name


def _check_revision(source, revision):
    if revision is None:
        return
    fits = isinstance(revision, str) and len(revision) <= _LONGEST_REVISION
    if not fits or ".." in revision or "//" in revision or not _REVISION.fullmatch(revision):
        raise ValueError(
            "`revision` must name a branch, a tag or a commit. Received: "
            f"revision={revision!r:.200}, source={source!r}."
        )


def _download(name, source, revision):
    received = f"source={source!r}, revision={revision!r}"
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            "A `source` on the hub is downloaded by huggingface_hub, which is not installed. "
            f"Received: {received}. Install it with: pip install 'lmzoo[hub]'."
        ) from error
    try:
        folder = snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(_FILES),
            library_name="lmzoo",
            library_version=__version__,
            tqdm_class=_make_bar_class(),
        )
    # What the HTTP library below raises has another name from one version to the next.
    except Exception as error:
        raise _explain(error, received) from error
    return _check_snapshot(pathlib.Path(folder), received)


def _make_bar_class():
    """The library's own bar, which it would also write into a file of logs."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **options):
            # None is tqdm's word for "unless on a terminal".
            options["disable"] = options.get("disable") or None
            super().__init__(*args, **options)

    return Bar


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
    if isinstance(error, errors.LocalEntryNotFoundError):
        if constants.HF_HUB_OFFLINE:
            return FileNotFoundError(
                "`source` must be in the cache, whole, while HF_HUB_OFFLINE is set. Received: "
                f"{received}, in the cache {constants.HF_HUB_CACHE!r}. Unset it to download."
            )
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


def _check_snapshot(folder, received):
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"`source` must have a config.json. Received: {received}, at {folder.name}."
        )
    if not any(folder.glob("*.safetensors")):
        raise FileNotFoundError(
            "`source` must have its weights as safetensors; pickled ones are never opened, since "
            f"they can run any code. Received: {received}, at {folder.name}. Pass a `revision` "
            "that has them, often 'refs/pr/1', or save it again with transformers."
        )
    return folder
