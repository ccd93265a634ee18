"""What every backbone shares: its config, its initializers and the loop over encoder blocks."""

import inspect

import keras

__all__ = ["Backbone", "make_encoder_specs", "make_truncated_normal", "run_encoder_blocks"]


class Backbone(keras.Model):
    """A model whose arguments are kept under their own names.

    A subclass sets an attribute for each argument of its `__init__`.
    """

    def get_config(self):
        arguments = inspect.signature(type(self).__init__).parameters
        own = {name: getattr(self, name) for name in arguments if name not in ("self", "kwargs")}
        return {**super().get_config(), **own}


def make_truncated_normal(stddev):
    """A normal initializer whose values are drawn again beyond two standard deviations."""
    # A model that is about to be loaded need not wait for random numbers.
    if stddev == 0:
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(stddev=stddev)


def run_encoder_blocks(blocks, hidden, attention_masks, bias=None, attention_layers=(), **kwargs):
    """Sends hidden states through all blocks of an encoder.

    Args:
        blocks: list of `TransformerBlock`.
        hidden: float (B, T, D).
        attention_masks: list of bool (B or 1, T or 1, T) or None, one for each block.
        bias: float (1, N, T, T) added to the attention scores of every block, or None.
        attention_layers: tuple of int. The blocks whose attention weights are returned; -1 is the
            last one.
        **kwargs: further call arguments of the blocks.
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
    for index, (block, mask) in enumerate(zip(blocks, attention_masks, strict=True)):
        asked = index in chosen
        hidden = block(hidden, attention_mask=mask, bias=bias, return_weights=asked, **kwargs)
        if asked:
            hidden, weights[index] = hidden
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
        return keras.KerasTensor((batch_size, *shape), backbone.compute_dtype)

    outputs = {"sequence_output": make_spec(length, backbone.hidden_dim)}
    if backbone.pooler:
        outputs["pooled_output"] = make_spec(backbone.hidden_dim)
    if attention_layers:
        weights = [make_spec(backbone.num_heads, length, length) for _ in attention_layers]
        outputs["attention_weights"] = weights
    return outputs
