"""The functions of a task that become signatures of a .tflite file.

Shapes: B batch, T length, N tokens of a prefill, K key-value heads, S slots, H head size, V
vocabulary, D hidden.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.layers.litert_ops import litert_ops

__all__ = ["Signature", "make_decoder_signatures", "make_token_signatures"]


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
    dtypes = {"padding_mask": tf.bool}
    shape = (batch_size, sequence_length)
    inputs = {name: tf.TensorSpec(shape, dtypes.get(name, tf.int32)) for name in names}

    def tokens(**inputs):
        return {task.output_name: task(inputs, training=False)}

    return {"tokens": Signature(tokens, inputs)}


def make_decoder_signatures(task, num_slots, prefill_lengths):
    """The signatures `prefill_N` and `decode` of a `CausalLM`.

    `prefill_N` reads N tokens at `input_pos`, N consecutive positions, and returns the caches
    alone. `decode` reads one and returns the logits of the next one too. There is no mask: a token
    attends to the slots up to its own, and what is padded behind a prompt is written over before
    anything reads it.

    Args:
        task: the task. Its backbone takes `cache` and `position`.
        num_slots: int. S.
        prefill_lengths: ints. The N.
    Returns:
        dict of str to Signature.
    """
    lengths = {f"prefill_{length}": length for length in prefill_lengths}
    caches = _make_cache_specs(task.backbone, num_slots)
    signatures = {}
    for name, length in {**lengths, "decode": 1}.items():
        inputs = {
            "tokens": tf.TensorSpec((1, length), tf.int32),
            "input_pos": tf.TensorSpec((length,), tf.int32),
        }
        function = _make_step(task.backbone, with_logits=name == "decode")
        signatures[name] = Signature(function, {**inputs, **caches})
    return signatures


def _make_cache_specs(backbone, num_slots):
    """The cache of one text, two tensors (1, K, S, H) a layer: dict of name to tf.TensorSpec."""
    cache = tf.function(lambda: backbone.make_cache(1, num_slots), autograph=False)
    blocks = cache.get_concrete_function().structured_outputs["blocks"]
    return {
        name: tf.TensorSpec(value.shape, value.dtype) for name, value in _name_cache(blocks).items()
    }


def _name_cache(blocks):
    """Caches of all layers under the names that LiteRT-LM knows."""
    names = {"kv_cache_k": "key", "kv_cache_v": "value"}
    return {
        f"{name}_{index}": block["self"][part]
        for name, part in names.items()
        for index, block in enumerate(blocks)
    }


def _make_step(backbone, with_logits):
    def step(tokens, input_pos, **caches):
        blocks = [
            {"self": {"key": caches[f"kv_cache_k_{i}"], "value": caches[f"kv_cache_v_{i}"]}}
            for i in range(len(caches) // 2)
        ]
        hidden, cache = backbone(
            {"token_ids": tokens},
            cache={"padding_mask": None, "blocks": blocks},
            position=input_pos[0],
        )
        outputs = _name_cache(cache["blocks"])
        if with_logits:
            outputs["logits"] = backbone.compute_logits(hidden)
        return outputs

    return step
