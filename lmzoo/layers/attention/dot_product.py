"""Scaled dot-product attention with masks, biases and grouped queries.

Shapes: B batch, T query length, S key length, N heads, K key-value heads, H head size.
"""

from keras import ops

from lmzoo.layers.contexts import attention_records, is_litert
from lmzoo.layers.tensors import at_least_float32, find_size, hide

__all__ = [
    *("attend", "compute_weights", "group_product", "record_weights", "sum_group_products"),
]


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
    """Scaled dot-product attention.

    Args:
        query: float (B, N, T, H).
        key: float (B, K, S, H). Groups of N / K query heads share a key-value head.
        value: float (B, K, S, H).
        attention_mask: bool (B or 1, T or 1, S), True where a query may attend to a key; None for
            everywhere. A query that may attend to no key gets zeros.
        bias: float (B or 1, N, T, S) added to the scores before masking, or None.
        scale: float. Multiplies the scores; None for H ** -0.5.
        dropout: callable applied to the weights, or None.
        return_weights: bool. Whether to return the weights too, as they are before dropout.
    Returns:
        float (B, N, T, H) in the dtype of `query`; with `return_weights` the pair of it and the
        weights, (B, N, T, S), each row of which sums to 1, or to 0 without a key to attend to.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2; Ainslie et al.
        2023, https://arxiv.org/abs/2305.13245 (grouped queries).
    """
    weights = compute_weights(query, key, attention_mask, bias, scale)
    weights = ops.cast(weights, value.dtype)
    kept = weights if dropout is None else dropout(weights)
    # (B, N, T, S), (B, K, S, H) -> (B, N, T, H)
    attended = _sum_one(kept, value) if _is_one(query, key) else group_product(kept, value)
    if attention_mask is not None:
        # A row without any visible key would spread its weights over the hidden ones.
        has_keys = ops.any(ops.expand_dims(attention_mask, 1), axis=-1, keepdims=True)
        attended = hide(attended, has_keys)
        if return_weights:
            weights = ops.where(has_keys, weights, 0.0)
    return (attended, weights) if return_weights else attended


def compute_weights(query, key, attention_mask, bias, scale):
    """The weights of attention before dropout, in at least float32.

    Args:
        query, key, attention_mask, bias, scale: as for `attend`.
    Returns:
        float (B, N, T, S). A row without any visible key is spread over all of them.
    """
    shrink = query.shape[-1] ** -0.5
    # T5 does not scale its scores, and their product would overflow float16. So queries are always
    # shrunk before the product, and `scale` corrects the scores in float32 after it.
    query = query * shrink
    # (B, N, T, H), (B, K, S, H) -> (B, N, T, S)
    if _is_one(query, key):
        scores = _score_one(query, key)
    else:
        # TensorFlow folds this transposition into the product. An einsum would copy the keys first,
        # which at a decoding step is the whole cache.
        scores = group_product(query, ops.transpose(key, (0, 1, 3, 2)))
    scores = at_least_float32(scores)
    if scale is not None:
        scores = scores * (scale / shrink)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    if attention_mask is not None:
        # The lowest finite float16: an accelerator that computes in it must not see an infinity.
        scores = hide(scores, ops.expand_dims(attention_mask, 1), -65504.0)
    # Keras warns of a softmax over one value, but a prompt of one token is no mistake.
    return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)


def record_weights(layer, query, key, attention_mask, bias, scale):
    """Computes and keeps the weights of a layer, where a context asks for them.

    Args:
        layer: the attention layer.
        query, key, attention_mask, bias, scale: as for `attend`.
    """
    records = attention_records()
    if records is None:
        return
    # Once more, and not those of `attend`, which are in the compute dtype.
    weights = compute_weights(query, key, attention_mask, bias, scale)
    if attention_mask is not None:
        weights = ops.where(ops.expand_dims(attention_mask, 1), weights, 0.0)
    records[id(layer)] = weights


def _is_one(query, key):
    """Whether LiteRT attends from a single position, without groups of heads."""
    return is_litert() and query.shape[2] == 1 and query.shape[1] == key.shape[1]


# LiteRT's product packs the keys or values anew in each call. To multiply and add up reads them
# once: at 768 slots attention takes 0.7 times as long.


def _score_one(query, key):
    """(B, N, 1, H), (B, N, S, H) -> (B, N, 1, S)."""
    return ops.expand_dims(ops.sum(query * key, axis=-1), 2)


def _sum_one(weights, value):
    """(B, N, 1, S), (B, N, S, H) -> (B, N, 1, H)."""
    return ops.sum(ops.transpose(weights, (0, 1, 3, 2)) * value, axis=2, keepdims=True)


def group_product(queries, keys):
    """(B, N, T, X) times (B, K, X, Y), each of the K heads for N / K query heads: (B, N, T, Y)."""
    num_heads, num_key_value_heads = queries.shape[1], keys.shape[1]
    if num_heads == num_key_value_heads:
        return ops.matmul(queries, keys)
    length = find_size(queries, axis=2)
    # (B, K, N / K * T, X), (B, K, X, Y) -> (B, K, N / K * T, Y) -> (B, N, T, Y)
    attended = ops.matmul(_gather_group(queries, num_key_value_heads), keys)
    return ops.reshape(attended, (-1, num_heads, length, find_size(attended, axis=3)))


def sum_group_products(weights, queries, num_key_value_heads):
    """(B, N, T, X) and (B, N, T, Y) to (B, K, X, Y), summed over T and each group of heads."""
    if num_key_value_heads != weights.shape[1]:
        weights, queries = (_gather_group(one, num_key_value_heads) for one in (weights, queries))
    return ops.matmul(ops.transpose(weights, (0, 1, 3, 2)), queries)


def _gather_group(queries, num_key_value_heads):
    """(B, N, T, X) -> (B, K, N / K * T, X)."""
    length, features = find_size(queries, axis=2), find_size(queries, axis=3)
    group_length = queries.shape[1] // num_key_value_heads * length
    return ops.reshape(queries, (-1, num_key_value_heads, group_length, features))
