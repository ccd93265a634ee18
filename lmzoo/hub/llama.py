"""Llama, Qwen2 and Mistral in Hugging Face's words: config keys and tensor names."""

from lmzoo.hub import tensor_mapping as recipes
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.gpt_variables import MAX_SIZES, variable_shapes
from lmzoo.hub.rotary_fields import has_rotary_config, make_rotary_config, read_rotary

__all__ = ["MODEL_TYPES", "fits", "make_arguments", "make_config", "make_recipes", "read_names"]

MODEL_TYPES = ("llama", "qwen2", "mistral")
_CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "mistral": "Mistral"}
# transformers' names -> ours. The first of ours is written back.
_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "relu": "relu",
}
# our argument -> its key
_SIZES = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
}
# model type -> what a missing key stands for
_DEFAULTS = {
    "llama": (32000, 32, 32, 4096, 11008, 2048),
    "qwen2": (151936, 32, 32, 4096, 22016, 32768),
    "mistral": (32000, 32, 32, 4096, 14336, 131072),
}
_DEFAULT_KEY_VALUE_HEADS = {"llama": None, "qwen2": 32, "mistral": 8}
_FULL, _SLIDING = "full_attention", "sliding_attention"
_BLOCK = {
    "self_attention_norm": ("input_layernorm",),
    "self_attention/query_key_value": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/output": ("self_attn.o_proj",),
    "feed_forward_norm": ("post_attention_layernorm",),
    "feed_forward/gate": ("mlp.gate_proj",),
    "feed_forward/intermediate": ("mlp.up_proj",),
    "feed_forward/output": ("mlp.down_proj",),
}
_MODULES = {
    "token_embedding": ("model.embed_tokens",),
    "token_embedding/output_embeddings": ("lm_head",),
    "final_norm": ("model.norm",),
}
_EMBEDDINGS, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


def fits(backbone):
    """Whether one of `MODEL_TYPES` can express a backbone's options."""
    return _find_model_type(backbone) is not None


def _find_model_type(backbone):
    """The first of `MODEL_TYPES` that can, or None.

    A Mistral without a window is a Llama, and is written as one: the numbers are the same.
    """
    if (backbone.positions, backbone.norm, backbone.gated) != ("rotary", "rms_norm", True):
        return None
    if backbone.activation not in _ACTIVATIONS.values() or backbone.query_key_norm:
        return None
    if not has_rotary_config(backbone):
        return None
    biases = _find_biases(backbone)
    divides = backbone.hidden_dim % backbone.num_heads == 0
    usual_heads = backbone.head_dim in (None, backbone.hidden_dim / backbone.num_heads)
    # Llama's attention has its bias everywhere or nowhere, and transformers' Llama refuses a width
    # that the heads do not divide even where it is told their size.
    if backbone.sliding_window is None and divides and biases[0] == biases[1]:
        return "llama"
    if biases == (True, False, False) and usual_heads:
        return "qwen2"
    return None if any(biases) else "mistral"


def _find_biases(backbone):
    """Which of query-key-value, the output of attention and the feed-forward have biases."""
    over = (backbone.use_attention_bias, backbone.use_output_bias, None)
    return tuple(backbone.use_bias if own is None else own for own in over)


def make_config(backbone):
    """The config.json of a backbone that `fits`, as a dict."""
    model_type = _find_model_type(backbone)
    activations = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    config = {
        "model_type": model_type,
        **{theirs: getattr(backbone, ours) for ours, theirs in _SIZES.items()},
        "num_key_value_heads": backbone.num_key_value_heads,
        "hidden_act": activations[backbone.activation],
        "rms_norm_eps": backbone.norm_epsilon,
        "initializer_range": backbone.initializer_range,
        "attention_dropout": backbone.dropout,
        "tie_word_embeddings": backbone.tied,
        # Missing ones would be those of the first Llama, 1 and 2.
        "bos_token_id": None,
        "eos_token_id": None,
        **make_rotary_config(backbone),
    }
    window = backbone.sliding_window
    if model_type == "qwen2":
        windows = {"use_sliding_window": window is not None, "sliding_window": window}
        first = backbone.num_layers if window is None else 0
        return {**config, **windows, "max_window_layers": first}
    config["head_dim"] = backbone.head_dim or backbone.hidden_dim // backbone.num_heads
    if model_type == "mistral":
        return {**config, "sliding_window": window}
    attention, _, wide = _find_biases(backbone)
    return {**config, "attention_bias": attention, "mlp_bias": wide}


