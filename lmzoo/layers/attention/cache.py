"""The key-value cache, as plain dictionaries of tensors.

Shapes: B batch, K key-value heads, S slots, H head size, T new positions.
"""

from keras import ops

from lmzoo.layers.contexts import is_litert
from lmzoo.layers.tensors import find_size

__all__ = ["init_cache", "update_cache", "write_mask"]


def init_cache(batch_size, num_heads, num_slots, head_dim, dtype):
    """Makes an empty cache for one attention layer.

    Args:
        batch_size: int or scalar tensor. B.
        num_heads: int. K, the key-value heads.
        num_slots: int or scalar tensor. S, how many positions fit.
        head_dim: int. H.
        dtype: str. The compute dtype of the layer.
    Returns:
        dict with `key` and `value`, float (B, K, S, H) of zeros.
    """
    shape = (batch_size, num_heads, num_slots, head_dim)
    return {"key": ops.zeros(shape, dtype), "value": ops.zeros(shape, dtype)}


def update_cache(cache, key, value, position):
    """Writes new keys and values into their slots.

    Rows are scattered into the flattened cache because TensorFlow then writes them in place, inside
    XLA and outside. A `where` or a slice update copies the whole cache at every step (measured at
    1,024 slots: 10 ms a step against 15 and 18).

    Args:
        cache: dict as `init_cache` gives it.
        key: float (B, K, T, H).
        value: float (B, K, T, H).
        position: int or scalar int tensor. The slot of the first new position.
    Returns:
        dict of the same shapes as `cache`.
    Raises:
        ValueError: if `position` and the sizes are known and the new positions do not fit.
    """
    _check_room(cache["key"].shape[2], key.shape[2], position)
    if is_litert():
        start = ops.stack([0, 0, ops.cast(position, "int32"), 0])
        return {
            "key": ops.slice_update(cache["key"], start, key),
            "value": ops.slice_update(cache["value"], start, value),
        }
    # Asked once for keys and values: each size is four ops in every layer of a traced step.
    shape = ops.shape(cache["key"])
    slots = _slot_indices(shape, key, position)
    return {
        "key": _write_slots(cache["key"], shape, key, slots),
        "value": _write_slots(cache["value"], shape, value, slots),
    }


def _check_room(num_slots, length, position):
    # Beyond its last slot a row would overwrite those of the next row.
    known = isinstance(position, int) and None not in (num_slots, length)
    if known and not 0 <= position <= num_slots - length:
        raise ValueError(
            "The new positions must fit into the cache. Received: "
            f"position={position}, {length} new positions, {num_slots} slots."
        )


def _slot_indices(shape, values, position):
    batch_size, num_heads, num_slots, _ = shape
    first = ops.arange(batch_size * num_heads, dtype="int32") * num_slots
    first = first + ops.cast(position, "int32")
    # (B * K, 1) + (1, T) -> (B * K * T, 1)
    steps = ops.arange(find_size(values, axis=2), dtype="int32")
    return ops.reshape(ops.expand_dims(first, 1) + ops.expand_dims(steps, 0), (-1, 1))


def _write_slots(cache, shape, values, slots):
    head_dim = cache.shape[-1]
    flat = ops.scatter_update(
        ops.reshape(cache, (-1, head_dim)), slots, ops.reshape(values, (-1, head_dim))
    )
    return ops.reshape(flat, (*shape[:-1], head_dim))


def write_mask(slots, new, position):
    """Writes the padding mask of new positions into their slots.

    Args:
        slots: bool (B, S), True where a slot holds a real token.
        new: bool (B, T), True for real tokens.
        position: int or scalar int tensor. The slot of the first new position.
    Returns:
        bool (B, S).
    """
    # A row of booleans is small enough for a where over all slots.
    length, num_slots = ops.shape(new)[1], ops.shape(slots)[1]
    index = ops.arange(num_slots, dtype="int32") - ops.cast(position, "int32")
    inside = ops.logical_and(index >= 0, index < length)
    taken = ops.take(ops.cast(new, "bool"), ops.clip(index, 0, length - 1), axis=1)
    return ops.where(inside, taken, slots)
