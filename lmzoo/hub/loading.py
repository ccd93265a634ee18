"""Opening a model in Hugging Face's layout as a task."""

import contextlib
import functools
import gc
import warnings

import keras
import tensorflow as tf

from lmzoo import tasks
from lmzoo.hub.families import list_model_types
from lmzoo.hub.files.config import check_model_type, read_config, read_policy_name
from lmzoo.hub.files.folders import check_folder
from lmzoo.hub.files.generation_config import read_generation
from lmzoo.hub.files.shards import find_weights
from lmzoo.hub.files.tokenizers import open_tokenizer
from lmzoo.hub.files.weights import check_weights, read_ahead, set_variables
from lmzoo.hub.folder_spec import make_folder_spec
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.hub.remote.sources import find_folder

__all__ = ["load"]

_FLOATS = ("float16", "bfloat16", "float32", "float64")
# The variables in which nearly all of a model's memory is, by their last names.
_LARGE = ("kernel", "embeddings", "output_embeddings")


def load(source, dtype=None, task=None, revision=None, **options):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    With `task` an encoder becomes another task: what it has learnt stays, and a head that the
    folder lacks is a fresh one, of which a warning says so in one line.

    Args:
        source: str or path. A folder with config.json and model.safetensors, or its shards and
            their index; "hf://org/name", which is downloaded once; or one of `lmzoo.zoo.names()`.
            A folder takes precedence over a name, and a published model over one that comes with
            lmzoo. Without tokenizer files the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16". None for the one that
            the model was saved with if that is a mixed one, and for the global one otherwise.
        task: str or None. The name of a class of `lmzoo.tasks`, such as "TextClassifier"; None for
            the folder's own. With `task`, options may ask for another head than the folder has,
            such as one for more labels. That head is then a fresh one.
        revision: str or None. A branch, a tag or a commit of a model on the hub; a commit never
            changes.
        **options: arguments of that class, such as `labels`. They override the folder's.
    Returns:
        A task of `lmzoo.tasks`. The folder's own is:
        - a `CausalLM` for GPT-2, Llama, Qwen2 and Mistral,
        - a `Seq2SeqLM` for T5 and mT5,
        - what the first of the config's `architectures` says for BERT, RoBERTa and DistilBERT,
        - a `TextEmbedder` for a folder of sentence-transformers.
        `generation_defaults` and `end_token_ids` of a generative task come from
        generation_config.json, or the end tokens from config.json if there is no such file.
    Raises:
        FileNotFoundError, PermissionError, ConnectionError: as `lmzoo.hub.find_folder`.
        ImportError: if the model must be downloaded and huggingface_hub is not installed.
        ValueError: before anything is allocated, if `dtype`, the model type or a file is not
            supported, tensors are missing, unexpected or of another shape, or the tokenizer has
            more tokens than the model. Afterwards, if the family has no such `task`, an option
            asks for another head, a weight is NaN, infinite or too large for `dtype`.
        TypeError: if the class takes no such option.

    Example:
        lm = lmzoo.load("runs/gpt")
        classifier = lmzoo.load("runs/bert", task="TextClassifier", labels=["bad", "good"])
    """
    policy = None if dtype is None else _make_policy(dtype)
    folder = find_folder(source, revision)
    check_folder(folder)
    config = read_config(folder)
    check_model_type(folder, config, list_model_types())
    policy = policy or _make_policy(read_policy_name(folder, config))
    path, header = find_weights(folder)
    spec = make_folder_spec(folder, config, header, task)
    check_weights(path, header, spec.tensors, spec.mapping, spec.shapes)
    tokenizer = open_tokenizer(folder, spec)
    kind = getattr(tasks, spec.task)
    options = {**spec.options, **_read_generation(folder, config, spec, tokenizer), **options}
    reading = (header, spec.tensors, spec.mapping, spec.shapes, policy.variable_dtype)
    with _pause_collector(), read_ahead(*reading) as values:
        backbone = _build_empty(spec, policy, config["model_type"])
        opened = kind(backbone, tokenizer, **options)
        variables = variables_by_path(backbone, opened.head)
        replaced = _find_replaced(folder, spec, variables, is_allowed=task is not None)
        for path in replaced:
            del values[path]
        set_variables(values, variables)
    mapping = {path: spec.mapping[path] for path in spec.mapping if path not in replaced}
    _draw_fresh(folder, spec._replace(mapping=mapping), backbone, variables, bool(replaced))
    _warn_of_special_tokens(folder, opened)
    return opened


def _warn_of_special_tokens(folder, task):
    """A model may have been trained with marker tokens, which its task reads as plain text."""
    found = list(task.unread_special_tokens)
    if found:
        shown = ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
        warnings.warn(
            f"The tokenizer of {str(folder)!r} has the special tokens {shown}, which "
            f"{type(task).__name__} reads as plain text. If texts contain them, load it with "
            f"`allow_special={found[:4]!r}`.",
            stacklevel=3,
        )


def _make_policy(dtype):
    refused = ValueError(
        "`dtype` must name a Keras dtype policy such as 'float32', 'mixed_bfloat16' or "
        f"'mixed_float16'. Received: dtype={dtype!r}."
    )
    try:
        policy = keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise refused from error
    # Keras has policies of integers, and of weights that are quantized as they are made.
    if policy.variable_dtype not in _FLOATS or policy.quantization_mode is not None:
        raise refused
    return policy


def _read_generation(folder, config, spec, tokenizer):
    if not getattr(tasks, spec.task).is_generative:
        return {}
    start = spec.options.get("start_token_id")
    size = spec.arguments["vocabulary_size"]
    return read_generation(folder, size, tokenizer, start, config)


@contextlib.contextmanager
def _pause_collector():
    """What is built here stays; to look for garbage in it took more than half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _build_empty(spec, policy, model_type):
    """A backbone without values: those that are drawn, or zeros, would only be overwritten."""
    name = spec.family.initializer
    with tf.variable_creator_scope(functools.partial(_leave_empty, tf.Graph())):
        backbone = spec.family.backbone()(**{**spec.arguments, name: 0.0}, dtype=policy)
    setattr(backbone, name, spec.arguments[name])
    # Of several model types that can express it, this one is written again.
    backbone.opened_from = model_type
    return backbone


