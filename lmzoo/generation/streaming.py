"""Streaming: one text, given piece by piece as its tokens come."""

import numpy as np
import tensorflow as tf

from lmzoo.generation.generator import detokenize_new, trace_stream
from lmzoo.generation.pipeline import (
    check_finite,
    encode_batch,
    get_graph,
    list_prompts,
    make_graph_key,
    make_parameters,
)
from lmzoo.runtime.tokenization.streaming import StreamingDetokenizer

__all__ = ["stream_text"]


def stream_text(task, prompt, options, return_prompt=False, allow_special=False):
    """Generates one text and gives each piece as soon as it is certain.

    Args:
        task: GenerativeTask with a tokenizer.
        prompt: str.
        options: GenerationOptions, with neither beams nor several results.
        return_prompt, allow_special: as for `TextGeneration.stream`.
    Returns:
        iterator of str, never empty.
    Raises:
        TypeError, ValueError: as `TextGeneration.stream`.
    """
    if options.num_beams > 1 or options.num_return_sequences > 1:
        raise ValueError(
            "`stream` gives one text as it grows. Received: "
            f"num_beams={options.num_beams}, "
            f"num_return_sequences={options.num_return_sequences}. Use `generate`, or pass "
            "num_beams=1, num_return_sequences=1 where they are defaults."
        )
    if not isinstance(prompt, str):
        raise TypeError(f"`prompt` must be a string. Received: {type(prompt).__name__}.")
    if task.tokenizer is None:
        raise ValueError("`stream` needs a tokenizer. Received: tokenizer=None.")
    list_prompts([prompt], task.backbone.vocabulary_size, is_text=True, name="prompt")
    return _stream(task, prompt, options, return_prompt, allow_special)


def _stream(task, prompt, options, return_prompt, allow_special):
    if return_prompt and prompt and not task.is_encoder_decoder:
        yield prompt
    start, advance = get_graph(
        task, ("stream", *make_graph_key(task, options)), lambda: trace_stream(task, options)
    )
    detokenizer = StreamingDetokenizer(
        lambda ids: detokenize_new(task, ids).numpy().decode("utf-8"), options.stop_strings
    )
    token_ids, mask = encode_batch(task, [prompt], allow_special)
    state, parameters, floats = start(token_ids, mask, make_parameters(task, options, 1))
    first = last = int(state.prompt_length)
    while not detokenizer.finished:
        check_finite(np.isfinite(state.log_prob.numpy()))
        count = int(state.slot)
        new = tf.boolean_mask(state.token_ids[0, first:count], state.mask[0, first:count])
        new = new[new < task.tokenizer.vocabulary_size]
        piece = detokenizer.update(new, is_last=bool(state.finished[0]) or count == last)
        if piece:
            yield piece
        last = count
        if not detokenizer.finished:
            state = advance(state, parameters, floats, tf.constant(last + 1))
