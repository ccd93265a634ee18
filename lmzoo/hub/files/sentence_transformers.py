"""The files in which sentence-transformers says how tokens' vectors become a text's."""

from typing import NamedTuple

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_size
from lmzoo.json_files import read_json, write_json

__all__ = ["Embedding", "check_lower_case", "read_embedding", "write_embedding"]

_MODULES, _LENGTHS = "modules.json", "sentence_bert_config.json"
# How old files mark each way of pooling, one flag a way; new files name it.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
_UNKNOWN_FLAGS = (
    *("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"),
    "pooling_mode_lasttoken",
)
_LONGEST = 2**24
# Kind of a module, which is the last part of its class's name -> the folder it is written to.
_FOLDERS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}


class Embedding(NamedTuple):
    """What a folder of sentence-transformers adds to a backbone.

    pooling: "mean", "cls" or "max".
    normalize: bool.
    sequence_length: int or None. The longest text that was trained on.
    width: int or None. The size of the vectors, where the folder says it.
    """

    pooling: str
    normalize: bool
    sequence_length: int | None
    width: int | None

    def fit(self, arguments):
        """The options of a `TextEmbedder` on a backbone with these arguments.

        Raises:
            ValueError: if the backbone's vectors have another size.
        """
        if self.width not in (None, arguments["hidden_dim"]):
            raise ValueError(
                "`word_embedding_dimension` must be the backbone's size, "
                f"{arguments['hidden_dim']}. Received: {self.width}."
            )
        options = {"pooling": self.pooling, "normalize": self.normalize}
        longest = arguments["max_sequence_length"]
        if self.sequence_length is not None and self.sequence_length < longest:
            options["sequence_length"] = self.sequence_length
        return options


def read_embedding(folder):
    """What modules.json and the files it names say, or None if there is no modules.json.

    Only the kinds of modules are read from it: what a class is called is compared with three names
    and never imported, and the paths must be those that sentence-transformers writes.

    Args:
        folder: pathlib.Path.
    Returns:
        Embedding or None.
    Raises:
        ValueError: if a file is broken, or the modules are not a transformer, a pooling in one of
            three ways and, optionally, a normalisation; or if texts get a prompt by default.
    """
    if not (folder / _MODULES).exists():
        return None
    modules = read_json(folder / _MODULES, kind=list)
    paths = {}
    for module in modules:
        kind, path = _read_module(module)
        if kind in paths:
            _refuse_modules(modules)
        paths[kind] = path
    if list(paths) not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        _refuse_modules(modules)
    if paths["Transformer"]:
        raise ValueError(
            "modules.json must have its transformer in the folder itself. Received: "
            f"path={paths['Transformer']!r:.80}. Save it again with sentence-transformers."
        )
    _check_prompts(folder)
    pooling, width = _read_pooling(read_json(folder / paths["Pooling"] / "config.json"))
    return Embedding(pooling, "Normalize" in paths, _read_length(folder), width)


def _read_module(module):
    """A module's kind and path; a kind that is not known is None."""
    kind, path = (module.get(key) if isinstance(module, dict) else None for key in ("type", "path"))
    kind = kind.rpartition(".")[2] if isinstance(kind, str) else None
    allowed = {"Transformer": ("", "0_Transformer")}.get(kind, (_FOLDERS.get(kind),))
    return (kind, path) if kind in _FOLDERS and path in allowed else (None, None)


def _refuse_modules(modules):
    raise ValueError(
        "modules.json must list a Transformer, a Pooling in 1_Pooling and, optionally, a Normalize "
        f"in 2_Normalize. Received: {modules!r:.300}."
    )


def _check_prompts(folder):
    path = folder / "config_sentence_transformers.json"
    name = read_json(path).get("default_prompt_name") if path.exists() else None
    if name is not None:
        raise ValueError(
            "`default_prompt_name` must be null: no prompt is put before the texts here. Received: "
            f"default_prompt_name={name!r:.80}."
        )


def _read_pooling(config):
    """The way of pooling, and the size of the vectors or None."""
    active = [name for name in _UNKNOWN_FLAGS if read_flag(config, name, False)]
    active += [ours for flag, ours in _FLAGS.items() if read_flag(config, flag, False)]
    pooling = config.get("pooling_mode", active[0] if len(active) == 1 else active or "mean")
    if isinstance(pooling, list) and len(pooling) == 1:
        pooling = pooling[0]
    pooling = read_choice({"pooling_mode": pooling}, "pooling_mode", None, _FLAGS.values())
    widths = (
        read_size(config, name, None, _LONGEST, optional=True)
        for name in ("word_embedding_dimension", "embedding_dimension")
    )
    return pooling, next((width for width in widths if width is not None), None)


def _read_length(folder):
    """The longest text in tokens; newer files say it of the tokenizer."""
    for name, key in (
        (_LENGTHS, "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        found = read_json(folder / name) if (folder / name).exists() else {}
        length = found.get(key)
        # Tokenizers without a limit have 10^30 there.
        if type(length) is int and 0 < length <= _LONGEST:
            return length
    return None


def check_lower_case(folder, tokenizer):
    """Refuses a folder in which letters are to become small that its tokenizer leaves as they are.

    Args:
        folder: pathlib.Path.
        tokenizer: of `lmzoo.tokenizers`, or None.
    Raises:
        ValueError: if it is so, or a file is broken.
    """
    path = folder / _LENGTHS
    if not (folder / _MODULES).exists() or not path.exists():
        return
    if read_flag(read_json(path), "do_lower_case", False):
        if not getattr(tokenizer, "lowercase", False):
            raise ValueError(
                f"`do_lower_case` must be false in {_LENGTHS} where the tokenizer leaves capitals, "
                f"for only it makes letters small. Received: do_lower_case=True in {str(folder)!r}."
            )


def write_embedding(folder, task):
    """Writes what `read_embedding` reads, in the form that all releases open.

    Args:
        folder: pathlib.Path.
        task: `lmzoo.tasks.TextEmbedder`.
    """
    kinds = ["Transformer", "Pooling", *(["Normalize"] if task.normalize else [])]
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": _FOLDERS[kind],
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]
    write_json(folder / _MODULES, modules)
    write_json(
        folder / _LENGTHS,
        {
            "max_seq_length": task.sequence_length,
            "do_lower_case": False,
        },
    )
    for kind in kinds[1:]:
        (folder / _FOLDERS[kind]).mkdir()
    pooling = {"word_embedding_dimension": task.backbone.hidden_dim}
    pooling |= {flag: ours == task.pooling for flag, ours in _FLAGS.items()}
    write_json(folder / _FOLDERS["Pooling"] / "config.json", pooling)
