"""Opening a Hugging Face folder as a task."""

import pathlib

import keras
import tensorflow as tf

from lmzoo import tasks
from lmzoo.hub.config_files import read_config
from lmzoo.hub.families import variables_by_path
from lmzoo.hub.folders import check_folder
from lmzoo.hub.plans import MODEL_TYPES, make_plan
from lmzoo.hub.shards import find_weights
from lmzoo.hub.tokenizer_files import load_tokenizer
from lmzoo.hub.weight_files import check_weights, read_ahead, set_variables
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone

__all__ = ["load"]

# The variables in which nearly all of a model's memory is, by their last names.
_LARGE = ("kernel", "embeddings", "output_embeddings")


def load(source, dtype=None):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    Args:
        source: str or path. A folder with config.json and model.safetensors, or its shards and
            their index; without tokenizer files the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16"; None for the global one.
    Returns:
        A task of `lmzoo.tasks`: for GPT-2 a `CausalLM`; for T5 and mT5 a `Seq2SeqLM`; for BERT,
        RoBERTa and DistilBERT what the first of the config's `architectures` says.
    Raises:
        FileNotFoundError: if `source` is not such a folder.
        ValueError: if `dtype`, the model type or a file is not one that lmzoo reads, tensors are
            missing, superfluous or of the wrong shape, or the tokenizer has more words than the
            model. Nothing has been allocated then. Also if a weight is too large for `dtype`.
    """
    folder = pathlib.Path(source)
    policy = _make_policy(dtype)
    check_folder(folder)
    config = read_config(folder)
    _check_model_type(folder, config)
    path, header = find_weights(folder)
    plan = _make_plan(folder, config, header)
    check_weights(path, header, plan.found, plan.recipes, plan.shapes)
    tokenizer = load_tokenizer(folder, plan.arguments["vocabulary_size"])
    reading = (header, plan.found, plan.recipes, plan.shapes, policy.variable_dtype)
    with read_ahead(*reading) as values:
        backbone = _build_empty(plan, policy)
        task = getattr(tasks, plan.task)(backbone, tokenizer, **plan.options)
        set_variables(values, variables_by_path(backbone, getattr(task, "head", None)))
    return task


def _make_policy(dtype):
    try:
        return keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`dtype` must name a Keras dtype policy such as 'float32', 'mixed_bfloat16' or "
            f"'mixed_float16'. Received: dtype={dtype!r}."
        ) from error


def _check_model_type(folder, config):
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in MODEL_TYPES:
        raise ValueError(
            f"`model_type` must be one of {', '.join(MODEL_TYPES)}. Received: "
            f"model_type={model_type!r:.80} in {str(folder / 'config.json')!r}."
        )


def _make_plan(folder, config, header):
    try:
        plan = make_plan(config, header)
        if plan.task not in tasks.__all__:
            raise ValueError(
                "`architectures` must name a model with a head. Received: "
                f"architectures={config['architectures']!r:.80}."
            )
    except ValueError as error:
        raise ValueError(f"{str(folder / 'config.json')!r} cannot be used: {error}") from error
    return plan


def _build_empty(plan, policy):
    """A backbone without values: those that are drawn, or zeros, would only be overwritten."""
    kinds = {"CausalLM": GPTBackbone, "Seq2SeqLM": T5Backbone}
    kind = kinds.get(plan.task, BertBackbone)
    name = "initializer_factor" if kind is T5Backbone else "initializer_range"
    with tf.variable_creator_scope(_leave_empty):
        backbone = kind(**{**plan.arguments, name: 0.0}, dtype=policy)
    setattr(backbone, name, plan.arguments[name])
    return backbone


def _leave_empty(next_creator, **arguments):
    if arguments["name"] not in _LARGE:
        return next_creator(**arguments)
    # In a graph nothing is computed: this asks for the shape alone.
    with tf.Graph().as_default():
        wanted = arguments.pop("initial_value")()

    def make_empty():
        # Memory that nobody has written to yet takes neither time nor space.
        return tf.raw_ops.Empty(shape=wanted.shape, dtype=wanted.dtype, init=False)

    return next_creator(initial_value=make_empty, **arguments)
