"""Which files of a stranger's folder may be opened: regular ones that lie inside it."""

import stat

from lmzoo.hub.files import cards

__all__ = ["check_file", "check_folder"]

# All that lmzoo opens in a model's folder, but for the shards that an index names.
_NAMES = (
    *("config.json", "generation_config.json", *cards.FILES),
    *("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"),
    "config_sentence_transformers.json",
    *("model.safetensors", "model.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model"),
)


def check_folder(folder):
    """Refuses a folder in which a file that lmzoo knows by its name is not to be opened.

    Args:
        folder: pathlib.Path. What it does not hold is not asked for.
    Raises:
        ValueError: as `check_file`.
    """
    for name in _NAMES:
        check_file(folder, name)


def check_file(folder, name):
    """Refuses a file that is not regular, or to which a link leads out of its folder.

    Links inside the folder are followed, and those by which a snapshot in a cache of Hugging Face
    names blobs.

    Args:
        folder: pathlib.Path.
        name: str. The path below `folder`, of a file that need not exist.
    Raises:
        ValueError: if it is a folder, a device, a pipe or a socket, or a link that leads nowhere,
            to itself, or out of the folder.
    """
    path = folder / name
    try:
        real = path.resolve(strict=True)
        kind = real.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            _refuse(path, "is a link to nothing")
        return
    # Python 3.13 raises an OSError.
    except (RuntimeError, OSError) as error:
        _refuse(path, f"cannot be followed ({error!s:.120})")
    if not stat.S_ISREG(kind):
        _refuse(path, "is no regular file")
    root = folder.resolve()
    if not any(real.is_relative_to(place) for place in (root, *_find_blobs(root))):
        _refuse(path, f"leads to {str(real)!r}")


def _find_blobs(root):
    """The folders of blobs of the snapshot that a folder is or lies in, if it is one."""
    for place in (root, *root.parents):
        model = place.parent.parent
        if place.parent.name == "snapshots" and model.name.startswith("models--"):
            yield model / "blobs"
            # One store for all models, which newer releases fill.
            yield model.parent / "blobs"


def _refuse(path, reason):
    raise ValueError(
        "`source` must hold regular files, and links only to files inside it. Received: "
        f"{str(path)!r}, which {reason}."
    ) from None
