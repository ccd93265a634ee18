"""Opening a model in Hugging Face's layout as a task."""

import keras

from lmzoo import tasks
from lmzoo.hub.config_files import check_model_type, read_config
from lmzoo.hub.families import variables_by_path
from lmzoo.hub.plans import MODEL_TYPES, make_plan
from lmzoo.hub.sources import find_folder
from lmzoo.hub.tokenizer_files import load_tokenizer
from lmzoo.hub.weight_files import check_weights, find_weights, read_weights
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone

__all__ = ["load"]


def load(source, dtype=None, revision=None):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    Args:
        source: str or path. A folder with config.json and model.safetensors; "hf://org/name", which
            is downloaded once; or one of `lmzoo.zoo.names()`, unless a folder has that name.
            Without tokenizer files the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16"; None for the global one.
        revision: str or None. A branch, a tag or a commit of a model on the hub; a commit never
            changes.
    Returns:
        A task of `lmzoo.tasks`: for GPT-2 a `CausalLM`; for T5 and mT5 a `Seq2SeqLM`; for BERT,
        RoBERTa and DistilBERT what the first of the config's `architectures` says.
    Raises:
        FileNotFoundError, PermissionError, ConnectionError: if `source` is not such a folder, or
            is not to be had from the hub, as `lmzoo.hub.find_folder` tells it.
        ImportError: if it must be downloaded and huggingface_hub is not installed.
        ValueError: if `dtype`, the model type or a file is not one that lmzoo reads, tensors are
            missing, superfluous or of the wrong shape, or the tokenizer has more words than the
            model. Nothing has been allocated then. Also if a weight is too large for `dtype`.
    """
    policy = _make_policy(dtype)
    folder = find_folder(source, revision)
    config = read_config(folder)
    check_model_type(folder, config, MODEL_TYPES)
    path, header = find_weights(folder)
    plan = _make_plan(folder, config, header)
    check_weights(path, header, plan.found, plan.recipes, plan.shapes)
    tokenizer = load_tokenizer(folder, plan.arguments["vocabulary_size"])
    backbone = _build_empty(plan, policy)
    task = getattr(tasks, plan.task)(backbone, tokenizer, **plan.options)
    variables = variables_by_path(backbone, getattr(task, "head", None))
    read_weights(path, header, plan.found, plan.recipes, variables)
    return task


def _make_policy(dtype):
    try:
        return keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`dtype` must name a Keras dtype policy such as 'float32', 'mixed_bfloat16' or "
            f"'mixed_float16'. Received: dtype={dtype!r}."
        ) from error


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
    """A backbone of zeros: random ones would be drawn only to be overwritten."""
    kinds = {"CausalLM": GPTBackbone, "Seq2SeqLM": T5Backbone}
    kind = kinds.get(plan.task, BertBackbone)
    name = "initializer_factor" if kind is T5Backbone else "initializer_range"
    backbone = kind(**{**plan.arguments, name: 0.0}, dtype=policy)
    setattr(backbone, name, plan.arguments[name])
    return backbone
