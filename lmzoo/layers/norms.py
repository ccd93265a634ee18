"""Normalization layers by name, both Keras's own."""

import keras

from lmzoo.layers.checks import check_positive

__all__ = ["make_norm"]


def make_norm(kind, epsilon, name, dtype=None, use_bias=True):
    """Makes a normalization layer over the last axis.

    Args:
        kind: "layer_norm" (mean and variance) or "rms_norm" (root mean square, no bias).
        epsilon: float. Added to the variance.
        name: str. The layer's name.
        dtype: a Keras dtype policy, or None for the global one.
        use_bias: bool. Whether a "layer_norm" adds a bias; an "rms_norm" never does.
    Returns:
        `keras.layers.LayerNormalization` or `keras.layers.RMSNormalization`. Both compute in
        float32 under a mixed policy and pass Keras masks on.
    Raises:
        ValueError: if `kind` is neither, or `epsilon` is not positive.
    Reference: Ba et al. 2016, https://arxiv.org/abs/1607.06450; Zhang and Sennrich 2019,
        https://arxiv.org/abs/1910.07467.
    """
    check_positive(epsilon=epsilon)
    if kind == "layer_norm":
        return keras.layers.LayerNormalization(
            epsilon=epsilon, center=use_bias, name=name, dtype=dtype
        )
    if kind == "rms_norm":
        layer = keras.layers.RMSNormalization(epsilon=epsilon, name=name, dtype=dtype)
        # It treats each position alone, but unlike LayerNormalization does not say so.
        layer.supports_masking = True
        return layer
    raise ValueError(f"`norm` must be 'layer_norm' or 'rms_norm'. Received: norm={kind!r}.")
