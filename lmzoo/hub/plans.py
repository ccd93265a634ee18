"""What a config.json asks for, known before a weight is read or a model is built."""

import re
from typing import NamedTuple

from lmzoo.hub import (
    bert,
    bert_heads,
    bert_tensors,
    lmzoo_bert,
    lmzoo_t5,
    own_layout,
    t5,
    t5_tensors,
)
from lmzoo.hub.bert_variables import head_shapes, variable_shapes
from lmzoo.hub.families import ARCHITECTURES, DECODERS
from lmzoo.hub.files.task_options import read_task_options
from lmzoo.hub.gpt_variables import variable_shapes as decoder_shapes
from lmzoo.hub.t5_variables import variable_shapes as t5_shapes

__all__ = ["MODEL_TYPES", "Plan", "make_plan"]

MODEL_TYPES = (
    *(*DECODERS, *bert.MODEL_TYPES, *t5.MODEL_TYPES),
    *(lmzoo_bert.MODEL_TYPE, lmzoo_t5.MODEL_TYPE),
)


_HEAD = "token_embedding/output_embeddings"
# What transformers writes for models without any head.
_PLAIN = [[name] for name in ("GPT2Model", "LlamaModel", "MistralModel", "Qwen2Model", *t5.PLAIN)]


class Plan(NamedTuple):
    """A task that has not been built.

    task: str. The name of a class of `lmzoo.tasks`.
    arguments: dict. Those of the backbone.
    options: dict. Those of the task, beside backbone and tokenizer.
    shapes: dict of the path of each variable -> its shape; those of a head begin with "head/".
    recipes: dict of path -> Recipe.
    found: dict of name in the file -> name in the recipes.
    """

    task: str
    arguments: dict
    options: dict
    shapes: dict
    recipes: dict
    found: dict


def make_plan(config, header=(), pooler=None):
    """The plan for a config.json of one of `MODEL_TYPES`.

    Args:
        config: dict.
        header: names of the tensors in a file; none where the file is to be written.
        pooler: bool or None. Whether a backbone alone has a pooler; None if its file says so.
    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            lmzoo does not do.
    """
    model_type = config["model_type"]
    if model_type in DECODERS:
        return _make_decoder_plan(config, header)
    if model_type in (*t5.MODEL_TYPES, lmzoo_t5.MODEL_TYPE):
        return _make_t5_plan(config, header)
    if model_type == lmzoo_bert.MODEL_TYPE:
        task, arguments, head = lmzoo_bert.read_config(config)
    else:
        task, arguments = bert_heads.find_task(config), bert.make_arguments(config)
        if pooler is None or task != "TextEmbedder":
            pooler = bert_tensors.find_pooler(model_type, task, header)
        arguments["pooler"] = pooler
        head = bert_heads.read_head(config, task, arguments)
    shapes = variable_shapes(arguments) | head_shapes(head, arguments)
    if model_type == lmzoo_bert.MODEL_TYPE:
        recipes, found = own_layout.make_recipes(shapes), {name: name for name in header}
    else:
        recipes = bert_tensors.make_encoder_recipes(model_type, task, shapes)
        found = bert_tensors.read_names(model_type, task, header, recipes)
    options = bert_heads.read_head_options(config, task, head)
    if "num_targets" in options:
        task = "TextRegressor"
    options |= read_task_options(config, task, arguments["max_sequence_length"])
    return Plan(task, arguments, options, shapes, recipes, found)


def _make_decoder_plan(config, header):
    family = DECODERS[config["model_type"]]
    _check_head(config)
    arguments = family.make_arguments(config)
    shapes, recipes = decoder_shapes(arguments), family.make_recipes(arguments)
    found = family.read_names(header, arguments)
    if _lacks_head(config, header, arguments):
        del shapes[_HEAD], recipes[_HEAD]
    return Plan("CausalLM", arguments, {}, shapes, recipes, found)


def _check_head(config):
    """Refuses the class of a decoder with another head than that of a language model."""
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else names
    if isinstance(name, str) and re.search("For(?!CausalLM)", name):
        usual = ARCHITECTURES[config["model_type"]]
        raise ValueError(
            f"`architectures` must begin with a class like {usual}: a decoder is opened with the "
            f"head of a language model and with no other. Received: architectures={names!r:.80}."
        )


def _lacks_head(config, header, arguments):
    """Whether a file is known to have no head, of which no recipe may speak: it is to be fresh."""
    is_plain = config.get("architectures") in _PLAIN
    return header and is_plain and not arguments["tied"] and "lm_head.weight" not in header


def _make_t5_plan(config, header):
    is_ours = config["model_type"] == lmzoo_t5.MODEL_TYPE
    arguments = (lmzoo_t5 if is_ours else t5).make_arguments(config)
    shapes = t5_shapes(arguments)
    options = {
        "start_token_id": t5.read_start_token_id(config, arguments["vocabulary_size"]),
        **read_task_options(config, "Seq2SeqLM", arguments["max_sequence_length"]),
    }
    if is_ours:
        recipes, found = own_layout.make_recipes(shapes), {name: name for name in header}
    else:
        recipes = t5_tensors.make_t5_recipes(arguments, shapes, header)
        found = t5_tensors.read_names(header, arguments["tied"])
        if _lacks_head(config, header, arguments):
            del shapes[_HEAD], recipes[_HEAD]
    return Plan("Seq2SeqLM", arguments, options, shapes, recipes, found)
