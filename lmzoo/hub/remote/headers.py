"""Reading the safetensors headers of a model on the hub without downloading its weights."""

import io
import re

from lmzoo import __version__
from lmzoo.hub.files.safetensors import MAX_HEADER_BYTES, parse_header
from lmzoo.hub.files.shards import INDEX, WEIGHTS, read_shards
from lmzoo.hub.remote.errors import make_no_weights_error, translate_errors

__all__ = ["fetch_first_bytes", "read_remote_headers"]

# The header of a BERT fits, and that of a shard of a few GB.
_FIRST_REQUEST = 2**16


def read_remote_headers(name, folder, received):
    """Reads the headers of all weights by range requests, some kilobytes of each file.

    Args:
        name: str. "org/name".
        folder: pathlib.Path. A snapshot without weights, whose last part is the commit.
        received: str. What the caller passed, for errors.
    Returns:
        The pair (dict of tensor name -> TensorInfo, dict of file name -> its size in bytes).
    Raises:
        FileNotFoundError, PermissionError, ConnectionError: as `find_folder`.
        ValueError: if a header is broken, or the index and its shards do not name the same tensors.
    """
    from huggingface_hub import errors

    sizes = {}

    def read(path):
        with translate_errors(received):
            start, sizes[path.name] = fetch_first_bytes(name, folder.name, path.name)
            wanted = 8 + int.from_bytes(start[:8], "little")
            if len(start) < wanted <= 8 + MAX_HEADER_BYTES:
                start, _ = fetch_first_bytes(name, folder.name, path.name, wanted)
        return parse_header(path, io.BytesIO(start), sizes[path.name])

    try:
        return read(folder / WEIGHTS), sizes
    except FileNotFoundError as error:
        if not isinstance(error.__cause__, errors.EntryNotFoundError):
            raise
    if not (folder / INDEX).is_file():
        raise make_no_weights_error(received)
    return read_shards(folder / INDEX, read), sizes


def fetch_first_bytes(name, commit, file, count=_FIRST_REQUEST):
    """Downloads the first bytes of a file by a range request.

    Args:
        name: str. "org/name".
        commit: str.
        file: str. Its name.
        count: int. How many bytes.
    Returns:
        The pair (bytes, size of the whole file in bytes).
    Raises:
        Exception: any of huggingface_hub's, for `translate_errors`.
    """
    from huggingface_hub import constants, errors, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if constants.HF_HUB_OFFLINE:
        raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    headers = build_hf_headers(library_name="lmzoo", library_version=__version__)
    headers["Range"] = f"bytes=0-{count - 1}"
    address = hf_hub_url(name, file, revision=commit)
    answer = get_session().get(address, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    hf_raise_for_status(answer)
    total = re.search(r"/(\d{1,15})$", answer.headers.get("Content-Range", ""))
    # A server that ignores the range sends the whole file.
    return answer.content, int(total[1]) if total else len(answer.content)
