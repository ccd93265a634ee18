"""What a model's folder holds, without reading a weight and without TensorFlow."""

import json
import math

from lmzoo.hub.cards import read_licence
from lmzoo.hub.config_files import check_model_type, read_config
from lmzoo.hub.folders import check_folder
from lmzoo.hub.other_tasks import make_folder_plan
from lmzoo.hub.plans import MODEL_TYPES
from lmzoo.hub.shards import find_weights
from lmzoo.hub.sources import find_folder

__all__ = ["describe"]

# What config.json calls it in one family or another.
_SIZES = {
    "num_layers": ("n_layer", "num_hidden_layers", "num_layers", "n_layers"),
    "num_heads": ("n_head", "num_attention_heads", "num_heads", "n_heads"),
    "hidden_dim": ("n_embd", "hidden_size", "d_model", "dim", "hidden_dim"),
    "intermediate_dim": ("n_inner", "intermediate_size", "d_ff", "intermediate_dim"),
    "vocabulary_size": ("vocab_size", "vocabulary_size"),
    "max_sequence_length": ("n_positions", "max_position_embeddings", "max_sequence_length"),
}
_BYTES_A_PARAMETER = {"float32": 4, "bfloat16": 2, "int8": 1}
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_LARGEST_TOKENIZER = 64 << 20


def describe(source, revision=None):
    """Says what a model holds, from its config and the headers of its weights.

    Args:
        source: str or path. A folder with config.json and its weights in safetensors,
            "hf://org/name", or one of `lmzoo.zoo.names()`, as for `lmzoo.load`.
        revision: str or None, as for `lmzoo.load`.
    Returns:
        dict, as JSON keeps it: `folder`, `model_type` (str or None), `architectures` (list of
        str), `family` ("BERT", "GPT", "T5" or None), `task` (str or None: the class of
        `lmzoo.tasks` that it opens as), `num_labels` (int or None), `problem` (str or None: why its
        config cannot be opened), the sizes (int or None), `num_parameters` (int), `num_tensors`
        (int), `dtypes` (list of str), `memory_bytes` (dict of dtype to int: the weights alone),
        `tokenizer` (dict with `kind` and `vocabulary_size`, or None), `licence` (str or None: what
        its card says), `files` (dict of name to bytes).
    Raises:
        FileNotFoundError: if there is no such model, or it has no config.json or no weights.
        PermissionError, ConnectionError, ImportError: as `lmzoo.hub.find_folder`.
        ValueError: if a file is broken or leads out of the folder.
    """
    folder = find_folder(source, revision)
    check_folder(folder)
    config = read_config(folder)
    tensors = find_weights(folder)[1]
    num_parameters = sum(math.prod(info.shape) for info in tensors.values())
    return {
        "folder": str(folder),
        "model_type": config.get("model_type"),
        "architectures": config.get("architectures") or [],
        **_find_task(folder, config, tensors),
        **_find_sizes(config),
        "num_parameters": num_parameters,
        "num_tensors": len(tensors),
        "dtypes": sorted({_DTYPES.get(info.dtype, info.dtype) for info in tensors.values()}),
        "memory_bytes": {
            dtype: num_parameters * size for dtype, size in _BYTES_A_PARAMETER.items()
        },
        "tokenizer": _describe_tokenizer(folder),
        "licence": read_licence(folder),
        "files": {
            path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()
        },
    }


def _find_task(folder, config, tensors):
    """What the config opens as, or why it does not."""
    try:
        check_model_type(folder, config, MODEL_TYPES)
        plan = make_folder_plan(folder, config, tensors)
    except ValueError as error:
        return {"family": None, "task": None, "num_labels": None, "problem": str(error)}
    family = {"CausalLM": "GPT", "Seq2SeqLM": "T5"}.get(plan.task, "BERT")
    labels = plan.options.get("labels")
    count = plan.options.get("num_targets") if labels is None else len(labels)
    return {"family": family, "task": plan.task, "num_labels": count, "problem": None}


def _find_sizes(config):
    # A backbone that no layout of transformers expresses has its arguments in an object.
    own = config.get("lmzoo_backbone")
    values = {**config, **own} if isinstance(own, dict) else config
    sizes = {}
    for ours, theirs in _SIZES.items():
        found = (values[name] for name in theirs if type(values.get(name)) is int)
        sizes[ours] = next(found, None)
    if values.get("model_type") == "distilbert" and type(values.get("hidden_dim")) is int:
        sizes["intermediate_dim"] = values["hidden_dim"]
    if sizes["intermediate_dim"] is None and values.get("model_type") == "gpt2":
        sizes["intermediate_dim"] = 4 * sizes["hidden_dim"] if sizes["hidden_dim"] else None
    return sizes


def _describe_tokenizer(folder):
    """The kind and the size of the tokenizer in a folder, or None if there is none."""
    if (folder / "tokenizer.json").is_file():
        return _describe_tokenizer_json(_read_object(folder / "tokenizer.json"))
    if (folder / "vocab.json").is_file():
        return {"kind": "BPE", "vocabulary_size": len(_read_object(folder / "vocab.json"))}
    if (folder / "vocab.txt").is_file():
        with open(folder / "vocab.txt", "rb") as file:
            return {"kind": "WordPiece", "vocabulary_size": sum(1 for _ in file)}
    for name in ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"):
        if (folder / name).is_file():
            return {"kind": "SentencePiece", "vocabulary_size": None}
    return None


def _describe_tokenizer_json(content):
    model, added = content.get("model"), content.get("added_tokens")
    model = model if isinstance(model, dict) else {}
    words = model.get("vocab")
    # Unigram has a list of [word, score], the others have a dict.
    known = set(words) if isinstance(words, dict) else set()
    if isinstance(words, list):
        known = {str(entry[0]) for entry in words if isinstance(entry, list) and entry}
    for token in added if isinstance(added, list) else ():
        if isinstance(token, dict):
            known.add(str(token.get("content")))
    return {"kind": str(model.get("type", "unknown")), "vocabulary_size": len(known)}


def _read_object(path):
    size = path.stat().st_size
    if size > _LARGEST_TOKENIZER:
        raise ValueError(
            f"{path.name} must have at most {_LARGEST_TOKENIZER} bytes. "
            f"Received: {str(path)!r} with {size}."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} must hold an object. Received: {type(content).__name__}.")
    return content
