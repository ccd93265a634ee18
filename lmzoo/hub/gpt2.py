"""GPT-2 in Hugging Face's words: its config keys and its tensor names."""

from lmzoo.hub import tensor_mapping as recipes
from lmzoo.hub.accounts import TIED, find_ignored
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.gpt_variables import MAX_SIZES, variable_shapes

__all__ = ["fits", "make_arguments", "make_config", "make_recipes", "read_names"]

# transformers' names -> ours. The first of ours is written back.
_ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
}

_BLOCK = {
    "self_attention_norm": "ln_1",
    "self_attention/query_key_value": "attn.c_attn",
    "self_attention/output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward/intermediate": "mlp.c_fc",
    "feed_forward/output": "mlp.c_proj",
}
_MODULES = {
    "token_embedding": ("transformer.wte",),
    "token_embedding/output_embeddings": ("lm_head",),
    "position_embedding": ("transformer.wpe",),
    "final_norm": ("transformer.ln_f",),
}
_HEAD = "lm_head.weight"


def fits(backbone):
    """Whether transformers' GPT-2 can express a backbone's options."""
    return (
        backbone.positions == "learned"
        and backbone.norm == "layer_norm"
        and backbone.activation in _ACTIVATIONS.values()
        and not backbone.gated
        and not backbone.query_key_norm
        and backbone.num_key_value_heads == backbone.num_heads
        and backbone.head_dim in (None, backbone.hidden_dim / backbone.num_heads)
        and backbone.use_bias
        and backbone.use_attention_bias in (None, True)
        and backbone.use_output_bias in (None, True)
        and backbone.sliding_window is None
    )


def make_config(backbone):
    """The config.json of a backbone that `fits`, as a dict."""
    activations = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    return {
        "model_type": "gpt2",
        "vocab_size": backbone.vocabulary_size,
        "n_positions": backbone.max_sequence_length,
        "n_embd": backbone.hidden_dim,
        "n_layer": backbone.num_layers,
        "n_head": backbone.num_heads,
        "n_inner": backbone.intermediate_dim,
        "activation_function": activations[backbone.activation],
        "layer_norm_epsilon": backbone.norm_epsilon,
        "initializer_range": backbone.initializer_range,
        "attn_pdrop": backbone.dropout,
        "embd_pdrop": backbone.dropout,
        "resid_pdrop": backbone.dropout,
        "tie_word_embeddings": backbone.tied,
    }


def make_arguments(config):
    """The arguments of `GPTBackbone` for a config.json of model type gpt2.

    `resid_pdrop` stands for all three dropouts, which are one here.

    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            GPT-2 here does not do.
    """
    for name, only in (
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("add_cross_attention", False),
    ):
        if config.get(name, only) is not only:
            raise ValueError(f"`{name}` must be {only}. Received: {name}={config[name]!r:.80}.")

    def size(name, default, ours, optional=False):
        return read_size(config, name, default, MAX_SIZES[ours], optional)

    activation = read_choice(config, "activation_function", "gelu_new", _ACTIVATIONS)
    return {
        "vocabulary_size": size("vocab_size", 50257, "vocabulary_size"),
        "num_layers": size("n_layer", 12, "num_layers"),
        "num_heads": size("n_head", 12, "num_heads"),
        "hidden_dim": size("n_embd", 768, "hidden_dim"),
        "intermediate_dim": size("n_inner", None, "intermediate_dim", optional=True),
        "max_sequence_length": size("n_positions", 1024, "max_sequence_length"),
        "norm_epsilon": read_number(config, "layer_norm_epsilon", 1e-5, 0, 1),
        "activation": _ACTIVATIONS[activation],
        "initializer_range": read_number(config, "initializer_range", 0.02, 0, 1000),
        "dropout": read_number(config, "resid_pdrop", 0.1, 0, 0.999),
        "tied": read_flag(config, "tie_word_embeddings", True),
    }


def make_recipes(arguments):
    """dict of variable path -> Recipe. GPT-2 keeps its kernels (in, out) and the three fused."""
    modules = dict(_MODULES)
    for index in range(arguments["num_layers"]):
        for ours, theirs in _BLOCK.items():
            modules[f"block_{index}/{ours}"] = (f"transformer.h.{index}.{theirs}",)
    return recipes.make_recipes(variable_shapes(arguments), modules, transposed=False)


def read_names(header, arguments):
    """What each tensor of a file is: dict of name in the file -> name in the recipes.

    The published files lack the leading "transformer."; old ones carry causal masks, which are left
    out. The head of a tied model may be stored beside the embeddings or in their place: both are
    then the embeddings.
    """
    bare = not any(name.startswith("transformer.") for name in header)
    names = {}
    for name in header:
        if find_ignored("gpt2", name):
            continue
        whole = f"transformer.{name}" if bare and name != _HEAD else name
        names[name] = TIED["gpt2"].get(whole, whole) if arguments["tied"] else whole
    return names
