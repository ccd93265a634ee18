"""From KerasHub's models to tasks and back: BERT, RoBERTa, DistilBERT, GPT-2 and T5."""

import keras
import numpy as np

from lmzoo import tasks
from lmzoo.hub.families import list_families
from lmzoo.hub.keras_hub.tokenizers import convert_tokenizer, make_tokenizer
from lmzoo.hub.keras_hub.variables import copy_from, copy_to, pair_variables
from lmzoo.hub.model_variables import values_by_path, variables_by_path

__all__ = ["from_keras_hub", "to_keras_hub"]

_SIZES = "vocabulary_size num_layers num_heads hidden_dim intermediate_dim dropout".split()


def from_keras_hub(source, tokenizer=None, dtype=None, task=None, **options):
    """Makes a task of a model of KerasHub, with its weights and its tokenizer.

    Args:
        source: a backbone or a task of KerasHub, or the name of a preset. Of a task the backbone
            and the tokenizer are taken, not its head.
        tokenizer: a tokenizer of KerasHub, where `source` has none; or None.
        dtype: str or None. A Keras dtype policy; None for the global one.
        task: str or None. The name of a class of `lmzoo.tasks` for an encoder; None for
            "TextEmbedder", which needs no head. GPT-2 is a "CausalLM" and T5 a "Seq2SeqLM".
        **options: arguments of that class.
    Returns:
        A task of `lmzoo.tasks`.
    Raises:
        ImportError: if keras-hub is not installed.
        ValueError: if it is another model, or has no such task.

    Example:
        lm = lmzoo.from_keras_hub("gpt2_base_en")
    """
    backbone, found = _open(source)
    name = type(backbone).__name__
    families = {each.keras_hub.name: each for each in list_families() if each.keras_hub}
    if name not in families:
        raise ValueError(
            f"`source` must be one of {', '.join(families)} of KerasHub, a task with one, or a "
            f"preset's name. Received: {name}."
        )
    family = families[name]
    known = family.list_tasks()
    task = task or family.plain_task
    if task not in known:
        raise ValueError(
            f"`task` must be {' or '.join(known)} for a {name}. Received: task={task!r}."
        )
    converted = convert_tokenizer(tokenizer or found, backbone.vocabulary_size)
    ours = family.backbone()(**_read_arguments(backbone, family), dtype=dtype)
    _copy_weights(backbone, ours, family.keras_hub.position_rows)
    return getattr(tasks, task)(ours, converted, **options)


def to_keras_hub(task, dtype=None):
    """Makes a backbone and a tokenizer of KerasHub of a task.

    Args:
        task: a task of `lmzoo.tasks`. Its head stays behind, since KerasHub has others.
        dtype: str or None. A Keras dtype policy; None for the global one.
    Returns:
        pair of a backbone and a tokenizer of KerasHub; None for the latter where the task has none.
    Raises:
        ImportError: if keras-hub is not installed.
        ValueError: if KerasHub's model lacks an option of the backbone.

    Example:
        backbone, tokenizer = lmzoo.to_keras_hub(lm)
        preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer)
        keras_hub.models.GPT2CausalLM(backbone, preprocessor).generate("def main(")
    """
    keras_hub = _import_keras_hub()
    family = _find_family(task.backbone)
    name = family.keras_hub.name
    arguments = _read_sizes(task.backbone) | family.keras_hub.make_arguments(task.backbone)
    theirs = getattr(keras_hub.models, name)(**arguments, dtype=dtype)
    values = {
        path: keras.ops.convert_to_numpy(value)
        for path, value in values_by_path(task.backbone).items()
    }
    if family.keras_hub.position_rows:
        _drop_position_rows(values, task.backbone.position_offset)
    copy_to(pair_variables(values, theirs), values)
    return theirs, make_tokenizer(keras_hub, name, task.tokenizer)


def _import_keras_hub():
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "KerasHub's models need keras-hub, which is not installed. "
            "Run `pip install 'lmzoo[hub]'`."
        ) from error
    return keras_hub


def _open(source):
    """A backbone of KerasHub and its tokenizer, or None."""
    keras_hub = _import_keras_hub()
    if isinstance(source, str):
        tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(source)
        return keras_hub.models.Backbone.from_preset(source), tokenizer
    if isinstance(source, keras_hub.models.Task):
        return source.backbone, getattr(source.preprocessor, "tokenizer", None)
    return source, None


def _read_sizes(backbone):
    return {name: getattr(backbone, name) for name in _SIZES}


# From KerasHub


def _read_arguments(backbone, family):
    arguments = _read_sizes(backbone)
    # Its T5 has none.
    if hasattr(backbone, "max_sequence_length"):
        arguments["max_sequence_length"] = backbone.max_sequence_length
    return {**arguments, **family.keras_hub.read_arguments(backbone)}


def _copy_weights(theirs, ours, position_rows):
    variables = variables_by_path(ours)
    if not position_rows:
        copy_from(pair_variables(variables, theirs), variables)
        return
    # What transformers has beside: rows before the first position, and one segment.
    segments = variables.pop("segment_embedding/embeddings")
    positions = variables["position_embedding/embeddings"]
    pairs = pair_variables(variables, theirs)
    (found,) = pairs.pop("position_embedding/embeddings")
    copy_from(pairs, variables)
    rows = np.asarray(found.value)
    positions.assign(np.concatenate([np.zeros_like(rows[:position_rows]), rows]))
    segments.assign(np.zeros(segments.shape, "float32"))


# To KerasHub


def _find_family(backbone):
    """The family whose class of KerasHub a backbone can become."""
    families = [
        each for each in list_families() if each.keras_hub and isinstance(backbone, each.backbone())
    ]
    found = next((each for each in families if each.keras_hub.fits(backbone)), None)
    if found is None:
        names = ", ".join(each.keras_hub.name for each in families) or "no class"
        raise ValueError(
            f"`task` must have a backbone with the options of KerasHub's {names}. Received: "
            f"another {type(backbone).__name__}."
        )
    return found


def _drop_position_rows(values, offset):
    """KerasHub has no rows before the first position, and no segments: theirs is added to all."""
    segments = values.pop("segment_embedding/embeddings", np.zeros([1, 1], "float32"))
    name = "position_embedding/embeddings"
    values[name] = values[name][offset:] + segments[0]
