"""Sample weights, broadcast to the values they weigh."""

from keras import ops

__all__ = ["spread_weights"]


def spread_weights(sample_weight, values):
    """Broadcasts sample weights to the shape of the values.

    Args:
        sample_weight: bool, int or float (B,), (B, 1) or the shape of `values`; None for all ones.
        values: tensor (B, ...).
    Returns:
        float64, the shape of `values`.
    Example:
        >>> spread_weights([1, 0], ops.zeros((2, 2))).numpy().tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    if sample_weight is None:
        return ops.ones_like(values, dtype="float64")
    weights = ops.cast(sample_weight, "float64")
    rank = len(values.shape)
    if len(weights.shape) == rank + 1:
        # Keras passes (B,) as (B, 1) in some cases.
        weights = ops.squeeze(weights, -1)
    while len(weights.shape) < rank:
        weights = ops.expand_dims(weights, -1)
    return ops.broadcast_to(weights, ops.shape(values))
