"""What transformers calls the tensors of BERT, RoBERTa and DistilBERT and of their heads."""

import re

from lmzoo.hub.accounts import TIED, find_ignored
from lmzoo.hub.tensor_mapping import make_recipes

__all__ = [
    "HEAD_TENSORS",
    "find_pooler",
    "is_head_tensor",
    "make_encoder_recipes",
    "read_names",
]

_BERT = {
    "token_embedding": ("embeddings.word_embeddings",),
    "position_embedding": ("embeddings.position_embeddings",),
    "segment_embedding": ("embeddings.token_type_embeddings",),
    "embedding_norm": ("embeddings.LayerNorm",),
    "pooler": ("pooler.dense",),
}
_BERT_BLOCK = {
    "self_attention/query_key_value": (
        *("attention.self.query", "attention.self.key"),
        "attention.self.value",
    ),
    "self_attention/output": ("attention.output.dense",),
    "self_attention_norm": ("attention.output.LayerNorm",),
    "feed_forward/intermediate": ("intermediate.dense",),
    "feed_forward/output": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
_DISTILBERT_BLOCK = {
    "self_attention/query_key_value": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "self_attention/output": ("attention.out_lin",),
    "self_attention_norm": ("sa_layer_norm",),
    "feed_forward/intermediate": ("ffn.lin1",),
    "feed_forward/output": ("ffn.lin2",),
    "feed_forward_norm": ("output_layer_norm",),
}
# model type -> the backbone's modules, the place of its blocks, and a block's modules
_BODIES = {
    "bert": (_BERT, "encoder.layer", _BERT_BLOCK),
    "roberta": (_BERT, "encoder.layer", _BERT_BLOCK),
    "distilbert": (_BERT, "transformer.layer", _DISTILBERT_BLOCK),
}
_ONE_LAYER = {"head/output": ("classifier",)}
# (model type, task) -> the head's modules
HEAD_TENSORS = {
    ("bert", "MaskedLM"): {
        "head/dense": ("cls.predictions.transform.dense",),
        "head/norm": ("cls.predictions.transform.LayerNorm",),
        "head": ("cls.predictions",),
    },
    ("roberta", "MaskedLM"): {
        "head/dense": ("lm_head.dense",),
        "head/norm": ("lm_head.layer_norm",),
        "head": ("lm_head",),
    },
    ("distilbert", "MaskedLM"): {
        "head/dense": ("vocab_transform",),
        "head/norm": ("vocab_layer_norm",),
        "head": ("vocab_projector",),
    },
    ("bert", "TextClassifier"): _ONE_LAYER,
    ("roberta", "TextClassifier"): {
        "head/hidden": ("classifier.dense",),
        "head/output": ("classifier.out_proj",),
    },
    ("distilbert", "TextClassifier"): {
        "head/hidden": ("pre_classifier",),
        "head/output": ("classifier",),
    },
    **{(model_type, "TokenClassifier"): _ONE_LAYER for model_type in _BODIES},
    **{
        (model_type, "QuestionAnswerer"): {"head/output": ("qa_outputs",)} for model_type in _BODIES
    },
    **{(model_type, "TextEmbedder"): {} for model_type in _BODIES},
}
_POOLER = "pooler.dense."


def make_encoder_recipes(model_type, task, shapes):
    """The recipe of each variable of a backbone and its head.

    Args:
        model_type: str. "bert", "roberta" or "distilbert".
        task: str. The name of a class of `lmzoo.tasks`.
        shapes: dict of path -> shape, as `variable_shapes` and `head_shapes` give them.
    Returns:
        dict of path -> Recipe. A backbone alone has bare names, one below a head has the model type
        before them, as transformers writes both.
    """
    body, place, block = _BODIES[model_type]
    prefix = "" if task == "TextEmbedder" else f"{model_type}."
    modules = dict(HEAD_TENSORS[model_type, task])
    for layer, names in body.items():
        modules[layer] = tuple(prefix + name for name in names)
    indices = {path.split("/")[0] for path in shapes if path.startswith("block_")}
    for name in indices:
        index = name.removeprefix("block_")
        for layer, names in block.items():
            found = tuple(f"{prefix}{place}.{index}.{each}" for each in names)
            modules[f"{name}/{layer}"] = found
    return make_recipes(shapes, modules)


def find_pooler(model_type, task, header):
    """Whether a task of a file has a pooler.

    BERT's classifier always has one, a backbone alone has it where the file does, and other tasks
    of transformers have none.
    """
    if task == "TextEmbedder":
        return any(_strip(model_type, name).startswith(_POOLER) for name in header)
    return (model_type, task) == ("bert", "TextClassifier")


def is_head_tensor(model_type, name):
    """Whether a tensor of a file belongs to one of the heads that are known of a model type."""
    if model_type not in _BODIES:
        return name.startswith("head.")
    heads = [HEAD_TENSORS[key] for key in HEAD_TENSORS if key[0] == model_type]
    modules = {module for head in heads for modules in head.values() for module in modules}
    tied = TIED.get(model_type, {})
    return name in tied or name.rpartition(".")[0] in modules


def read_names(model_type, task, header, recipes):
    """What each tensor of a file is: dict of name in the file -> name in the recipes.

    Files are read with or without the model type before the backbone's names, and with the old
    names of a norm's weights. What is on a list of `accounts.IGNORED` and not wanted is left out.
    """
    wanted = {name for recipe in recipes.values() for name in recipe.names}
    names = {}
    for name in header:
        bare = _strip(model_type, name)
        bare = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", bare)
        bare = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", bare)
        if task == "MaskedLM":
            bare = TIED[model_type].get(bare, bare)
        places = {bare, f"{model_type}.{bare}"} & wanted
        if not places and find_ignored(model_type, bare):
            continue
        names[name] = places.pop() if places else name
    return names


def _strip(model_type, name):
    return name.removeprefix(f"{model_type}.")
