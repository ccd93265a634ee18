"""Which files of a model's folder are opened: known names, regular files, no links leading out."""

import stat

from lmzoo.hub.files import model_card, sentence_transformers

__all__ = ["FILES", "check_file", "check_folder"]

# Every file that lmzoo opens in a model's folder, but for the weights.
FILES = (
    *("config.json", "generation_config.json", *model_card.FILES),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *(
        "chat_template.jinja",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "spiece.model",
        "tokenizer.model",
    ),
    *sentence_transformers.FILES,
)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def check_folder(folder):
    """Checks each file that lmzoo opens by its name; shards are checked when their index is read.

    Args:
        folder: pathlib.Path. Files that it does not hold are passed over.
    Raises:
        ValueError: as `check_file`.
    """
    for name in (*FILES, *_WEIGHTS):
        check_file(folder, name)


def check_file(folder, name):
    """Raises an error unless a file is regular and lies inside the folder.

    Symbolic links are followed inside the folder, and from a snapshot in the Hugging Face cache to
    the cache's blobs.

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
        _refuse(path, "is not a regular file")
    root = folder.resolve()
    if not any(real.is_relative_to(place) for place in (root, *_find_blobs(root))):
        _refuse(path, f"leads to {str(real)!r}")


def _find_blobs(root):
    """The blob folders of the Hugging Face cache, if a folder is or lies in a snapshot there."""
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
