"""The functions of a task that become signatures of a .tflite file.

A padding mask is int32, 1 for a real token and 0 for padding: LiteRT.js has no bool tensors.

Shapes: B batch, T length, N tokens of a prefill, K key-value heads, S slots, H head size, V
vocabulary, D hidden.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.layers.contexts import litert_ops

__all__ = [
    "Signature",
    "make_decoder_signatures",
    "make_seq2seq_signatures",
    "make_token_signatures",
]


class Signature(NamedTuple):
    """One function of a file.

    Attributes:
        function: callable. Takes the inputs by name, returns a dict of tensors.
        inputs: dict of name to tf.TensorSpec.
    """

    function: Any
    inputs: dict

    def trace(self):
        """The concrete function, with the ops that suit LiteRT."""

        def call(**inputs):
            with litert_ops(tf.gather):
                return self.function(**inputs)

        specs = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in self.inputs.items()
        }
        return tf.function(call, autograph=False).get_concrete_function(**specs)


def make_token_signatures(task, batch_size, sequence_length):
    """The signature `tokens` of a discriminative task.

    Args:
        task: a task with `output_name`.
        batch_size: int or None. B; None for any.
        sequence_length: int or None. T; None for any.
    Returns:
        dict of str to Signature.
    """
    names = ["token_ids", "padding_mask"]
    if task.backbone.num_segments > 1:
        names.append("segment_ids")
    inputs = {name: tf.TensorSpec((batch_size, sequence_length), tf.int32) for name in names}

    def tokens(padding_mask, **inputs):
        inputs["padding_mask"] = tf.not_equal(padding_mask, 0)
        return {task.output_name: task(inputs, training=False)}

    return {"tokens": Signature(tokens, inputs)}


def make_decoder_signatures(task, num_slots, prefill_lengths, windows=()):
    """The signatures `prefill_N`, `decode` and `decode_W` of a `CausalLM`.

    `prefill_N` reads N tokens at `input_pos`, N consecutive positions, and returns the caches
    alone. `decode` reads one and returns the logits of the next one too. There is no mask: a token
    attends to the slots up to its own, and what is padded behind a prompt is written over before
    anything reads it. `decode_W` is `decode` with caches of W slots, for texts up to W tokens: it
    reads nothing of the slots that are still empty.

    Args:
        task: the task. Its backbone takes `cache` and `position`.
        num_slots: int. S.
        prefill_lengths: ints. The N.
        windows: ints below S. The W.
    Returns:
        dict of str to Signature.
    """
    backbone = task.backbone
    signatures = {}
    for length in prefill_lengths:
        inputs = {**_make_token_specs(length), **_make_cache_specs(backbone, num_slots)}
        signatures[f"prefill_{length}"] = Signature(_make_step(backbone, False), inputs)
    for name, slots in _name_windows("decode", num_slots, windows).items():
        inputs = {**_make_token_specs(1), **_make_cache_specs(backbone, slots)}
        signatures[name] = Signature(_make_step(backbone, True), inputs)
    return signatures


def make_seq2seq_signatures(task, num_slots, windows=()):
    """The signatures `encode` and `decode`, `encode_W` and `decode_W` of a `Seq2SeqLM`.

    `encode` reads a source, padded to S tokens on its right, and returns the keys and values of
    cross-attention. `decode` reads one token of the target, as that of a decoder does. `encode_W`
    and `decode_W` are the same for sources and targets up to W tokens.

    Args:
        task: the task.
        num_slots: int. S.
        windows: ints below S. The W.
    Returns:
        dict of str to Signature.
    """
    backbone = task.backbone
    encoders = _name_windows("encode", num_slots, windows)
    decoders = _name_windows("decode", num_slots, windows)
    signatures = {}
    for (encode, slots), decode in zip(encoders.items(), decoders, strict=True):
        mask = {"padding_mask": tf.TensorSpec((1, slots), tf.int32)}
        source = {"token_ids": tf.TensorSpec((1, slots), tf.int32), **mask}
        signatures[encode] = Signature(_make_encode(backbone), source)
        context = tf.TensorSpec((1, slots, backbone.hidden_dim), backbone.compute_dtype)
        caches = _make_cache_specs(backbone, slots, context)
        inputs = {**_make_token_specs(1), **mask, **caches}
        signatures[decode] = Signature(_make_seq2seq_step(backbone), inputs)
    return signatures


def _name_windows(name, num_slots, windows):
    """Names of signatures -> slots: those of the windows, and the plain name for all."""
    return {**{f"{name}_{window}": window for window in windows}, name: num_slots}


def _make_token_specs(length):
    return {
        "tokens": tf.TensorSpec((1, length), tf.int32),
        "input_pos": tf.TensorSpec((length,), tf.int32),
    }


def _make_cache_specs(backbone, num_slots, context=None):
    """The cache of one text, tensors (1, K, S, H) of each layer: dict of name to tf.TensorSpec."""
    if context is None:
        make = tf.function(lambda: backbone.make_cache(1, num_slots), autograph=False)
        graph = make.get_concrete_function()
    else:
        make = tf.function(lambda given: backbone.make_cache(given, num_slots), autograph=False)
        graph = make.get_concrete_function(context)
    blocks = graph.structured_outputs["blocks"]
    return {
        name: tf.TensorSpec(value.shape, value.dtype) for name, value in _name_cache(blocks).items()
    }


# The names of LiteRT-LM, and names like them for cross-attention -> where the cache has it.
_CACHES = {
    "kv_cache_k": ("self", "key"),
    "kv_cache_v": ("self", "value"),
    "cross_k": ("context", "key"),
    "cross_v": ("context", "value"),
}


def _name_cache(blocks, kinds=("self", "context")):
    """Caches of all layers by name."""
    return {
        f"{name}_{index}": block[kind][part]
        for name, (kind, part) in _CACHES.items()
        for index, block in enumerate(blocks)
        if kind in kinds and kind in block
    }


def _find_cache(tensors):
    """The opposite of `_name_cache`: the caches of all layers."""
    blocks = {}
    for name, tensor in tensors.items():
        kind, _, index = name.rpartition("_")
        where, part = _CACHES[kind]
        blocks.setdefault(int(index), {}).setdefault(where, {})[part] = tensor
    return [blocks[index] for index in sorted(blocks)]


def _make_step(backbone, with_logits):
    def step(tokens, input_pos, **caches):
        cache = {"padding_mask": None, "blocks": _find_cache(caches)}
        hidden, cache = backbone({"token_ids": tokens}, cache=cache, position=input_pos[0])
        outputs = _name_cache(cache["blocks"])
        if with_logits:
            outputs["logits"] = backbone.compute_logits(hidden)
        return outputs

    return step


def _make_encode(backbone):
    def encode(token_ids, padding_mask):
        context = backbone.encode(token_ids, tf.not_equal(padding_mask, 0))
        # One slot: the cache of the target is made by the caller.
        return _name_cache(backbone.make_cache(context, 1)["blocks"], ("context",))

    return encode


def _make_seq2seq_step(backbone):
    def step(tokens, input_pos, padding_mask, **caches):
        cache = {
            "padding_mask": None,
            "context_mask": tf.not_equal(padding_mask, 0),
            "blocks": _find_cache(caches),
        }
        hidden, cache = backbone.decode(tokens, cache=cache, position=input_pos[0])
        outputs = _name_cache(cache["blocks"], ("self",))
        outputs["logits"] = backbone.compute_logits(hidden)
        return outputs

    return step
