"""The mixing of values by queries and keys, without weights of its own.

Shapes: B batch, T query length, S key length, N heads, K key-value heads, H head size.
"""

from keras import ops

from lmzoo.layers.precision import at_least_float32
from lmzoo.layers.shapes import find_size

__all__ = ["attend"]


def attend(
    query,
    key,
    value,
    attention_mask=None,
    bias=None,
    scale=None,
    dropout=None,
    return_weights=False,
):
    """Mixes values by how well each key answers each query.

    Args:
        query: float (B, N, T, H).
        key: float (B, K, S, H); N / K neighbouring query heads share one key-value head.
        value: float (B, K, S, H).
        attention_mask: bool (B or 1, T or 1, S), True = may look; None lets all look at all. A
            query that may look nowhere gets zeros.
        bias: float (B or 1, N, T, S) added to the scores before masking, or None.
        scale: float. Multiplies the scores; None for H ** -0.5.
        dropout: callable applied to the weights, or None.
        return_weights: bool. Whether to hand out the weights too, as they are before dropout.
    Returns:
        float (B, N, T, H) in the dtype of `query`; with `return_weights` the pair of it and the
        weights, (B, N, T, S), each row of which sums to 1 (to 0 where nothing may be looked at).
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2; Ainslie et al.
        2023, https://arxiv.org/abs/2305.13245 (grouped queries).
    """
    shrink = query.shape[-1] ** -0.5
    # Whatever the scale, the product is made of queries that are this small: without it, T5's
    # exceeds what float16 holds.
    query = query * shrink
    # (B, N, T, H), (B, K, S, H) -> (B, N, T, S)
    # TensorFlow folds this transposition into the product and reads the keys where they lie; an
    # einsum copies them first, which at a decoding step is the whole cache.
    scores = at_least_float32(_group_product(query, ops.transpose(key, (0, 1, 3, 2))))
    if scale is not None:
        scores = scores * (scale / shrink)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    if attention_mask is not None:
        attention_mask = ops.expand_dims(attention_mask, 1)
        # The lowest number of float16, so that an accelerator that computes in it has no infinity.
        scores = ops.where(attention_mask, scores, -65504.0)
    # Keras warns of a softmax over one value, but a prompt of one token is no mistake.
    weights = ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)
    weights = ops.cast(weights, value.dtype)
    kept = weights if dropout is None else dropout(weights)
    # (B, N, T, S), (B, K, S, H) -> (B, N, T, H)
    mixed = _group_product(kept, value)
    if attention_mask is not None:
        # Beside a key that is seen, the softmax gives hidden ones 0; alone, they share the whole.
        sees = ops.any(attention_mask, axis=-1, keepdims=True)
        mixed = ops.where(sees, mixed, 0.0)
        weights = ops.where(sees, weights, 0.0)
    return (mixed, weights) if return_weights else mixed


def _group_product(queries, keys):
    """A product in which N / K query heads of `queries` meet each of the K heads of `keys`."""
    num_heads, num_key_value_heads = queries.shape[1], keys.shape[1]
    if num_heads == num_key_value_heads:
        return ops.matmul(queries, keys)
    length, features = find_size(queries, axis=2), find_size(queries, axis=3)
    group_length = num_heads // num_key_value_heads * length
    # (B, N, T, X) -> (B, K, N / K * T, X)
    grouped = ops.reshape(queries, (-1, num_key_value_heads, group_length, features))
    mixed = ops.matmul(grouped, keys)
    # (B, K, N / K * T, Y) -> (B, N, T, Y)
    return ops.reshape(mixed, (-1, num_heads, length, find_size(mixed, axis=3)))
