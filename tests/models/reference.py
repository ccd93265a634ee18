"""The forward pass of a decoder in NumPy float64, with all options of `GPTBackbone`."""

import numpy as np

from tests.layers.reference import feed_forward, norm, self_attention, weights_of

EVERYTHING = {
    "intermediate_dim": 37,
    "positions": "rotary",
    "max_wavelength": 500.0,
    "norm": "rms_norm",
    "norm_epsilon": 1e-6,
    "activation": "silu",
    "gated": True,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "use_bias": False,
    "use_attention_bias": True,
    "tied": False,
    "sliding_window": 5,
}


def gpt(model, token_ids):
    """Every hidden state of one row after another; token_ids (B, T) without padding.

    Returns:
        hidden (B, T, D) after the last norm, and logits (B, T, V).
    """
    weights, length = weights_of(model), token_ids.shape[1]
    rotary = model.positions == "rotary"
    hidden = weights["token_embedding/embeddings"][token_ids]
    if not rotary:
        hidden = hidden + weights["position_embedding/embeddings"][:length]
    window = model.sliding_window or length
    mask = np.array([[[t - window < s <= t for s in range(length)] for t in range(length)]])
    for index in range(model.num_layers):
        block = f"block_{index}/"

        def normalise(hidden, name, block=block):
            return norm(hidden, weights, block + name, model.norm, model.norm_epsilon)

        hidden = hidden + self_attention(
            normalise(hidden, "self_attention_norm"),
            weights,
            model.num_heads,
            model.num_key_value_heads,
            mask,
            positions=np.arange(length) if rotary else None,
            max_wavelength=model.max_wavelength,
            name=block + "self_attention/",
        )
        hidden = hidden + feed_forward(
            normalise(hidden, "feed_forward_norm"),
            weights,
            model.activation,
            block + "feed_forward/",
        )
    hidden = norm(hidden, weights, "final_norm", model.norm, model.norm_epsilon)
    table = "embeddings" if model.tied else "output_embeddings"
    return hidden, hidden @ weights[f"token_embedding/{table}"].T
