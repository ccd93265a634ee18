"""GPT-2 in Hugging Face's words: its config keys and its tensor names."""

__all__ = ["fits", "make_arguments", "make_config", "tensor_names", "tensor_shapes"]

# transformers' names -> ours. The first of ours is written back.
_ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
}

_LAYER = {
    "ln_1.weight": "self_attention_norm/gamma",
    "ln_1.bias": "self_attention_norm/beta",
    "attn.c_attn.weight": "self_attention/query_key_value/kernel",
    "attn.c_attn.bias": "self_attention/query_key_value/bias",
    "attn.c_proj.weight": "self_attention/output/kernel",
    "attn.c_proj.bias": "self_attention/output/bias",
    "ln_2.weight": "feed_forward_norm/gamma",
    "ln_2.bias": "feed_forward_norm/beta",
    "mlp.c_fc.weight": "feed_forward/intermediate/kernel",
    "mlp.c_fc.bias": "feed_forward/intermediate/bias",
    "mlp.c_proj.weight": "feed_forward/output/kernel",
    "mlp.c_proj.bias": "feed_forward/output/bias",
}


def fits(backbone):
    """Whether transformers' GPT-2 can express a backbone's options."""
    return (
        backbone.positions == "learned"
        and backbone.norm == "layer_norm"
        and backbone.activation in _ACTIVATIONS.values()
        and not backbone.gated
        and backbone.num_key_value_heads == backbone.num_heads
        and backbone.head_dim in (None, backbone.hidden_dim // backbone.num_heads)
        and backbone.use_bias
        and backbone.use_attention_bias in (None, True)
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

    Raises:
        ValueError: if the config asks for something that GPT-2 here does not do.
    """
    activation = config.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"`activation_function` must be one of {', '.join(_ACTIVATIONS)}. "
            f"Received: activation_function={activation!r}."
        )
    for name, only in (
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("add_cross_attention", False),
    ):
        if config.get(name, only) != only:
            raise ValueError(f"`{name}` must be {only}. Received: {name}={config[name]!r}.")
    return {
        "vocabulary_size": config.get("vocab_size", 50257),
        "num_layers": config.get("n_layer", 12),
        "num_heads": config.get("n_head", 12),
        "hidden_dim": config.get("n_embd", 768),
        "intermediate_dim": config.get("n_inner"),
        "max_sequence_length": config.get("n_positions", 1024),
        "norm_epsilon": config.get("layer_norm_epsilon", 1e-5),
        "activation": _ACTIVATIONS[activation],
        "initializer_range": config.get("initializer_range", 0.02),
        "dropout": config.get("resid_pdrop", 0.1),
        "tied": config.get("tie_word_embeddings", True),
    }


def tensor_names(arguments):
    """dict of transformers' tensor name -> the path of our variable below the backbone."""
    names = {
        "transformer.wte.weight": "token_embedding/embeddings",
        "transformer.wpe.weight": "position_embedding/embeddings",
        "transformer.ln_f.weight": "final_norm/gamma",
        "transformer.ln_f.bias": "final_norm/beta",
    }
    for index in range(arguments["num_layers"]):
        for theirs, ours in _LAYER.items():
            names[f"transformer.h.{index}.{theirs}"] = f"block_{index}/{ours}"
    if not arguments["tied"]:
        names["lm_head.weight"] = "token_embedding/output_embeddings"
    return names


def tensor_shapes(arguments):
    """dict of transformers' tensor name -> the shape it must have."""
    dim, vocabulary = arguments["hidden_dim"], arguments["vocabulary_size"]
    wide = arguments["intermediate_dim"] or 4 * dim
    special = {
        "wte.weight": (vocabulary, dim),
        "lm_head.weight": (vocabulary, dim),
        "wpe.weight": (arguments["max_sequence_length"], dim),
        "attn.c_attn.weight": (dim, 3 * dim),
        "attn.c_attn.bias": (3 * dim,),
        "attn.c_proj.weight": (dim, dim),
        "mlp.c_fc.weight": (dim, wide),
        "mlp.c_fc.bias": (wide,),
        "mlp.c_proj.weight": (wide, dim),
    }
    shapes = {}
    for name in tensor_names(arguments):
        end = next((end for end in special if name.endswith(end)), None)
        shapes[name] = special[end] if end else (dim,)
    return shapes
