"""The stack of blocks that encoders share, and what comes out of it."""

import keras

from lmzoo.layers.contexts import call_block
from lmzoo.layers.rematerialization import rematerialize

__all__ = ["compute_encoder_shapes", "make_encoder_specs", "run_encoder_blocks"]


def run_encoder_blocks(
    blocks,
    hidden,
    attention_masks,
    bias=None,
    attention_layers=(),
    reaches=None,
    remat=False,
    training=None,
):
    """Sends hidden states through all blocks of an encoder.

    Args:
        blocks: list of `TransformerBlock`.
        hidden: float (B, T, D).
        attention_masks: list of bool (B or 1, T or 1, T) or None, one for each block.
        bias: float (1, N, T, T) added to the attention scores of every block, or None.
        attention_layers: tuple of int. The blocks whose attention weights are returned; -1 is the
            last one.
        reaches: list of the `reach` of `SelfAttention`, one for each block, or None.
        remat: bool. Whether, in training, the backward pass computes the blocks again.
        training: bool or None.
    Returns:
        dict with `sequence_output` float (B, T, D), and with `attention_layers` also
        `attention_weights`, a list of float (B, N, T, T) in their order.
    Raises:
        ValueError: if a layer is asked for that is not there.
    """
    for index in attention_layers:
        if not -len(blocks) <= index < len(blocks):
            raise ValueError(
                f"`attention_layers` must be from {-len(blocks)} to {len(blocks) - 1}. "
                f"Received: {index}."
            )
    chosen, weights = [index % len(blocks) for index in attention_layers], {}
    reaches = [None] * len(blocks) if reaches is None else reaches
    for index, (block, mask, reach) in enumerate(
        zip(blocks, attention_masks, reaches, strict=True)
    ):
        options = {"attention_mask": mask, "bias": bias, "reach": reach, "training": training}
        if index in chosen:
            hidden, weights[index] = block(hidden, return_weights=True, **options)
        elif remat and training:
            hidden = rematerialize(block, hidden, **options)
        else:
            hidden = call_block(block, hidden, **options)
    if not chosen:
        return {"sequence_output": hidden}
    return {
        "sequence_output": hidden,
        "attention_weights": [weights[index] for index in chosen],
    }


def make_encoder_specs(backbone, inputs, attention_layers=()):
    """The symbolic outputs of `run_encoder_blocks`, with a `pooled_output` where there is one."""
    batch_size, length = inputs["token_ids"].shape

    def make_spec(*shape):
        return keras.KerasTensor(shape, backbone.compute_dtype)

    shapes = compute_encoder_shapes(backbone, {"token_ids": (batch_size, length)})
    outputs = {name: make_spec(*shape) for name, shape in shapes.items()}
    if attention_layers:
        shape = (batch_size, backbone.num_heads, length, length)
        outputs["attention_weights"] = [make_spec(*shape) for _ in attention_layers]
    return outputs


def compute_encoder_shapes(backbone, input_shape):
    """The shapes of the outputs of an encoder, from those of its inputs."""
    batch_size, length = input_shape["token_ids"]
    shapes = {"sequence_output": (batch_size, length, backbone.hidden_dim)}
    if backbone.pooler:
        shapes["pooled_output"] = (batch_size, backbone.hidden_dim)
    return shapes
