"""The headers of weights that stay on the hub, for whoever only asks what is in them."""

import io
import re

from lmzoo import __version__
from lmzoo.hub.files.safetensors import LARGEST_HEADER, parse_header
from lmzoo.hub.files.shards import INDEX, WEIGHTS, read_shards
from lmzoo.hub.remote.errors import refuse_weightless, tell_errors

__all__ = ["fetch_start", "find_remote_weights"]

# The header of a shard of a few GB fits, and that of a BERT.
_USUAL = 2**16


def find_remote_weights(name, folder, received):
    """What the weights of a model on the hub are: some kilobytes of each file are fetched.

    Args:
        name: str. "org/name".
        folder: pathlib.Path. A snapshot without weights, whose last part is the commit.
        received: str. What the caller has named, for errors.
    Returns:
        The pair (dict of name -> TensorInfo, dict of the name of a file -> its bytes).
    Raises:
        FileNotFoundError, PermissionError, ConnectionError: as `find_folder`.
        ValueError: if a header is broken, or the index and its shards do not name the same tensors.
    """
    from huggingface_hub import errors

    sizes = {}

    def read(path):
        with tell_errors(received):
            start, sizes[path.name] = fetch_start(name, folder.name, path.name)
            wanted = 8 + int.from_bytes(start[:8], "little")
            if len(start) < wanted <= 8 + LARGEST_HEADER:
                start, _ = fetch_start(name, folder.name, path.name, wanted)
        return parse_header(path, io.BytesIO(start), sizes[path.name])

    try:
        return read(folder / WEIGHTS), sizes
    except FileNotFoundError as error:
        if not isinstance(error.__cause__, errors.EntryNotFoundError):
            raise
    if not (folder / INDEX).is_file():
        refuse_weightless(received)
    return read_shards(folder / INDEX, read), sizes


def fetch_start(name, commit, file, count=_USUAL):
    """Fetches the first bytes of a file of weights.

    Args:
        name: str. "org/name".
        commit: str.
        file: str. Its name.
        count: int. How many bytes.
    Returns:
        The pair (bytes, how many bytes the file has in all).
    Raises:
        Exception: whatever huggingface_hub raises, as `tell_errors` tells it.
    """
    from huggingface_hub import constants, errors, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if constants.HF_HUB_OFFLINE:
        raise errors.OfflineModeIsEnabled("the hub may not be asked")
    headers = build_hf_headers(library_name="lmzoo", library_version=__version__)
    headers["Range"] = f"bytes=0-{count - 1}"
    address = hf_hub_url(name, file, revision=commit)
    answer = get_session().get(address, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    hf_raise_for_status(answer)
    total = re.search(r"/(\d{1,15})$", answer.headers.get("Content-Range", ""))
    # A hub that sends it whole sends all of it.
    return answer.content, int(total[1]) if total else len(answer.content)
