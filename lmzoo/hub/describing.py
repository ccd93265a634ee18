"""What a model's folder holds, without reading a weight and without TensorFlow."""

import math
import warnings

from lmzoo.hub.families import find_family, list_model_types
from lmzoo.hub.families.family import SIZE_KEYS
from lmzoo.hub.families.native import BACKBONE
from lmzoo.hub.files.config import check_model_type, read_config
from lmzoo.hub.files.folders import check_folder
from lmzoo.hub.files.generation_config import read_generation
from lmzoo.hub.files.model_card import read_license
from lmzoo.hub.files.sentence_transformers import read_projection_header
from lmzoo.hub.files.shards import find_files, find_weights
from lmzoo.hub.files.vocabulary_sizes import check_vocabulary_files, count_pieces
from lmzoo.hub.folder_spec import make_folder_spec
from lmzoo.hub.remote.headers import read_remote_headers
from lmzoo.hub.remote.sources import find_folder, find_name
from lmzoo.json_files import MAX_BYTES, read_bytes, read_json

__all__ = ["describe", "find_tensors"]

# The tasks that read generation_config.json.
_GENERATIVE = ("CausalLM", "Seq2SeqLM")
_BYTES_A_PARAMETER = {"float32": 4, "bfloat16": 2, "int8": 1}
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def describe(source, revision=None):
    """Says what a model holds, from its config and the headers of its weights.

    The weights of a model on the hub that are not in the cache stay there.

    Args:
        source: str or path. A folder with config.json and its weights in safetensors,
            "hf://org/name", or one of `lmzoo.zoo.names()`, as for `lmzoo.load`.
        revision: str or None, as for `lmzoo.load`.
    Returns:
        dict, as JSON keeps it: `folder`, `model_type` (str or None), `architectures` (list of
        str), `family` ("BERT", "GPT", "T5" or None), `task` (str or None: the class of
        `lmzoo.tasks` that it opens as), `num_labels` (int or None), `labels` (list of str or None:
        their names), `problem` (str or None: why it cannot be opened), the sizes (int or
        None), `num_parameters` (int: each once, and
        nothing that a model leaves out), `num_tensors` (int: all in the files), `dtypes` (list of
        str), `memory_bytes` (dict of dtype to int: the weights alone), `tokenizer` (dict with
        `kind` and, int or None, `vocabulary_size`; or None), `license` (str or None: what its card
        says), `files` (dict of name to bytes).
    Raises:
        FileNotFoundError: if there is no such model, or it has no config.json or no weights.
        PermissionError, ConnectionError, ImportError: as `lmzoo.hub.find_folder`.
        ValueError: if a file is broken or leads out of the folder.
    """
    folder = find_folder(source, revision, weights=False)
    check_folder(folder)
    config = read_config(folder)
    tensors, remote = find_tensors(folder, source, revision)
    # Words have a row each in some tensor, and a file has the bytes that its tensors claim.
    rows = [info.shape[0] for info in tensors.values() if info.shape and math.prod(info.shape)]
    check_vocabulary_files(folder, max(rows, default=0))
    spec, problem = _try_spec(folder, config, tensors)
    used = list(tensors.values()) if spec is None else _find_used(tensors, spec)
    num_parameters = sum(math.prod(info.shape) for info in used)
    model_type = config.get("model_type")
    return {
        "folder": str(folder),
        "model_type": model_type if isinstance(model_type, str) else None,
        "architectures": _list_names(config.get("architectures")),
        **_describe_task(spec, problem),
        **(_find_sizes(config) if spec is None else _list_sizes(spec.arguments)),
        "num_parameters": num_parameters,
        "num_tensors": len(tensors),
        "dtypes": sorted({_DTYPES.get(info.dtype, info.dtype) for info in used}),
        "memory_bytes": {
            dtype: num_parameters * size for dtype, size in _BYTES_A_PARAMETER.items()
        },
        "tokenizer": _describe_tokenizer(folder),
        "license": read_license(folder),
        "files": dict(sorted((_list_files(folder) | remote).items())),
    }


def find_tensors(folder, source, revision):
    """The headers of the weights, and the sizes of those files that are not in the folder."""
    name = find_name(source)
    if name is None or find_files(folder):
        return find_weights(folder)[1], {}
    received = f"source={source!r}, revision={revision!r}, at {folder.name}"
    headers, sizes = read_remote_headers(name, folder, received)
    return {**headers, **read_projection_header(folder)}, sizes


def _list_files(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def _list_names(value):
    """The strings of what a config has where a list of strings, or one, belongs."""
    values = value if isinstance(value, list) else [value]
    return [name for name in values if isinstance(name, str)]


def _try_spec(folder, config, tensors):
    """What the config opens as, or None and why it does not."""
    try:
        check_model_type(folder, config, list_model_types())
        spec = make_folder_spec(folder, config, tensors)
        if spec.task in _GENERATIVE:
            _check_generation(folder, config, spec)
        return spec, None
    except ValueError as error:
        return None, str(error)


def _check_generation(folder, config, spec):
    """Refuses what `load` refuses of generation_config.json."""
    start, size = spec.options.get("start_token_id"), spec.arguments["vocabulary_size"]
    with warnings.catch_warnings():
        # What is left out is told when the model is loaded.
        warnings.simplefilter("ignore")
        read_generation(folder, size, start_token_id=start, config=config)


def _find_used(tensors, spec):
    """The tensors of the model, each once: neither what is ignored nor what is tied to another."""
    return [
        tensors[name] for name in {place: name for name, place in spec.tensors.items()}.values()
    ]


def _describe_task(spec, problem):
    if spec is None:
        nothing = dict.fromkeys(("family", "task", "num_labels", "labels"))
        return {**nothing, "problem": problem}
    labels = spec.options.get("labels")
    count = spec.options.get("num_targets") if labels is None else len(labels)
    names = None if labels is None else list(labels)
    found = {"family": spec.family.name, "task": spec.task, "num_labels": count, "labels": names}
    return {**found, "problem": None}


def _list_sizes(arguments):
    """The sizes of a backbone by its arguments."""
    sizes = {name: arguments.get(name) for name in SIZE_KEYS}
    # GPT-2 says nothing where it is the usual one.
    return {**sizes, "intermediate_dim": sizes["intermediate_dim"] or 4 * sizes["hidden_dim"]}


def _find_sizes(config):
    """The sizes in a config that is not opened, by the keys of its family where one is known."""
    keys, values, model_type = SIZE_KEYS, config, config.get("model_type")
    if isinstance(model_type, str) and model_type in list_model_types():
        family = find_family(model_type)
        keys = family.size_keys
        values = config.get(BACKBONE) if family.is_native else config
    found = values if isinstance(values, dict) else {}
    return {name: found[key] if type(found.get(key)) is int else None for name, key in keys.items()}


def _describe_tokenizer(folder):
    """The kind and the size of the tokenizer in a folder, or None if there is none."""
    if (folder / "tokenizer.json").is_file():
        return _describe_tokenizer_json(read_json(folder / "tokenizer.json"))
    if (folder / "vocab.json").is_file():
        return {"kind": "BPE", "vocabulary_size": len(read_json(folder / "vocab.json"))}
    if (folder / "vocab.txt").is_file():
        with open(folder / "vocab.txt", "rb") as file:
            return {"kind": "WordPiece", "vocabulary_size": sum(1 for _ in file)}
    for name in ("spiece.model", "tokenizer.model"):
        if (folder / name).is_file():
            count = count_pieces(read_bytes(folder / name, MAX_BYTES))
            return {"kind": "SentencePiece", "vocabulary_size": count or None}
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
