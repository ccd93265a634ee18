"""The forward passes of the backbones in NumPy float64, with all of their options."""

import numpy as np

from tests.layers.reference import dense, feed_forward, norm, self_attention, weights_of

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


def bert(model, token_ids, padding_mask=None, segment_ids=None):
    """The forward pass of `BertBackbone`; token_ids (B, T), positions from the first real token.

    Returns:
        the hidden states (B, T, D) of the embeddings and of each block, the pooled output (B, D) or
        None, and the attention weights (B, N, T, T) of each block.
    """
    weights, length = weights_of(model), token_ids.shape[1]
    mask = np.ones(token_ids.shape, bool) if padding_mask is None else padding_mask
    first = mask.argmax(axis=1)
    positions = np.where(mask, np.arange(length) - first[:, None], 0) + model.position_offset
    hidden = weights["token_embedding/embeddings"][token_ids]
    hidden = hidden + weights["position_embedding/embeddings"][positions]
    if model.num_segments:
        known = segment_ids is not None and model.num_segments > 1
        segments = segment_ids if known else np.zeros_like(token_ids)
        hidden = hidden + weights["segment_embedding/embeddings"][segments]

    def normalise(hidden, name):
        return norm(hidden, weights, name, "layer_norm", model.norm_epsilon)

    states, attention = [normalise(hidden, "embedding_norm")], []
    for index in range(model.num_layers):
        block, hidden = f"block_{index}/", states[-1]
        mixed, attended = self_attention(
            hidden,
            weights,
            model.num_heads,
            mask=mask[:, None],
            name=block + "self_attention/",
            return_weights=True,
        )
        hidden = normalise(hidden + mixed, block + "self_attention_norm")
        wide = feed_forward(hidden, weights, model.activation, block + "feed_forward/")
        states.append(normalise(hidden + wide, block + "feed_forward_norm"))
        attention.append(attended)
    pooled = None
    if model.pooler:
        chosen = states[-1][np.arange(len(first)), first]
        pooled = np.tanh(dense(chosen, weights, "pooler"))
    return states, pooled, attention
