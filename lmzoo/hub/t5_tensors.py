"""What transformers calls the tensors of a T5."""

from lmzoo.hub.accounts import TIED, find_ignored
from lmzoo.hub.tensor_mapping import make_recipes

__all__ = ["make_t5_recipes", "read_names"]

_HEAD = "lm_head.weight"
_SELF_ATTENTION = {
    "self_attention/query_key_value": ("SelfAttention.q", "SelfAttention.k", "SelfAttention.v"),
    "self_attention/output": ("SelfAttention.o",),
    "self_attention_norm": ("layer_norm",),
}
_CROSS_ATTENTION = {
    "cross_attention/query": ("EncDecAttention.q",),
    "cross_attention/key_value": ("EncDecAttention.k", "EncDecAttention.v"),
    "cross_attention/output": ("EncDecAttention.o",),
    "cross_attention_norm": ("layer_norm",),
}
_FEED_FORWARD = {
    "feed_forward/intermediate": ("DenseReluDense.wi",),
    "feed_forward/output": ("DenseReluDense.wo",),
    "feed_forward_norm": ("layer_norm",),
}
_GATED = {
    **_FEED_FORWARD,
    "feed_forward/gate": ("DenseReluDense.wi_0",),
    "feed_forward/intermediate": ("DenseReluDense.wi_1",),
}


def make_t5_recipes(arguments, shapes, header=()):
    """The recipe of each variable.

    Args:
        arguments: dict of the arguments of `T5Backbone`.
        shapes: dict of path -> shape, as `variable_shapes` gives it.
        header: names of the tensors in a file; none where the file is to be written.
    Returns:
        dict of path -> Recipe.
    """
    # transformers ties what a file does not hold: there the head has the embeddings' numbers.
    has_head = _HEAD in header or not header
    modules = {
        "token_embedding": ("shared",),
        "token_embedding/output_embeddings": ("lm_head" if has_head else "shared",),
    }
    wide = _GATED if arguments["gated"] else _FEED_FORWARD
    stacks = {
        "encoder": (arguments["num_layers"], (_SELF_ATTENTION, wide)),
        "decoder": (arguments["num_decoder_layers"], (_SELF_ATTENTION, _CROSS_ATTENTION, wide)),
    }
    for stack, (num_layers, layers) in stacks.items():
        modules[f"{stack}_norm"] = (f"{stack}.final_layer_norm",)
        # The first block keeps the distances of all.
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
        modules[f"{stack}_bias"] = (table,)
        for index in range(num_layers):
            for number, layer in enumerate(layers):
                place = f"{stack}.block.{index}.layer.{number}"
                for ours, theirs in layer.items():
                    modules[f"{stack}_block_{index}/{ours}"] = tuple(
                        f"{place}.{name}" for name in theirs
                    )
    return make_recipes(shapes, modules)


def read_names(header, tied):
    """What each tensor of a file is: dict of name in the file -> name in the recipes.

    The embeddings may stand under the names of both stacks, and those of a tied head, beside
    `shared` or in its place; they are then compared.
    """
    same = {name: place for name, place in TIED["t5"].items() if tied or name != _HEAD}
    return {name: same.get(name, name) for name in header if not find_ignored("t5", name)}
