"""Pooling of hidden states, and heads: logits from the hidden states of a backbone.

Shapes: B batch, T length, D hidden, C classes, V vocabulary.
"""

import keras
from keras import ops

from lmzoo.layers.checks import check_choice, check_rate, check_size, list_arguments
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.embedding import project
from lmzoo.layers.feed_forward import find_activation
from lmzoo.layers.norms import make_norm
from lmzoo.layers.tensors import at_least_float32, flatten_positions, restore_positions

__all__ = ["ClassificationHead", "MaskedLMHead", "check_pooling", "find_first", "pool"]


@keras.saving.register_keras_serializable(package="lmzoo")
class ClassificationHead(keras.layers.Layer):
    """Classification head for texts, tokens or the ends of answers.

    Args:
        num_classes: int. C.
        hidden_activation: str or None. If given, a dense layer of D units with this activation
            comes first, as in RoBERTa ("tanh") and DistilBERT ("relu").
        dropout: float in [0, 1). Before the last dense layer. (RoBERTa has a second one before its
            first dense layer.)
        initializer: Keras initializer of the kernels.
        use_bias: bool. Whether the last dense layer has a bias.
        use_hidden_bias: bool. Whether the first dense layer has a bias.
        hidden_norm_epsilon: float or None. If given, a layer norm without bias follows the
            activation, as in ModernBERT.
    Call arguments:
        hidden: float (B, D) or (B, T, D).
    Returns:
        Logits, float (B, C) or (B, T, C), in at least float32.
    Raises:
        TypeError: if `num_classes` is not an int.
        ValueError: if a number is out of its range or the activation is unknown.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.
    Example:
        >>> head = ClassificationHead(num_classes=3, hidden_activation="tanh")
        >>> tuple(head(keras.ops.ones((2, 8))).shape)
        (2, 3)
    """

    def __init__(
        self,
        num_classes,
        hidden_activation=None,
        dropout=0.0,
        initializer="glorot_uniform",
        use_bias=True,
        use_hidden_bias=True,
        hidden_norm_epsilon=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_size(num_classes=num_classes)
        check_rate(dropout=dropout)
        if hidden_norm_epsilon is not None and hidden_activation is None:
            raise ValueError(
                "`hidden_norm_epsilon` must be None where there is no `hidden_activation`. "
                f"Received: hidden_norm_epsilon={hidden_norm_epsilon!r}."
            )
        self.supports_masking = True
        self.num_classes = num_classes
        self.hidden_activation = hidden_activation
        self.use_bias = use_bias
        self.use_hidden_bias = use_hidden_bias
        self.hidden_norm_epsilon = hidden_norm_epsilon
        self.dropout = dropout
        self.initializer = keras.initializers.get(initializer)
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self._activation_function = hidden_activation and find_activation(hidden_activation)
        self.hidden_norm = None
        if hidden_norm_epsilon is not None:
            self.hidden_norm = make_norm(
                "layer_norm", hidden_norm_epsilon, "hidden_norm", self.dtype_policy, use_bias=False
            )

    def _make_dense(self, name, size, use_bias=True):
        return keras.layers.Dense(
            size,
            use_bias=use_bias,
            kernel_initializer=self.initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, hidden_shape):
        hidden_dim = hidden_shape[-1]
        if self.hidden_activation is not None:
            self.hidden_dense = self._make_dense("hidden", hidden_dim, self.use_hidden_bias)
            self.hidden_dense.build((None, hidden_dim))
        if self.hidden_norm is not None:
            self.hidden_norm.build((None, hidden_dim))
        self.output_dense = self._make_dense("output", self.num_classes, self.use_bias)
        self.output_dense.build((None, hidden_dim))

    def call(self, hidden, training=None):
        flat = flatten_positions(hidden)
        if self.hidden_activation is not None:
            flat = self._activation_function(self.hidden_dense(flat))
        if self.hidden_norm is not None:
            flat = self.hidden_norm(flat)
        logits = at_least_float32(self.output_dense(self.dropout_layer(flat, training=training)))
        return logits if len(hidden.shape) == 2 else restore_positions(logits, like=hidden)

    def compute_output_spec(self, hidden, training=None):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        return keras.KerasTensor(self.compute_output_shape(hidden.shape), dtype)

    def compute_output_shape(self, hidden_shape):
        return (*hidden_shape[:-1], self.num_classes)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, ClassificationHead)}


