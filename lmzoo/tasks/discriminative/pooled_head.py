"""A head on the one vector that stands for a whole text."""

import keras

from lmzoo.layers import ClassificationHead, pool

__all__ = ["apply_pooled_head", "make_pooled_head"]


def make_pooled_head(backbone, num_outputs, hidden_activation, dropout):
    """A built head for an encoder.

    Args:
        backbone: `lmzoo.models.BertBackbone`.
        num_outputs: int.
        hidden_activation: str or None. "auto" is None on a pooler, which is such a layer itself,
            and "tanh" elsewhere.
        dropout: float or None. None for the backbone's.
    Returns:
        ClassificationHead.
    """
    if hidden_activation == "auto":
        hidden_activation = None if backbone.pooler else "tanh"
    head = ClassificationHead(
        num_outputs,
        hidden_activation,
        backbone.dropout if dropout is None else dropout,
        keras.initializers.TruncatedNormal(stddev=backbone.initializer_range or 0.02),
        dtype=backbone.dtype_policy,
        name="head",
    )
    head.build((None, backbone.hidden_dim))
    return head


def apply_pooled_head(backbone, head, inputs, training):
    """Scores a batch of texts: token batches to logits (B, C)."""
    outputs = backbone(inputs, training=training)
    pooled = outputs.get("pooled_output")
    if pooled is None:
        pooled = pool(outputs["sequence_output"], inputs.get("padding_mask"), "cls")
    return head(pooled, training=training)
