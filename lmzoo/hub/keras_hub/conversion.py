"""From KerasHub's models to tasks and back: BERT, RoBERTa, DistilBERT, GPT-2 and T5."""

import warnings

import keras
import numpy as np

from lmzoo import tasks
from lmzoo.hub import gpt2
from lmzoo.hub.families import values_by_path, variables_by_path
from lmzoo.hub.keras_hub.tokenizers import convert_tokenizer, make_tokenizer
from lmzoo.hub.keras_hub.variables import copy_from, copy_to, pair_variables
from lmzoo.hub.other_tasks import ENCODER_TASKS
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone

__all__ = ["from_keras_hub", "to_keras_hub"]

# KerasHub's RoBERTa has no rows before its first position; transformers' has two.
_ROBERTA_OFFSET = 2
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
    family = type(backbone).__name__
    if family not in _READERS:
        raise ValueError(
            f"`source` must be one of {', '.join(_READERS)} of KerasHub, a task with one, or a "
            f"preset's name. Received: {family}."
        )
    kind, arguments = _READERS[family](backbone)
    native = {GPTBackbone: "CausalLM", T5Backbone: "Seq2SeqLM"}.get(kind)
    if (native or task) != (task or native):
        raise ValueError(f"`task` must be {native} for a {family}. Received: task={task!r}.")
    task = task or native or "TextEmbedder"
    if native is None and task not in ENCODER_TASKS:
        raise ValueError(
            f"`task` must be one of {', '.join(ENCODER_TASKS)} for a {family}. Received: "
            f"task={task!r}."
        )
    converted = convert_tokenizer(tokenizer or found, backbone.vocabulary_size)
    ours = kind(**arguments, dtype=dtype)
    _copy_weights(backbone, ours)
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
    family, arguments = _describe(task.backbone)
    theirs = getattr(keras_hub.models, family)(**arguments, dtype=dtype)
    values = {
        path: keras.ops.convert_to_numpy(value)
        for path, value in values_by_path(task.backbone).items()
    }
    if family == "RobertaBackbone":
        _fold_roberta(values, task.backbone.position_offset)
    copy_to(pair_variables(values, theirs), values)
    return theirs, make_tokenizer(keras_hub, family, task.tokenizer)


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


# From KerasHub


def _read_sizes(backbone):
    return {name: getattr(backbone, name) for name in _SIZES}


def _read_bert(backbone):
    length, segments = backbone.max_sequence_length, backbone.num_segments
    own = {"max_sequence_length": length, "num_segments": segments, "activation": "gelu_tanh"}
    return BertBackbone, {**_read_sizes(backbone), **own, "pooler": True}


def _read_roberta(backbone):
    own = {"position_offset": _ROBERTA_OFFSET, "num_segments": 1, "norm_epsilon": 1e-5}
    length = backbone.max_sequence_length
    sizes = {**_read_sizes(backbone), "max_sequence_length": length}
    return BertBackbone, {**sizes, **own, "pooler": False}


def _read_distilbert(backbone):
    sizes = {**_read_sizes(backbone), "max_sequence_length": backbone.max_sequence_length}
    return BertBackbone, {**sizes, "num_segments": 0, "pooler": False}


def _read_gpt2(backbone):
    sizes = _read_sizes(backbone)
    return GPTBackbone, {**sizes, "max_sequence_length": backbone.max_sequence_length}


def _read_t5(backbone):
    width = backbone.key_value_dim or backbone.hidden_dim // backbone.num_heads
    return T5Backbone, {
        **_read_sizes(backbone),
        "head_dim": width,
        "activation": _name_activation(backbone.activation),
        "gated": backbone.use_gated_activation,
        "tied": backbone.tie_embedding_weights,
        "norm_epsilon": backbone.layer_norm_epsilon,
    }


_READERS = {
    "BertBackbone": _read_bert,
    "RobertaBackbone": _read_roberta,
    "DistilBertBackbone": _read_distilbert,
    "GPT2Backbone": _read_gpt2,
    "T5Backbone": _read_t5,
}


def _name_activation(activation):
    name = getattr(activation, "__name__", str(activation))
    return {"gelu_approximate": "gelu_tanh"}.get(name, name)


