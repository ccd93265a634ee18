"""What every backbone shares: its config, its inputs, its export and the checks of arguments."""

import types

import keras

from lmzoo.keywords import check_keywords
from lmzoo.layers import PositionEmbedding
from lmzoo.layers.attention.chunked import check_chunks
from lmzoo.layers.checks import check_inputs, check_positive, check_rate, check_size, list_arguments

__all__ = [
    "Backbone",
    "LearnedPositions",
    "check_arguments",
    "make_normal",
    "make_truncated_normal",
]


class Backbone(keras.Model):
    """A model that turns a dict of token ids and masks into hidden states.

    A subclass sets an attribute for each argument of its `__init__`, under the argument's name, and
    the class attribute `required_inputs`, a tuple of the inputs that it does not work without.

    Args: what training may save memory by, for every backbone.
        remat: bool. If True, the backward pass computes each block again, so that only its input is
            kept. Gradients are the same, dropout included; their forward pass is computed twice.
        attention_chunks: int or "auto". In how many chunks of queries each attention computes its
            scores; see `chunks` of `lmzoo.layers.SelfAttention`. Both may be assigned to a model
            that was opened, before it is trained.
        **kwargs: as for `keras.Model`.
    Raises:
        TypeError: if `remat` is not a bool, or `attention_chunks` neither an int nor "auto".
        ValueError: if `attention_chunks` is below 1.

    Attributes: what tasks read, so that each takes any backbone of the right kind.
        kind: "encoder", "decoder" or "encoder_decoder".
        head_options: mapping. Arguments of `ClassificationHead` that each head on the backbone has.
        masked_lm_head_options: mapping. Arguments of `MaskedLMHead`, where they are not those that
            the backbone has too.
        default_pooling: str. How classifiers pool hidden states without a pooler; see
            `lmzoo.layers.pool`.
        pooler: bool. Whether the output has `pooled_output`.
        num_segments: int. The number of segment ids; 0 or 1 without segments.
        initializer_range: float. The standard deviation of a new head's initial weights.
    """

    required_inputs = ("token_ids",)
    kind = "encoder"
    head_options = types.MappingProxyType({})
    masked_lm_head_options = types.MappingProxyType({})
    default_pooling = "cls"
    pooler = False
    num_segments = 0
    initializer_range = 0.02
    _input_layer_names = (
        "token_embedding",
        "position_embedding",
        "segment_embedding",
        "embedding_norm",
    )

    def __init__(self, remat=False, attention_chunks="auto", **kwargs):
        check_keywords(type(self), kwargs)
        if not isinstance(remat, bool):
            raise TypeError(f"`remat` must be a bool. Received: remat={remat!r:.80}.")
        check_chunks(attention_chunks=attention_chunks)
        super().__init__(**kwargs)
        self.remat = remat
        self._attention_chunks = attention_chunks

    @property
    def input_dtypes(self):
        """The inputs of an exported model, each of shape (B, length): dict of name -> dtype."""
        return {"token_ids": "int32", "padding_mask": "bool"}

    @property
    def attention_chunks(self):
        """int or "auto". In how many chunks of queries each attention computes its scores."""
        return self._attention_chunks

    @attention_chunks.setter
    def attention_chunks(self, chunks):
        check_chunks(attention_chunks=chunks)
        self._attention_chunks = chunks
        for stack in self.list_block_stacks():
            for block in stack:
                block.attention_chunks = chunks

    def __call__(self, inputs, *args, **kwargs):
        check_inputs(inputs, self.required_inputs, self.input_dtypes)
        return super().__call__(inputs, *args, **kwargs)

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """Exports the model as Keras does, with int32 ids and boolean masks as its inputs.

        Args:
            filepath: str or path. Where the export is written.
            format, verbose, **kwargs: as for `keras.Model.export`.
            input_signature: as for `keras.Model.export`; None for `input_dtypes`, with any batch
                size and lengths.
        """
        if input_signature is None:
            input_signature = [
                {
                    name: keras.InputSpec(dtype=dtype, shape=(None, None), name=name)
                    for name, dtype in self.input_dtypes.items()
                }
            ]
        return super().export(filepath, format, verbose, input_signature, **kwargs)

    @classmethod
    def from_pretrained(cls, source, dtype=None):
        """The backbone of the model that `lmzoo.load` opens; see there."""
        from lmzoo.hub import load

        backbone = load(source, dtype=dtype).backbone
        if not isinstance(backbone, cls):
            raise TypeError(
                f"`source` must hold a {cls.__name__}. Received: {str(source)!r}, which holds a "
                f"{type(backbone).__name__}."
            )
        return backbone

    from_preset = from_pretrained

    def compute_hidden(self, inputs, training=None):
        """Hidden states of token batches, for tasks that read texts and do not generate.

        Args:
            inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
                `segment_ids` int (B, T).
            training: bool or None.
        Returns:
            float (B, T, D).
        """
        return self(inputs, training=training)["sequence_output"]

    def list_block_stacks(self):
        """list of lists of blocks, each from the input to the output.

        No property: Keras would find the blocks by it and write their weights under its name.
        """
        return [self.blocks]

    def count_layers_above(self):
        """How many layers lie above each weight, for learning rates that differ by layer.

        Returns:
            dict of id of a variable to int: 1 for the highest block of a stack, and so on; one more
            than for the lowest block for what comes before the blocks. What comes after them is not
            in it.
        """
        counts = {
            id(weight): len(stack) - index
            for stack in self.list_block_stacks()
            for index, block in enumerate(stack)
            for weight in block.weights
        }
        most = 1 + max(len(stack) for stack in self.list_block_stacks())
        for name in self._input_layer_names:
            layer = getattr(self, name, None)
            counts |= {id(weight): most for weight in getattr(layer, "weights", ())}
        # An untied head is kept with the embeddings.
        counts.pop(id(getattr(self.token_embedding, "output_embeddings", None)), None)
        return counts

    @property
    def generation_weights(self):
        """list of variables that only generation uses: a decoder beside an encoder, a head."""
        return []

    def get_config(self):
        shared = list_arguments(self, Backbone)
        return {**super().get_config(), **shared, **list_arguments(self, type(self))}


class LearnedPositions(PositionEmbedding):
    """Position embeddings under the class name that they had in the first version.

    Keras makes the path of their weights in a .keras file out of it.
    """


def check_arguments(dropout, initializers, sizes):
    """Raises unless the arguments that no layer checks are in their ranges.

    Args:
        dropout: the rate.
        initializers: dict of what scales initial weights, under the arguments' names; each may be
            0, for a model whose weights are about to be loaded.
        sizes: dict of sizes, as for `check_size`; None is let through.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if a number is out of its range.
    """
    check_size(**sizes)
    check_positive(**{name: value for name, value in initializers.items() if value != 0})
    check_rate(dropout=dropout)


def make_normal(stddev):
    """A normal initializer; zeros for a deviation of 0, which takes no time."""
    if stddev == 0:
        return keras.initializers.Zeros()
    return keras.initializers.RandomNormal(stddev=stddev)


def make_truncated_normal(stddev):
    """As `make_normal`, with values drawn again beyond two standard deviations."""
    if stddev == 0:
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(stddev=stddev)
