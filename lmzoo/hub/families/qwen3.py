"""Qwen3: a Qwen2 with a norm on each head of query and key, and without biases."""

from lmzoo.hub.families import llama
from lmzoo.hub.files.config_validation import read_flag

__all__ = ["FAMILIES"]

# What missing sizes stand for, and the width of a head, which is not what divides the width.
_FIELDS = llama.make_fields((151936, 32, 32, 4096, 22016, 32768), num_key_value_heads=32)
_HEAD_DIM = 128


def _read_arguments(config):
    arguments = llama.read_decoder({"head_dim": _HEAD_DIM, **config}, _FIELDS)
    bias = read_flag(config, "attention_bias", False)
    return {
        **arguments,
        "query_key_norm": True,
        "use_bias": False,
        "use_attention_bias": bias or None,
        "use_output_bias": bias or None,
        "sliding_window": llama.read_window(config, arguments["num_layers"]),
    }


def _make_config(backbone, model_type):
    return {
        **llama.make_decoder_config(backbone, model_type, _FIELDS),
        **llama.make_window_config(backbone),
        "attention_bias": bool(backbone.use_attention_bias),
    }


def _make_modules(arguments):
    return llama.make_modules(
        arguments,
        {
            "self_attention/query_norm": ("self_attn.q_norm",),
            "self_attention/key_norm": ("self_attn.k_norm",),
        },
    )


FAMILIES = (
    llama.make_llama_family(
        classes={"qwen3": "Qwen3"},
        read_arguments=_read_arguments,
        make_config=_make_config,
        modules=_make_modules,
    ),
)
