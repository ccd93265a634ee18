"""Opening a Hugging Face folder as a task."""

import pathlib

import keras

from lmzoo import tasks
from lmzoo.hub.config_files import read_config
from lmzoo.hub.families import variables_by_path
from lmzoo.hub.generation_files import read_generation
from lmzoo.hub.plans import MODEL_TYPES, make_plan
from lmzoo.hub.tokenizer_files import load_tokenizer
from lmzoo.hub.weight_files import check_weights, find_weights, read_weights
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone

__all__ = ["load"]


def load(source, dtype=None):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    Args:
        source: str or path. A folder with config.json and model.safetensors; without tokenizer
            files the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16"; None for the global one.
    Returns:
        A task of `lmzoo.tasks`: for GPT-2, Llama, Qwen2 and Mistral a `CausalLM`; for T5 and mT5 a
        `Seq2SeqLM`; for BERT, RoBERTa and DistilBERT what the first of the config's `architectures`
        says. One that generates has what a generation_config.json says as its
        `generation_defaults` and `end_token_ids`.
    Raises:
        FileNotFoundError: if `source` is not such a folder.
        ValueError: if `dtype`, the model type or a file is not one that lmzoo reads, tensors are
            missing, superfluous or of the wrong shape, or the tokenizer has more words than the
            model. Nothing has been allocated then. Also if a weight is too large for `dtype`.
    """
    folder = pathlib.Path(source)
    policy = _make_policy(dtype)
    config = read_config(folder)
    _check_model_type(folder, config)
    path, header = find_weights(folder)
    plan = _make_plan(folder, config, header)
    check_weights(path, header, plan.found, plan.recipes, plan.shapes)
    tokenizer = load_tokenizer(folder, plan.arguments["vocabulary_size"])
    options = {**plan.options, **_read_generation(folder, plan, tokenizer)}
    backbone = _build_empty(plan, policy)
    task = getattr(tasks, plan.task)(backbone, tokenizer, **options)
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


def _read_generation(folder, plan, tokenizer):
    if plan.task not in ("CausalLM", "Seq2SeqLM"):
        return {}
    start = plan.options.get("start_token_id")
    return read_generation(folder, plan.arguments["vocabulary_size"], tokenizer, start)


def _build_empty(plan, policy):
    """A backbone of zeros: random ones would be drawn only to be overwritten."""
    kinds = {"CausalLM": GPTBackbone, "Seq2SeqLM": T5Backbone}
    kind = kinds.get(plan.task, BertBackbone)
    name = "initializer_factor" if kind is T5Backbone else "initializer_range"
    backbone = kind(**{**plan.arguments, name: 0.0}, dtype=policy)
    setattr(backbone, name, plan.arguments[name])
    return backbone
