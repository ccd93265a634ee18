"""Looking into a forward pass: attention weights that are recorded, embeddings that are replaced.

Outside of these contexts a layer asks a context variable and goes on, while it is traced or called.
"""

import contextvars

from keras import ops

from lmzoo.layers.attention.dot_product import compute_weights
from lmzoo.layers.contexts import hold

__all__ = ["record_attention", "record_weights", "replace_embeddings", "replaced_embeddings"]

_records = contextvars.ContextVar("attention_records", default=None)
_replacement = contextvars.ContextVar("embedding_replacement", default=None)


def record_attention():
    """A context in which attention layers keep their weights, as they are before dropout.

    Yields:
        dict of id of a layer to float (B, N, T, S), in float32 at least: what its last call in
        this context gave. Each row sums to 1, or to 0 without a key to attend to.

    Example:
        with record_attention() as weights:
            backbone({"token_ids": token_ids})
        weights[id(backbone.blocks[0].self_attention)]
    """
    return hold(_records, {})


def record_weights(layer, query, key, attention_mask, bias, scale):
    """Computes and keeps the weights of a layer, where a context asks for them.

    Args:
        layer: the attention layer.
        query, key, attention_mask, bias, scale: as for `lmzoo.layers.attention.dot_product.attend`.
    """
    records = _records.get()
    if records is None:
        return
    # Once more, and not those of `attend`, which are in the compute dtype.
    weights = compute_weights(query, key, attention_mask, bias, scale)
    if attention_mask is not None:
        weights = ops.where(ops.expand_dims(attention_mask, 1), weights, 0.0)
    records[id(layer)] = weights


def replace_embeddings(layer, embeddings):
    """A context in which a `TokenEmbedding` looks nothing up, but gives other embeddings.

    Args:
        layer: TokenEmbedding.
        embeddings: float (B, T, D).
    """
    return hold(_replacement, (layer, embeddings))


def replaced_embeddings(layer):
    """What `layer` has to give in place of its look-up; None outside of such a context."""
    own, embeddings = _replacement.get() or (None, None)
    return embeddings if own is layer else None