@keras.saving.register_keras_serializable(package="lmzoo")
class MaskedLMHead(keras.layers.Layer):
    """Masked-language-model head: dense layer, norm, and logits with the token embeddings.

    Args:
        vocabulary_size: int. V.
        activation: str. As for `FeedForward`.
        norm_epsilon: float.
        initializer: Keras initializer of the kernel.
        use_bias: bool. Whether the dense layer and the norm have biases; the logits always have.
    Call arguments:
        hidden: float (B, T, D).
        embeddings: float (V, E). The backbone's token embeddings.
    Returns:
        Logits, float (B, T, V), in at least float32.
    Raises:
        TypeError: if `vocabulary_size` is not an int.
        ValueError: if a number is out of its range or the activation is unknown.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, and the code published with it
        (`get_masked_lm_output`): dense, activation, norm, tied embeddings, one bias a token.
    Example:
        >>> head = MaskedLMHead(vocabulary_size=5)
        >>> logits = head(keras.ops.ones((2, 3, 8)), embeddings=keras.ops.ones((5, 8)))
        >>> tuple(logits.shape)
        (2, 3, 5)
    """

    def __init__(
        self,
        vocabulary_size,
        activation="gelu",
        norm_epsilon=1e-12,
        initializer="glorot_uniform",
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_size(vocabulary_size=vocabulary_size)
        self._activation_function = find_activation(activation)
        self.supports_masking = True
        self.vocabulary_size = vocabulary_size
        self.activation = activation
        self.norm_epsilon = norm_epsilon
        self.use_bias = use_bias
        self.initializer = keras.initializers.get(initializer)
        self.norm = make_norm("layer_norm", norm_epsilon, "norm", self.dtype_policy, use_bias)

    def build(self, hidden_shape, embeddings_shape=None):
        embedding_dim = (embeddings_shape or hidden_shape)[-1]
        self.dense = keras.layers.Dense(
            embedding_dim,
            use_bias=self.use_bias,
            kernel_initializer=self.initializer.clone(),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build((None, hidden_shape[-1]))
        self.norm.build((None, embedding_dim))
        # One number a token: added to logits that are float32 already.
        self.bias = self.add_weight(
            shape=(self.vocabulary_size,), initializer="zeros", name="bias", autocast=False
        )

    def transform(self, hidden):
        """What the token embeddings are multiplied with: float (B, T, D) -> (B * T, E)."""
        return self.norm(self._activation_function(self.dense(flatten_positions(hidden))))

    def call(self, hidden, embeddings):
        flat = self.transform(hidden)
        # (B * T, E), (V, E) -> (B * T, V)
        logits = at_least_float32(project(flat, embeddings))
        return restore_positions(logits + ops.cast(self.bias, logits.dtype), like=hidden)

    def compute_output_spec(self, hidden, embeddings):
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        return keras.KerasTensor(self.compute_output_shape(hidden.shape), dtype)

    def compute_output_shape(self, hidden_shape, embeddings_shape=None):
        return (*hidden_shape[:-1], self.vocabulary_size)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, MaskedLMHead)}


_POOLINGS = ("cls", "last", "mean", "max")


def pool(hidden, padding_mask=None, pooling="mean"):
    """Pools hidden states over the real tokens of each text.

    Args:
        hidden: float (B, T, D).
        padding_mask: bool (B, T), True for real tokens; None if all are.
        pooling: "cls" takes the first real token, "last" the last one, "mean" the average and "max"
            the largest value of each feature over the real tokens.
    Returns:
        float (B, D) in the dtype of `hidden`. A row without real tokens gives zeros for "mean" and
        "max".
    Raises:
        ValueError: if `pooling` is unknown.
    Reference: Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3.
    Example:
        >>> hidden = ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
        >>> float(pool(hidden, ops.convert_to_tensor([[True, True, False]]))[0, 0])
        2.0
    """
    check_pooling(pooling)
    if padding_mask is None:
        if pooling in ("cls", "last"):
            return hidden[:, 0 if pooling == "cls" else -1]
        return ops.mean(hidden, axis=1) if pooling == "mean" else ops.max(hidden, axis=1)
    if pooling in ("cls", "last"):
        # A product with a one-hot row instead of a gather: every model converter supports it.
        find = find_first if pooling == "cls" else _find_last
        chosen = ops.one_hot(find(padding_mask), ops.shape(hidden)[1], dtype=hidden.dtype)
        # (B, 1, T), (B, T, D) -> (B, 1, D) -> (B, D)
        return ops.squeeze(ops.matmul(ops.expand_dims(chosen, 1), hidden), 1)
    real = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)
    if pooling == "max":
        highest = ops.max(ops.where(real, hidden, -65504.0), axis=1)
        return ops.where(ops.any(real, axis=1), highest, 0.0)
    precise = at_least_float32(hidden)
    total = ops.sum(ops.where(real, precise, 0.0), axis=1)
    count = ops.sum(ops.cast(real, precise.dtype), axis=1)
    return ops.cast(total / ops.maximum(count, 1.0), hidden.dtype)


def check_pooling(pooling):
    """Raises ValueError if `pooling` is unknown."""
    check_choice(_POOLINGS, pooling=pooling)


def find_first(padding_mask):
    """The index of the first real token of each row: bool (B, T) -> int32 (B,)."""
    return ops.cast(ops.argmax(ops.cast(padding_mask, "int32"), axis=1), "int32")


def _find_last(padding_mask):
    """The index of the last real token of each row: bool (B, T) -> int32 (B,)."""
    index = ops.arange(ops.shape(padding_mask)[1], dtype="int32")
    return ops.max(ops.where(padding_mask, index, 0), axis=1)
