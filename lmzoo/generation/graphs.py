"""The graphs of `generate` and `stream`: lengths and batch sizes are left open in them."""

import tensorflow as tf

from lmzoo.generation.generator import Generator

__all__ = ["make_graph_key", "trace_generate", "trace_stream"]


def trace_generate(task, options, jit_compile):
    """A tf.function of ids, mask and parameters: results as `Generator.generate`, and texts.

    Args:
        task: a task that generates.
        options: GenerationOptions.
        jit_compile: bool. If True, XLA compiles the loop.
    """
    generator = Generator(task, options, jit_compile)

    def generate(token_ids, mask, parameters):
        results = generator.generate(token_ids, mask, parameters)
        texts = generator.to_texts(results) if task.tokenizer is not None else None
        return results, texts

    return tf.function(generate, autograph=False, input_signature=_make_signature(options))


def trace_stream(task, options):
    """Two functions: one reads a prompt and chooses the first token, one goes on to a slot.

    Args:
        task, options: as for `trace_generate`.
    """
    generator = Generator(task, options)

    def start(token_ids, mask, parameters):
        parameters = generator.limit(mask, parameters)
        room = tf.maximum(tf.reduce_max(parameters["max_new_tokens"]), 1)
        return generator.start(token_ids, mask, parameters, room)

    start = tf.function(start, autograph=False, input_signature=_make_signature(options))
    outputs = start.get_concrete_function().structured_outputs
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), outputs)
    slot = tf.TensorSpec([], tf.int32)
    return start, tf.function(generator.advance, autograph=False, input_signature=[*specs, slot])


def make_graph_key(task, options):
    """What a traced graph depends on; everything else in the options is a tensor."""
    return (
        options.make_rules(task.end_token_ids),
        options.stops,
        options.num_beams,
        options.num_return_sequences,
        options.early_stopping,
    )


def _make_signature(options):
    parameters = options.make_signature()
    if options.forbidden:
        parameters["bad_words"] = tf.TensorSpec([None, None], tf.int32)
    ids = tf.TensorSpec([None, None], tf.int32)
    return [ids, tf.TensorSpec([None, None], tf.bool), parameters]