def _copy_weights(theirs, ours):
    variables = variables_by_path(ours)
    if type(theirs).__name__ != "RobertaBackbone":
        copy_from(pair_variables(variables, theirs), variables)
        return
    # What transformers has beside: rows before the first position, and one segment.
    segments = variables.pop("segment_embedding/embeddings")
    positions = variables["position_embedding/embeddings"]
    pairs = pair_variables(variables, theirs)
    (found,) = pairs.pop("position_embedding/embeddings")
    copy_from(pairs, variables)
    rows = np.asarray(found.value)
    positions.assign(np.concatenate([np.zeros_like(rows[:_ROBERTA_OFFSET]), rows]))
    segments.assign(np.zeros(segments.shape, "float32"))


# To KerasHub


def _describe(backbone):
    """The class of KerasHub for a backbone, and its arguments."""
    sizes = _read_sizes(backbone)
    if isinstance(backbone, T5Backbone):
        return "T5Backbone", {**sizes, **_describe_t5(backbone)}
    sizes["max_sequence_length"] = backbone.max_sequence_length
    if not isinstance(backbone, GPTBackbone):
        return _describe_encoder(backbone, sizes)
    if not gpt2.fits(backbone) or (backbone.activation, backbone.tied) != ("gelu_tanh", True):
        raise ValueError(
            "`task` must have a backbone with GPT-2's options, since KerasHub has a class for each "
            "other family. Received: another GPTBackbone."
        )
    _check_only("norm_epsilon", backbone.norm_epsilon, 1e-5)
    return "GPT2Backbone", sizes


def _describe_encoder(backbone, sizes):
    _check_only("embedding_dim", backbone.embedding_dim or backbone.hidden_dim, backbone.hidden_dim)
    _check_only("relative_attention", backbone.relative_attention, False)
    epsilon, activation, pooler = 1e-12, "gelu", False
    if backbone.position_offset:
        family, epsilon = "RobertaBackbone", 1e-5
        _check_only("num_segments", max(backbone.num_segments, 1), 1)
    elif backbone.num_segments:
        family, activation, pooler = "BertBackbone", "gelu_tanh", True
        sizes["num_segments"] = backbone.num_segments
    else:
        family = "DistilBertBackbone"
    _check_only("norm_epsilon", backbone.norm_epsilon, epsilon)
    task, what = (
        ("TextEmbedder", "keeps one that a file has") if pooler else ("MaskedLM", "has none")
    )
    remedy = f" Open its folder with task={task!r}, which {what}."
    _check_only("pooler", backbone.pooler, pooler, remedy)
    if (family, backbone.activation) == ("BertBackbone", "gelu"):
        warnings.warn(
            "KerasHub's BERT has the tanh form of gelu where this one has the exact gelu: hidden "
            "states will differ, by about 0.001.",
            stacklevel=4,
        )
    else:
        _check_only("activation", backbone.activation, activation)
    return family, sizes


def _describe_t5(backbone):
    _check_only("num_decoder_layers", backbone.num_decoder_layers, backbone.num_layers)
    _check_only("num_buckets", backbone.num_buckets, 32)
    _check_only("max_distance", backbone.max_distance, 128)
    activation = backbone.activation
    if activation == "gelu_tanh":
        # Its own function, so that what KerasHub saves can be opened again.
        activation = keras.saving.get_registered_object("keras_hub>gelu_approximate")
    return {
        "key_value_dim": backbone.head_dim,
        "activation": activation,
        "use_gated_activation": backbone.gated,
        "tie_embedding_weights": backbone.tied,
        "layer_norm_epsilon": backbone.norm_epsilon,
    }


def _check_only(name, value, only, remedy=""):
    if value != only:
        raise ValueError(
            f"`{name}` must be {only} for KerasHub. Received: {name}={value!r}.{remedy}"
        )


def _fold_roberta(values, offset):
    """KerasHub has no rows before the first position, and no segments: theirs is added to all."""
    segments = values.pop("segment_embedding/embeddings", np.zeros([1, 1], "float32"))
    name = "position_embedding/embeddings"
    values[name] = values[name][offset:] + segments[0]
