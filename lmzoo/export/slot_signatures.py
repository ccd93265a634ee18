"""Signatures for a server that lets prompts join and leave a running batch."""

import tensorflow as tf

from lmzoo.generation import GenerationOptions
from lmzoo.generation.generator import detokenize_new
from lmzoo.generation.slots import make_slot_functions
from lmzoo.runtime.generation.merging import merge_options
from lmzoo.tracing import trace_once

__all__ = ["describe_chat", "make_slot_signatures"]


def make_slot_signatures(task, options):
    """Four functions of named tensors; `lmzoo.generation.slots` says what the state is.

        encode: `text` string (B,), `allow_special` bool () -> `token_ids` int32 (B, P) and
            `padding_mask` bool (B, P), left-padded. Special tokens are only read, if allowed, by a
            task with a chat template.
        start: `rows` int32 (N,), `token_ids` int32 (N, P), `padding_mask` bool (N, P), `new_NAME`
            (N,) for each option of `GenerationOptions` that is a number, and the state as
            `state_NAME` -> the state under its own names.
        advance: `steps` int32 () and the state as `state_NAME` -> the state.
        decode: `token_ids` int32 (B, T), `padding_mask` bool (B, T) -> `text` string (B,).

    Args:
        task: CausalLM with a tokenizer.
        options: dict. Those it is exported with.
    Returns:
        dict of name to tf.function.
    Raises:
        ValueError: if the task is another one.
    """
    if task.tokenizer is None or task.is_encoder_decoder:
        raise ValueError(
            "`continuous_batching` must be False for a task without a tokenizer or with an "
            f"encoder. Received: a {type(task).__name__}."
        )
    merged = {**merge_options(task.generation_defaults, options), "num_beams": 1}
    merged = {name: merged[name] for name in merged if name not in ("stop_strings", "bad_words")}
    start, advance = make_slot_functions(task, GenerationOptions(**{"seed": 0, **merged}))
    return {
        "encode": _make_encode(task),
        "start": _with_names(start),
        "advance": _with_names(advance),
        "decode": _make_decode(task),
    }


def describe_chat(tokenizer):
    """How a model reads conversations, as JSON keeps it; None without a chat template.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None.
    Returns:
        dict of `template` str, `special_tokens` list of str, `start_token` and `end_token` str, as
        the template is to write them; or None.
    """
    if tokenizer is None or tokenizer.chat_template is None:
        return None
    return {
        "template": tokenizer.chat_template,
        "special_tokens": list(tokenizer.special_tokens),
        # Where the tokenizer adds it to each prompt, a second one would change the model's text.
        "start_token": "" if tokenizer.add_start_token else tokenizer.start_token or "",
        "end_token": tokenizer.end_token or "",
    }


def _make_encode(task):
    has_special = describe_chat(task.tokenizer) is not None

    def encode(text, allow_special):
        if has_special:
            token_ids, mask = tf.cond(
                allow_special,
                lambda: task.encode_prompts(text, True),
                lambda: task.encode_prompts(text, False),
            )
        else:
            token_ids, mask = task.encode_prompts(text)
        return {"token_ids": token_ids, "padding_mask": mask}

    text = tf.TensorSpec([None], tf.string, "text")
    return trace_once(encode, [text, tf.TensorSpec([], tf.bool, "allow_special")])


def _make_decode(task):
    def decode(token_ids, padding_mask):
        # A backbone may have more embeddings than the tokenizer has tokens; these have no text.
        known = padding_mask & (token_ids < task.tokenizer.vocabulary_size)
        return {"text": detokenize_new(task, tf.ragged.boolean_mask(token_ids, known))}

    token_ids = tf.TensorSpec([None, None], tf.int32, "token_ids")
    return trace_once(decode, [token_ids, tf.TensorSpec([None, None], tf.bool, "padding_mask")])


def _with_names(function):
    """A function of slots as one of tensors whose names are flat, which a signature needs."""
    *specs, state = function.input_signature
    options = specs.pop() if isinstance(specs[-1], dict) else {}
    options = {
        f"new_{name}": tf.TensorSpec(spec.shape, spec.dtype) for name, spec in options.items()
    }
    states = {f"state_{name}": spec for name, spec in state.items()}
    named = {spec.name: spec for spec in specs} | options | states
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in named.items()}

    def call(*tensors):
        given = dict(zip(named, tensors, strict=True))
        arguments = [given[spec.name] for spec in specs]
        if options:
            arguments.append({name.removeprefix("new_"): given[name] for name in options})
        return function(*arguments, {name: given[f"state_{name}"] for name in state})

    return trace_once(call, list(named.values()))
