"""T5, T5 1.1, Flan-T5 and mT5 in Hugging Face's words: the keys of config.json."""

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.t5_variables import MAX_SIZES

__all__ = [
    *("MODEL_TYPES", "PLAIN", "check_buckets", "fits", "make_arguments", "make_config"),
    "read_start_token_id",
]

MODEL_TYPES = ("t5", "mt5")
# What transformers writes without a head.
PLAIN = ("T5Model", "MT5Model")
# The second is what the oldest files call it.
_ARCHITECTURES = (
    *("T5ForConditionalGeneration", "T5WithLMHeadModel"),
    "MT5ForConditionalGeneration",
    *PLAIN,
)
# `feed_forward_proj` -> our activation and whether it is gated. The first of ours is written back.
_FEED_FORWARDS = {
    "relu": ("relu", False),
    "gelu_new": ("gelu_tanh", False),
    "gelu": ("gelu", False),
    "silu": ("silu", False),
    # With a gate, the name of the exact gelu stands for the other one.
    "gated-gelu": ("gelu_tanh", True),
    "gated-gelu_new": ("gelu_tanh", True),
    "gated-silu": ("silu", True),
    "gated-relu": ("relu", True),
}
_BUCKETS = ("relative_attention_num_buckets", "relative_attention_max_distance")
# our argument -> its key
_SIZES = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "hidden_dim": "d_model",
    "head_dim": "d_kv",
    "intermediate_dim": "d_ff",
    "max_sequence_length": "n_positions",
    "num_buckets": "relative_attention_num_buckets",
    "max_distance": "relative_attention_max_distance",
}
# model type -> what a missing key stands for
_DEFAULTS = {
    "t5": {
        **{"vocab_size": 32128, "num_layers": 6, "num_heads": 8, "d_model": 512, "d_kv": 64},
        **{"d_ff": 2048, "n_positions": 512, "relative_attention_num_buckets": 32},
        **{"relative_attention_max_distance": 128, "feed_forward_proj": "relu"},
    },
    "mt5": {
        **{"vocab_size": 250112, "num_layers": 8, "num_heads": 6, "d_model": 512, "d_kv": 64},
        **{"d_ff": 1024, "n_positions": 512, "relative_attention_num_buckets": 32},
        **{"relative_attention_max_distance": 128, "feed_forward_proj": "gated-gelu"},
    },
}


def make_arguments(config):
    """The arguments of `T5Backbone` for a config.json of one of `MODEL_TYPES`.

    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            the backbone does not do.
    """
    model_type = read_choice(config, "model_type", None, MODEL_TYPES)
    defaults = _DEFAULTS[model_type]
    _check_fixed(config)
    arguments = {
        ours: read_size(config, theirs, defaults[theirs], MAX_SIZES[ours])
        for ours, theirs in _SIZES.items()
    }
    name = "num_decoder_layers"
    layers = read_size(config, name, None, MAX_SIZES[name], optional=True)
    arguments[name] = arguments["num_layers"] if layers is None else layers
    check_buckets(arguments["num_buckets"], arguments["max_distance"])
    name = "feed_forward_proj"
    kind = read_choice(config, name, defaults[name], _FEED_FORWARDS)
    arguments["activation"], arguments["gated"] = _FEED_FORWARDS[kind]
    arguments["tied"] = _is_tied(config, model_type)
    arguments["norm_epsilon"] = read_number(config, "layer_norm_epsilon", 1e-6, 0, 1)
    arguments["dropout"] = read_number(config, "dropout_rate", 0.1, 0, 0.999)
    arguments["initializer_factor"] = read_number(config, "initializer_factor", 1.0, 0, 1000)
    return arguments


def _check_fixed(config):
    for name, only in (("is_decoder", False), ("is_encoder_decoder", True)):
        if read_flag(config, name, only) is not only:
            raise ValueError(f"`{name}` must be {only}. Received: {name}={config[name]!r:.80}.")
    names = config.get("architectures")
    if names is not None:
        name = names[0] if isinstance(names, list) and names else names
        read_choice({"architectures": name}, "architectures", None, _ARCHITECTURES)


def check_buckets(num_buckets, max_distance, names=_BUCKETS):
    """Raises ValueError unless an encoder and a decoder can both put distances in such buckets."""
    # An encoder halves them for both sides, and half of a side holds one distance each.
    if num_buckets % 2 or not 4 <= num_buckets < 2 * max_distance:
        raise ValueError(
            f"`{names[0]}` must be even, at least 4, and less than twice `{names[1]}`. Received: "
            f"{names[0]}={num_buckets}, {names[1]}={max_distance}."
        )


def _is_tied(config, model_type):
    """Whether the head is the embeddings and logits are scaled by d ** -0.5, which go together.

    Version 5 of transformers writes `tie_word_embeddings` as true whatever the model has, and says
    in `scale_decoder_outputs` what earlier ones meant by it; it never scales an mT5.
    """
    tied = read_flag(config, "tie_word_embeddings", True)
    scaled = read_flag(config, "scale_decoder_outputs", tied)
    return scaled and model_type == "t5"


def read_start_token_id(config, vocabulary_size):
    """The id that the decoder begins with: `decoder_start_token_id`, or else the padding.

    Raises:
        ValueError: if a special id is none of the vocabulary.
    """
    pad = read_size(config, "pad_token_id", 0, vocabulary_size - 1, lowest=0)
    ends = config.get("eos_token_id", 1)
    for end in ends if isinstance(ends, list) else [ends]:
        # Ends are the tokenizer's; a config that is wrong here is wrong elsewhere too.
        read_size({"eos_token_id": end}, "eos_token_id", None, vocabulary_size - 1, True, 0)
    name = "decoder_start_token_id"
    start = read_size(config, name, pad, vocabulary_size - 1, optional=True, lowest=0)
    return pad if start is None else start


def fits(backbone):
    """Whether transformers' T5 has a name for a backbone's feed-forward, as it has for the rest."""
    return (backbone.activation, backbone.gated) in _FEED_FORWARDS.values()


def make_config(backbone):
    """The config.json of a backbone that `fits`, as a dict.

    It is that of a T5, also where the backbone was read from an mT5: the two have the same tensors
    and, where `tie_word_embeddings` is false, compute the same.
    """
    names = {ours: theirs for theirs, ours in reversed(_FEED_FORWARDS.items())}
    kind = (backbone.activation, backbone.gated)
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        **{theirs: getattr(backbone, ours) for ours, theirs in _SIZES.items()},
        "num_decoder_layers": backbone.num_decoder_layers,
        "feed_forward_proj": names[kind],
        "layer_norm_epsilon": backbone.norm_epsilon,
        "dropout_rate": backbone.dropout,
        "initializer_factor": backbone.initializer_factor,
        "is_encoder_decoder": True,
        "tie_word_embeddings": backbone.tied,
    }
