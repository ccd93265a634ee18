"""Resolving a source, a folder or a model on the hub, to a local folder."""

import contextlib
import difflib
import functools
import pathlib
import re

from lmzoo import __version__
from lmzoo.hub.files.folders import FILES
from lmzoo.hub.files.shards import INDEX, WEIGHTS, find_files, read_weight_map
from lmzoo.hub.published import list_published
from lmzoo.hub.remote.errors import make_no_weights_error, make_offline_error, translate_errors
from lmzoo.hub.remote.headers import fetch_first_bytes
from lmzoo.hub.trained import find_trained, list_trained

__all__ = ["find_folder", "find_name"]

_SCHEME = "hf://"
_LONGEST_NAME, _LONGEST_REVISION = 96, 200
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_NAME = re.compile(f"{_PART}/{_PART}")
# A branch, a tag, a commit or "refs/pr/1". It becomes a part of a path in the cache.
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/-]*[A-Za-z0-9_-])?")


def find_folder(source, revision=None, weights=True):
    """Returns the local folder of a model, and downloads it first if it is on the hub.

    A folder that has the name of a model takes precedence over that model. Trained models come with
    lmzoo; published ones are downloaded by huggingface_hub into its cache below `HF_HOME`. It
    downloads only what has changed, falls back to the cache when the hub cannot be reached, shows a
    progress bar on a terminal, and obeys `HF_HUB_OFFLINE`, `HF_TOKEN` and `HF_ENDPOINT`. Only files
    that lmzoo reads are downloaded, never pickled weights.

    Args:
        source: str or path. A folder, "hf://org/name", or one of `lmzoo.zoo.names()`.
        revision: str or None. A branch, a tag or a commit of a model on the hub; None for its
            newest state. A commit never changes.
        weights: bool. If False, weights that are not in the cache are not downloaded.
    Returns:
        pathlib.Path; for a model on the hub its last part is the commit.
    Raises:
        FileNotFoundError: if the folder, model, revision or file does not exist, or is not in the
            cache while offline, or if the model has no config.json or no safetensors.
        PermissionError: if the model's terms have not been accepted.
        ConnectionError: if the hub cannot be reached or a download is incomplete.
        ValueError: if a name is malformed, `revision` is given for a folder, or an index of shards
            is broken.
        ImportError: if huggingface_hub is not installed.
    """
    name = find_name(source)
    if name is not None:
        _check_revision(source, revision)
        return _download(name, source, revision, weights)
    if revision is not None:
        raise ValueError(
            "`revision` must be None for a folder, which has no history. Received: "
            f"revision={revision!r:.200}, source={str(source)!r}."
        )
    folder = pathlib.Path(source)
    if not folder.is_dir():
        if (trained := find_trained(source)) is not None:
            return trained
        near = difflib.get_close_matches(str(source), [*list_trained(), *list_published()], n=3)
        raise FileNotFoundError(
            f'`source` must be a folder with a config.json, "{_SCHEME}org/name", or one of '
            f"lmzoo.zoo.names(){f', such as {near}' if near else ''}. Received: "
            f"source={str(source)!r}."
        )
    return folder


def find_name(source):
    """Returns the "org/name" of a model on the hub, or None for a folder.

    Args:
        source: str or path, as for `find_folder`.
    Raises:
        ValueError: if it is malformed.
    """
    if not isinstance(source, str):
        return None
    published = list_published()
    if source in published and not pathlib.Path(source).is_dir():
        source = published[source].source
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


def _download(name, source, revision, weights):
    received = f"source={source!r}, revision={revision!r}"
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            "A `source` on the hub is downloaded by huggingface_hub, which is not installed. "
            f"Received: {received}. Install it with: pip install 'lmzoo[hub]'."
        ) from error
    fetch = functools.partial(_fetch, snapshot_download, name)
    folder = fetch(revision, (*FILES, INDEX), received)
    received = f"{received}, at {folder.name}"
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"`source` must have a config.json. Received: {received}.")
    if not weights or find_files(folder):
        return folder
    # By the commit, so that all files belong to one state. One file takes precedence over shards.
    fetch(folder.name, (WEIGHTS,), received)
    if not find_files(folder) and (folder / INDEX).is_file():
        fetch(folder.name, sorted(set(read_weight_map(folder / INDEX).values())), received)
    if not find_files(folder):
        _refuse_missing(name, folder, received)
    return folder


def _fetch(snapshot_download, name, revision, patterns, received):
    """Downloads the files that match the patterns; returns the folder of the snapshot."""
    with translate_errors(received):
        folder = snapshot_download(
            name,
            revision=revision,
            # The library warns if no file matches, and this one always does.
            allow_patterns=["config.json", *patterns],
            library_name="lmzoo",
            library_version=__version__,
            tqdm_class=_make_bar_class(),
        )
    return pathlib.Path(folder)


def _make_bar_class():
    """The library's progress bar, shown on a terminal only: it would be written into logs too."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **options):
            # For tqdm None means: disabled unless on a terminal.
            options["disable"] = options.get("disable") or None
            super().__init__(*args, **options)

    return Bar


def _refuse_missing(name, folder, received):
    """Raises the error that says why there are no weights: offline, unreachable, or none exist."""
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise make_offline_error(received)
    # The library silently falls back to the cache if the hub is unreachable; this request is not.
    with contextlib.suppress(FileNotFoundError), translate_errors(received):
        fetch_first_bytes(name, folder.name, WEIGHTS)
    if (folder / INDEX).is_file():
        raise FileNotFoundError(
            f"`source` must have the files that its {INDEX} names. Received: {received}. Try "
            "again, or pass another `revision`."
        )
    raise make_no_weights_error(received)