def _find_replaced(folder, spec, variables, is_allowed):
    """The paths of the head whose shapes the caller's options have changed."""
    replaced = []
    for path in spec.mapping:
        found = tuple(variables[path].shape) if path in variables else None
        if found == spec.shapes[path]:
            continue
        if not is_allowed or not path.startswith("head/"):
            raise ValueError(
                f"`options` must ask for the head that the folder has. Received: options for which "
                f"{path!r} has shape {found}, while {str(folder)!r} has {spec.shapes[path]}. For "
                f"a fresh head, pass task={spec.task!r} too."
            )
        replaced.append(path)
    return replaced


def _draw_fresh(folder, spec, backbone, variables, has_other_head):
    """Says which variables no file has given, and draws those that are in the empty backbone."""
    unused = set()
    if not getattr(tasks, spec.task).is_generative:
        unused = {id(weight) for weight in backbone.generation_weights}
    missing = [path for path in variables if path not in spec.mapping]
    # What the task does not compute with is drawn too: another task on this backbone may.
    for path in missing:
        if not path.startswith("head/") and len(variables[path].shape) == 2:
            draw = keras.initializers.TruncatedNormal(stddev=spec.family.embedding_stddev(backbone))
            variables[path].assign(draw(variables[path].shape, variables[path].dtype))
    fresh = [path for path in missing if id(variables[path]) not in unused]
    if not fresh:
        return
    layers = sorted({path if "embeddings" in path else path.rpartition("/")[0] for path in fresh})
    reason = "has another head and " if has_other_head else "has "
    warnings.warn(
        f"{str(folder)!r} {reason}no weights for {', '.join(layers)} of {spec.task}. They are "
        "random; train it before use.",
        stacklevel=3,
    )


def _leave_empty(graph, next_creator, **arguments):
    if arguments["name"] not in _LARGE:
        return next_creator(**arguments)
    # In a graph nothing is computed: this asks for the shape alone.
    with graph.as_default():
        wanted = arguments.pop("initial_value")()

    def make_empty():
        # Memory that nobody has written to yet takes neither time nor space.
        return tf.raw_ops.Empty(shape=wanted.shape, dtype=wanted.dtype, init=False)

    return next_creator(initial_value=make_empty, **arguments)