def make_arguments(config):
    """The arguments of `GPTBackbone` for a config.json of one of `MODEL_TYPES`.

    `attention_dropout` stands for all three dropouts, which are one here.

    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            the backbone does not do.
    """
    model_type = read_choice(config, "model_type", None, MODEL_TYPES)
    _check_architecture(config, _CLASSES[model_type])
    arguments = {
        ours: read_size(config, theirs, default, MAX_SIZES[ours])
        for (ours, theirs), default in zip(_SIZES.items(), _DEFAULTS[model_type], strict=True)
    }
    name, default = "num_key_value_heads", _DEFAULT_KEY_VALUE_HEADS[model_type]
    arguments[name] = read_size(config, name, default, MAX_SIZES[name], optional=True)
    head_dim = read_size(config, "head_dim", None, MAX_SIZES["head_dim"], optional=True)
    usual = head_dim == arguments["hidden_dim"] / arguments["num_heads"]
    wavelength, scaling = read_rotary(config, arguments["max_sequence_length"])
    activation = read_choice(config, "hidden_act", "silu", _ACTIVATIONS)
    return {
        **arguments,
        "head_dim": None if usual else head_dim,
        "positions": "rotary",
        "max_wavelength": wavelength,
        "rotary_scaling": scaling,
        "norm": "rms_norm",
        "norm_epsilon": read_number(config, "rms_norm_eps", 1e-6, 0, 1),
        "activation": _ACTIVATIONS[activation],
        "gated": True,
        **_read_biases(config, model_type),
        "tied": read_flag(config, "tie_word_embeddings", False),
        "sliding_window": _read_window(config, model_type, arguments["num_layers"]),
        "dropout": read_number(config, "attention_dropout", 0.0, 0, 0.999),
        "initializer_range": read_number(config, "initializer_range", 0.02, 0, 1000),
    }


def _check_architecture(config, name):
    names = config.get("architectures")
    if names is not None:
        first = names[0] if isinstance(names, list) and names else names
        wanted = (f"{name}ForCausalLM", f"{name}Model")
        read_choice({"architectures": first}, "architectures", None, wanted)


def _read_biases(config, model_type):
    if model_type != "llama":
        own = True if model_type == "qwen2" else None
        return {"use_bias": False, "use_attention_bias": own, "use_output_bias": None}
    attention = read_flag(config, "attention_bias", False)
    wide = read_flag(config, "mlp_bias", False)
    own = None if attention == wide else attention
    return {"use_bias": wide, "use_attention_bias": own, "use_output_bias": own}


def _read_window(config, model_type, num_layers):
    """The sliding window of all layers, or None."""
    if model_type == "llama":
        return None
    limit = MAX_SIZES["sliding_window"]
    window = read_size(config, "sliding_window", 4096, limit, optional=True)
    if model_type == "mistral":
        return window
    if not read_flag(config, "use_sliding_window", False):
        window = None
    kinds = config.get("layer_types")
    if kinds is None:
        first = read_size(config, "max_window_layers", 28, 2**24, lowest=0)
        kinds = [
            _FULL if index < first or window is None else _SLIDING for index in range(num_layers)
        ]
    if kinds == [_FULL] * num_layers:
        return None
    if kinds != [_SLIDING] * num_layers or window is None:
        raise ValueError(
            "`layer_types` must be the same for all layers, with a `sliding_window` where they "
            f"slide. Received: sliding_window={window}, layer_types={kinds!r:.200}."
        )
    return window


def make_recipes(arguments):
    """dict of variable path -> Recipe. Query, key and value lie side by side in one kernel."""
    shapes = variable_shapes(arguments)
    modules, widths = dict(_MODULES), {}
    queries, _ = shapes["block_0/self_attention/output/kernel"]
    _, whole = shapes["block_0/self_attention/query_key_value/kernel"]
    shared = (whole - queries) // 2
    for index in range(arguments["num_layers"]):
        widths[f"block_{index}/self_attention/query_key_value"] = (queries, shared, shared)
        for ours, theirs in _BLOCK.items():
            names = tuple(f"model.layers.{index}.{name}" for name in theirs)
            modules[f"block_{index}/{ours}"] = names
    return recipes.make_recipes(shapes, modules, widths=widths)


def read_names(header, arguments):
    """What each tensor of a file is: dict of name in the file -> name in the recipes.

    A plain model's file lacks the leading "model."; old files carry the frequencies of the angles,
    which are left out. The head of a tied model may be stored beside the embeddings or in their
    place: both are then the embeddings.
    """
    bare = not any(name.startswith("model.") for name in header)
    names = {}
    for name in header:
        if name.endswith(".rotary_emb.inv_freq"):
            continue
        whole = f"model.{name}" if bare and name != _HEAD else name
        names[name] = _EMBEDDINGS if arguments["tied"] and whole == _HEAD else whole
    return names
