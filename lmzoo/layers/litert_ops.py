"""The ops of layers whose best form for LiteRT is not the one that is best for TensorFlow."""

import contextvars

from keras import ops

from lmzoo.layers.contexts import hold

__all__ = ["hide", "is_litert", "litert_ops", "look_up", "split_once"]

# The gather function of the context, or None outside of one.
_gather = contextvars.ContextVar("gather", default=None)


def litert_ops(gather):
    """A context for tracing what is converted to LiteRT.

    Within it a cache is written by a slice update, which LiteRT does in place (DYNAMIC_UPDATE_SLICE
    where a scatter becomes six ops), a look-up is a gather over a flat list of ids, without the ops
    by which `ops.take` counts negative ids from the end, and what XNNPACK has no kernel for (SELECT
    and SPLIT_V) is done by ops for which it has one, so that it takes a layer in fewer pieces.

    Args:
        gather: callable of a table (V, D) and ids int (R,), such as `tf.gather`. `keras.ops` has
            none without negative ids.
    """
    return hold(_gather, gather)


def is_litert():
    """Whether the context `litert_ops` holds here."""
    return _gather.get() is not None


def look_up(table, ids):
    """Rows of a table.

    Args:
        table: (V, D).
        ids: int, of any shape, from 0 to V - 1.
    Returns:
        (*ids.shape, D) in the dtype of the table.
    """
    gather = _gather.get()
    if gather is None:
        return ops.take(table, ids, axis=0)
    rows = gather(ops.convert_to_tensor(table), ops.reshape(ids, (-1,)))
    return ops.reshape(rows, (*ops.shape(ids), table.shape[-1]))


def hide(values, mask, hidden=0.0):
    """Values where a mask is True, and `hidden` elsewhere.

    For LiteRT `hidden` is added where it is not 0, so it must be far beyond the values, which must
    be finite: a score and -65504 is no score that a softmax sees.

    Args:
        values: float.
        mask: bool, of a shape that broadcasts to that of `values`.
        hidden: float.
    """
    if not is_litert():
        return ops.where(mask, values, hidden)
    if hidden:
        return values + ops.where(mask, ops.zeros((), values.dtype), hidden)
    return values * ops.cast(mask, values.dtype)


def split_once(tensor, size, axis, sliced=False):
    """The first `size` along an axis, and the rest.

    Args:
        tensor: float.
        size, axis: int.
        sliced: bool. Whether to slice, which is a quarter of the ops in a traced graph, but slower
            to differentiate.
    """
    if not (sliced or is_litert()):
        return ops.split(tensor, [size], axis=axis)
    before = (slice(None),) * axis
    return tensor[(*before, slice(size))], tensor[(*before, slice(size, None))]
