"""The position-wise feed-forward network of a transformer block, and its activations."""

import functools
import math

import keras
from keras import ops

from lmzoo.layers.checks import check_rate, check_size, list_arguments
from lmzoo.layers.dense import Dense
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.fusion import call_fused
from lmzoo.layers.tensors import flatten_positions, restore_positions, widen_policy

__all__ = ["FeedForward", "find_activation"]


@keras.saving.register_keras_serializable(package="lmzoo")
class FeedForward(keras.layers.Layer):
    """Position-wise feed-forward network, optionally gated (GLU).

    Args:
        intermediate_dim: int. F, the size of the intermediate layer.
        activation: str. The name of a Keras activation, where "gelu" is the exact one, or
            "gelu_tanh", the approximation that GPT-2 was trained with. It is applied to the first
            projection, or to the gate.
        gated: bool. If True, a second projection multiplies the activated one (GLU).
        use_bias: bool. Whether the projections have biases.
        dropout: float in [0, 1). Applied to the intermediate activations, after the gate.
        initializer: Keras initializer of the first kernels.
        output_initializer: that of the last kernel; None for `initializer`.
        float32_output: bool. If True, the gate's product and the last projection are computed in
            float32 at least: published T5s exceed what float16 holds there.
    Call arguments:
        hidden: float (B, T, D).
    Returns:
        float (B, T, D) in the compute dtype; with `float32_output` in float32 at least.
    Raises:
        TypeError: if `intermediate_dim` is not an int.
        ValueError: if `intermediate_dim` is not positive, `activation` is unknown, or `dropout` is
            out of its range.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.3; Hendrycks and
        Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2 (both gelus); Shazeer 2020,
        https://arxiv.org/abs/2002.05202, section 2 (gated).
    Example:
        >>> layer = FeedForward(intermediate_dim=32, activation="silu", gated=True)
        >>> tuple(layer(keras.ops.ones((2, 5, 8))).shape)
        (2, 5, 8)
    """

    def __init__(
        self,
        intermediate_dim,
        activation="gelu",
        gated=False,
        use_bias=True,
        dropout=0.0,
        initializer="glorot_uniform",
        output_initializer=None,
        float32_output=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_size(intermediate_dim=intermediate_dim)
        check_rate(dropout=dropout)
        self.supports_masking = True
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.gated = gated
        self.use_bias = use_bias
        self.dropout = dropout
        self.float32_output = float32_output
        self.initializer = keras.initializers.get(initializer)
        self.output_initializer = keras.initializers.get(output_initializer or initializer)
        self._activation_function = find_activation(activation)
        self.intermediate = self._make_dense("intermediate", intermediate_dim, self.initializer)
        self.gate = None
        if gated:
            self.gate = self._make_dense("gate", intermediate_dim, self.initializer)
        middle_policy = self._output_policy if gated else self.dtype_policy
        self.dropout_layer = Dropout(dropout, dtype=middle_policy, name="dropout")

    def _make_dense(self, name, size, initializer, dtype=None):
        return Dense(
            size,
            use_bias=self.use_bias,
            kernel_initializer=initializer.clone(),
            dtype=dtype or self.dtype_policy,
            name=name,
        )

    def build(self, hidden_shape):
        hidden_dim = hidden_shape[-1]
        self.intermediate.build((None, hidden_dim))
        if self.gated:
            self.gate.build((None, hidden_dim))
        self.output_dense = self._make_dense(
            "output",
            hidden_dim,
            self.output_initializer,
            self._output_policy,
        )
        self.output_dense.build((None, self.intermediate_dim))

    @property
    def _output_policy(self):
        return widen_policy(self.dtype_policy) if self.float32_output else self.dtype_policy

    def call(self, hidden, training=None):
        # (B, T, D) -> (B * T, D) -> (B * T, F)
        flat = flatten_positions(hidden)
        intermediate = self.intermediate(flat)
        activate, tensors = self._activation_function, [intermediate]
        dtype = self.dropout_layer.compute_dtype
        if self.gated:
            activate, tensors = _gate(activate, dtype), [self.gate(flat), intermediate]
        intermediate = call_fused(
            activate,
            *tensors,
            dtype=dtype,
            text_shape=(hidden.shape[1], self.intermediate_dim),
            training=training,
        )
        intermediate = self.dropout_layer(intermediate, training=training)
        # (B * T, F) -> (B, T, D)
        return restore_positions(self.output_dense(intermediate), like=hidden)

    def compute_output_spec(self, hidden, training=None):
        # Not `compute_output_shape`, for which Keras takes the compute dtype.
        return keras.KerasTensor(hidden.shape, self._output_policy.compute_dtype)

    def compute_output_shape(self, hidden_shape):
        # `summary` asks for it.
        return hidden_shape

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, FeedForward)}


def find_activation(name):
    """The function that an activation's name stands for; ValueError if there is none."""
    try:
        if isinstance(name, str):
            return _GELUS[name] if name in _GELUS else keras.activations.get(name)
    except ValueError:
        pass
    raise ValueError(
        "`activation` must be 'gelu_tanh' or the name of a Keras activation. "
        f"Received: activation={name!r}."
    )


@functools.cache
def _gate(activation, dtype):
    """The function that multiplies by an activated gate, in a dtype or that of its inputs."""

    def multiply(gate, intermediate):
        wider = keras.backend.result_type(gate.dtype, dtype)
        return ops.cast(activation(gate), wider) * ops.cast(intermediate, wider)

    return multiply


# TensorFlow's own gelus have float32 constants and are off by 1e-8 in float64. These are as fast
# (measured on (1024, 3072); a power in place of x * x * x costs a third more in bfloat16).


def _gelu(x):
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


def _gelu_tanh(x):
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1.0 + ops.tanh(inner))


_GELUS = {"gelu": _gelu, "gelu_tanh": _gelu_tanh}
