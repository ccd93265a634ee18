"""The weight files of a model: model.safetensors, or shards and the index that names them."""

import re

from lmzoo.hub.files.folders import check_file
from lmzoo.hub.files.safetensors import read_header
from lmzoo.hub.files.sentence_transformers import read_projection_header
from lmzoo.json_files import read_json

__all__ = [
    *("INDEX", "WEIGHTS", "find_files", "find_weights", "make_index", "plan_shards"),
    *("parse_shard_size", "read_shards", "read_weight_map"),
]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# As for a header, some 5,000 tensors fit.
_MAX_INDEX_BYTES = 2**19
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors")
# Other formats of weights. None is opened; they are only named in an error.
_OTHER_FORMATS = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".hdf5", ".keras", ".msgpack"}
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,12})?) ?([KMGT]B)")


def find_weights(folder):
    """Reads the headers of a folder's weights, those of a Dense module among them.

    Args:
        folder: pathlib.Path. If it holds both model.safetensors and shards, the single file counts,
            as in transformers.
    Returns:
        The pair (path of the file or of the index, dict of name -> TensorInfo).
    Raises:
        FileNotFoundError: if there are none, or a shard is missing.
        ValueError: if a file is broken or a link leads out of the folder, or if the index and its
            shards do not name the same tensors.
    """
    for name, read in ((WEIGHTS, read_header), (INDEX, read_shards)):
        check_file(folder, name)
        path = folder / name
        if path.is_file():
            return path, {**read(path), **read_projection_header(folder)}
    raise FileNotFoundError(
        f"`source` must hold {WEIGHTS}, or {INDEX} and its shards. Received: "
        f"source={str(folder)!r}{_name_other_format(folder)}."
    )


def _name_other_format(folder):
    found = folder.iterdir() if folder.is_dir() else ()
    names = sorted(path.name for path in found if path.suffix in _OTHER_FORMATS)
    if not names:
        return ""
    return (
        f", which has {names[0]!r:.80}. Pickles, HDF5 and the like are never opened, for most can "
        "run code; open it where you trust it and save it as safetensors, as `save_pretrained` of "
        "transformers does"
    )


def find_files(folder):
    """Lists the paths of a folder's weight files; empty if one is missing.

    Raises:
        ValueError: if its shard index is broken.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    paths = [folder / name for name in sorted(set(read_weight_map(folder / INDEX).values()))]
    return paths if all(path.is_file() for path in paths) else []


def _read_shard(path):
    check_file(path.parent, path.name)
    if not path.is_file():
        raise FileNotFoundError(
            f"{INDEX} must name shards that exist. Received: {str(path.parent / INDEX)!r}, whose "
            f"{path.name!r} is missing. Fetch it, or the whole folder, again."
        )
    return read_header(path)


def read_shards(index, read=_read_shard):
    """Reads the headers of all shards of an index.

    Args:
        index: pathlib.Path.
        read: callable (path). Returns the header of a shard.
    Returns:
        dict of name -> TensorInfo.
    Raises:
        FileNotFoundError: if a shard is missing.
        ValueError: if a file is broken, or index and shards do not name the same tensors.
    """
    shards = {}
    for name, file in read_weight_map(index).items():
        shards.setdefault(file, set()).add(name)
    found = {}
    for file, names in shards.items():
        header = read(index.parent / file)
        # The names in the index are distinct, so no tensor is in two shards either.
        if header.keys() != names:
            _raise_mismatch(index, file, names, header.keys())
        found |= header
    return found


def read_weight_map(index):
    """Reads a shard index.

    Args:
        index: pathlib.Path.
    Returns:
        dict of tensor name -> name of its file.
    Raises:
        ValueError: if it is too large, not JSON, or names other files than .safetensors beside it.
    """
    files = read_json(index, _MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(files, dict):
        raise ValueError(
            f"`weight_map` must be an object. Received: {files!r:.80} in {str(index)!r}."
        )
    for file in files.values():
        if not isinstance(file, str) or not _SHARD_NAME.fullmatch(file):
            raise ValueError(
                "`weight_map` must name .safetensors files beside it by their plain names. "
                f"Received: {file!r:.80} in {str(index)!r}."
            )
    return files


def _raise_mismatch(index, file, wanted, found):
    missing, extra = (sorted(some - other) for some, other in ((wanted, found), (found, wanted)))
    raise ValueError(
        f"{str(index.parent / file)!r} must hold the tensors that {index.name} says. Missing: "
        f"{', '.join(map('{!r:.80}'.format, missing[:3])) or 'none'}; not expected: "
        f"{', '.join(map('{!r:.80}'.format, extra[:3])) or 'none'}."
    )


def parse_shard_size(shard_size):
    """Converts `shard_size` to bytes.

    Args:
        shard_size: int, in bytes, or str such as "500MB" or "1.5GB", in powers of 1000.
    Returns:
        int.
    Raises:
        TypeError: if it is neither int nor str.
        ValueError: if it is not positive, or a str of another form.
    """
    if type(shard_size) not in (int, str):
        raise TypeError(
            "`shard_size` must be an int or a str. Received: "
            f"shard_size={shard_size!r:.80} of type {type(shard_size).__name__}."
        )
    found = _SIZE.fullmatch(shard_size.upper()) if isinstance(shard_size, str) else None
    size = int(float(found[1]) * _UNITS[found[2]]) if found else shard_size
    if not isinstance(size, int) or size < 1:
        raise ValueError(
            "`shard_size` must be a positive number of bytes, or a text such as '500MB' or '5GB'. "
            f"Received: shard_size={shard_size!r:.80}."
        )
    return size


def plan_shards(sizes, limit):
    """Distributes tensors over shards in their order.

    Args:
        sizes: dict of tensor name -> size in bytes.
        limit: int. Most bytes of a shard. A larger tensor has a shard to itself.
    Returns:
        dict of file name -> list of tensor names. A single shard is named model.safetensors.
    """
    shards, room = [], -1
    for name, size in sizes.items():
        if size > room:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= size
    if len(shards) < 2:
        return {WEIGHTS: list(sizes)}
    count = len(shards)
    return {
        f"model-{number:05}-of-{count:05}.safetensors": names
        for number, names in enumerate(shards, 1)
    }


def make_index(sizes, files):
    """Content of the shard index for the result of `plan_shards`, as dict."""
    weight_map = {name: file for file, names in files.items() for name in names}
    return {
        "metadata": {"total_size": sum(sizes.values())},
        "weight_map": dict(sorted(weight_map.items())),
    }
