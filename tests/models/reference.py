"""The forward passes of the backbones in NumPy float64, with all of their options."""

import numpy as np

from tests.layers.reference import (
    cross_attention,
    dense,
    distance_bucket,
    feed_forward,
    norm,
    self_attention,
    weights_of,
)

# No two sizes are equal, so that no missing transpose fits.
SIZES = {
    "vocabulary_size": 101,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 48,
    "intermediate_dim": 37,
}
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
    "query_key_norm": True,
    "use_bias": False,
    "use_attention_bias": True,
    "tied": False,
    "sliding_window": 5,
}


def kernels_at_start(model):
    """(path, array) of what a new model draws; its biases are 0 and the scales of norms 1."""
    tables = [np.asarray(w).ravel()[:128] for w in model.weights if len(w.shape) == 2]
    # No two of them start alike.
    assert len({values.tobytes() for values in tables}) == len(tables)
    for weight in model.weights:
        values = np.asarray(weight)
        if weight.path.endswith(("/bias", "/beta")):
            assert not values.any(), weight.path
        elif weight.path.endswith("/gamma"):
            assert (values == 1).all(), weight.path
        else:
            yield weight.path, values


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
            norm_epsilon=model.norm_epsilon,
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

    hidden, bias = normalise(hidden, "embedding_norm"), None
    if "embedding_projection/kernel" in weights:
        hidden = dense(hidden, weights, "embedding_projection")
    if model.relative_attention:
        table = weights["relative_position_bias/embeddings"]
        bias = relative_bias(table, length, True, model.num_buckets, model.max_distance)
    states, attention = [hidden], []
    for index in range(model.num_layers):
        block, hidden = f"block_{index}/", states[-1]
        mixed, attended = self_attention(
            hidden,
            weights,
            model.num_heads,
            mask=mask[:, None],
            bias=bias,
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


def modern_bert(model, token_ids, padding_mask=None):
    """The forward pass of `ModernBertBackbone`: its hidden states (B, T, D) after the last norm."""
    weights, length = weights_of(model), token_ids.shape[1]
    mask = np.ones(token_ids.shape, bool) if padding_mask is None else padding_mask
    reach = model.local_attention // 2
    near = np.array([[abs(s - t) <= reach for s in range(length)] for t in range(length)])

    def normalise(hidden, name):
        return norm(hidden, weights, name, "layer_norm", model.norm_epsilon)

    hidden = normalise(weights["token_embedding/embeddings"][token_ids], "embedding_norm")
    for index in range(model.num_layers):
        block, is_global = f"block_{index}/", index % model.global_attention_every == 0
        hidden = hidden + self_attention(
            hidden if index == 0 else normalise(hidden, block + "self_attention_norm"),
            weights,
            model.num_heads,
            mask=mask[:, None] & (near | is_global),
            positions=np.arange(length),
            max_wavelength=(
                model.global_max_wavelength if is_global else model.local_max_wavelength
            ),
            name=block + "self_attention/",
        )
        entering = normalise(hidden, block + "feed_forward_norm")
        hidden = hidden + feed_forward(entering, weights, model.activation, block + "feed_forward/")
    return normalise(hidden, "final_norm")


def t5(model, source, target, source_mask=None, target_mask=None):
    """The forward pass of `T5Backbone`: source (B, S), target (B, T).

    Returns:
        the encoder's last states (B, S, D), the decoder's (B, T, D), and logits (B, T, V).
    """
    weights, length = weights_of(model), target.shape[1]
    source_mask = np.ones(source.shape, bool) if source_mask is None else source_mask
    target_mask = np.ones(target.shape, bool) if target_mask is None else target_mask
    before = np.tril(np.ones((length, length), bool))
    context = _t5_stack(model, weights, "encoder", source, source_mask[:, None])
    mask = before[None] & target_mask[:, None]
    hidden = _t5_stack(model, weights, "decoder", target, mask, context, source_mask[:, None])
    table = "embeddings" if model.tied else "output_embeddings"
    scale = model.hidden_dim**-0.5 if model.tied else 1.0
    return context, hidden, scale * hidden @ weights[f"token_embedding/{table}"].T


def _t5_stack(model, weights, stack, token_ids, mask, context=None, context_mask=None):
    length = token_ids.shape[1]
    table = weights[f"{stack}_bias/embeddings"]
    bias = relative_bias(table, length, context is None, model.num_buckets, model.max_distance)
    hidden = weights["token_embedding/embeddings"][token_ids]
    count = model.num_layers if context is None else model.num_decoder_layers
    heads = model.num_heads
    for index in range(count):
        block = f"{stack}_block_{index}/"

        def normalise(hidden, name, block=block):
            return norm(hidden, weights, block + name, "rms_norm", model.norm_epsilon)

        hidden = hidden + self_attention(
            normalise(hidden, "self_attention_norm"),
            weights,
            heads,
            mask=mask,
            bias=bias,
            scale=1.0,
            name=block + "self_attention/",
        )
        if context is not None:
            hidden = hidden + cross_attention(
                normalise(hidden, "cross_attention_norm"),
                context,
                weights,
                heads,
                mask=context_mask,
                name=block + "cross_attention/",
                scale=1.0,
            )
        entering = normalise(hidden, "feed_forward_norm")
        hidden = hidden + feed_forward(entering, weights, model.activation, block + "feed_forward/")
    return norm(hidden, weights, f"{stack}_norm", "rms_norm", model.norm_epsilon)


def relative_bias(table, length, bidirectional, num_buckets, max_distance):
    """What a table (number of buckets, N) adds to the scores, (1, N, T, T)."""
    buckets = [
        [distance_bucket(s - t, bidirectional, num_buckets, max_distance) for s in range(length)]
        for t in range(length)
    ]
    # (T, T, N) -> (1, N, T, T)
    return table[buckets].transpose(2, 0, 1)[None]
