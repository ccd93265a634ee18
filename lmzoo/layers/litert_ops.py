"""The ops of layers whose best form for LiteRT is not the one that is best for TensorFlow."""

import contextlib
import contextvars

from keras import ops

__all__ = ["is_litert", "litert_ops", "look_up"]

# The gather function of the context, or None outside of one.
_gather = contextvars.ContextVar("gather", default=None)


@contextlib.contextmanager
def litert_ops(gather):
    """A context for tracing what is converted to LiteRT.

    Within it a cache is written by a slice update, which LiteRT does in place (DYNAMIC_UPDATE_SLICE
    where a scatter becomes six ops), and a look-up is a gather over a flat list of ids, without the
    ops by which `ops.take` counts negative ids from the end.

    Args:
        gather: callable of a table (V, D) and ids int (R,), such as `tf.gather`. `keras.ops` has
            none without negative ids.
    """
    token = _gather.set(gather)
    try:
        yield
    finally:
        _gather.reset(token)


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
