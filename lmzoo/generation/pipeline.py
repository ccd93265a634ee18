"""One call of `generate`: prompts in, one traced graph, texts out."""

import numpy as np
import tensorflow as tf

from lmzoo.data.rows.texts import list_texts
from lmzoo.generation.engine_choice import choose_jit_compile
from lmzoo.generation.generator import trace_generate
from lmzoo.runtime.prompts import list_ids
from lmzoo.tracing import trace_once

__all__ = [
    "check_finite",
    "check_not_empty",
    "check_tokenizer",
    "compiles",
    "encode_bad_words",
    "encode_batch",
    "generate_texts",
    "get_graph",
    "left_pad",
    "list_prompts",
    "make_graph_key",
    "make_parameters",
]

# Below this size a compiled loop saves less time than XLA takes to compile it.
_PARAMETERS_WORTH_COMPILING = 50_000_000


def generate_texts(
    task,
    prompts,
    options,
    return_prompt=True,
    return_scores=False,
    jit_compile="auto",
    allow_special=False,
):
    """Generates for a batch of prompts: list, encode, run the graph, decode.

    Args:
        task: GenerativeTask.
        prompts: as for `TextGeneration.generate`.
        options: GenerationOptions.
        return_prompt, return_scores, jit_compile, allow_special: as for `TextGeneration.generate`.
    Returns:
        As `TextGeneration.generate`.
    Raises:
        TypeError, ValueError: as `TextGeneration.generate`.
    """
    has_tokenizer = task.tokenizer is not None
    batch, is_single = list_prompts(prompts, task.backbone.vocabulary_size, has_tokenizer)
    parameters = make_parameters(task, options, len(batch))
    if not batch:
        return ([], np.zeros([0], np.float32)) if return_scores else []
    token_ids, mask = encode_batch(task, batch, allow_special)
    jit_compile = compiles(task, jit_compile)
    generate = get_graph(
        task,
        ("generate", *make_graph_key(task, options), jit_compile),
        lambda: trace_generate(task, options, jit_compile),
    )
    results, texts = generate(token_ids, mask, parameters)
    check_finite(results["is_finite"].numpy())
    outputs = _to_lists(texts) if has_tokenizer else _to_id_lists(results)
    if return_prompt and not task.is_encoder_decoder:
        pairs = zip(batch, outputs, strict=True)
        outputs = [[prompt + one for one in ones] for prompt, ones in pairs]
    scores = results["score"].numpy()
    if options.num_return_sequences == 1:
        outputs, scores = [ones[0] for ones in outputs], scores[:, 0]
    if is_single:
        outputs, scores = outputs[0], scores[0]
    return (outputs, scores) if return_scores else outputs


def compiles(task, jit_compile):
    """Whether XLA compiles the decode loop: as `jit_compile` says, or as is faster for "auto".

    Raises:
        TypeError: if `jit_compile` is neither a bool nor "auto".
    """
    if jit_compile in (True, False):
        return bool(jit_compile)
    if jit_compile != "auto":
        raise TypeError(
            f'`jit_compile` must be a bool or "auto". Received: jit_compile={jit_compile!r}.'
        )
    is_large = task.backbone.count_params() >= _PARAMETERS_WORTH_COMPILING
    return is_large and choose_jit_compile(task)


def list_prompts(prompts, vocabulary_size, is_text=False, name="prompts"):
    """Makes a list of prompts, and says whether one alone was given.

    Args:
        prompts: str or list of str; where not `is_text`, list of ids, or a list of such lists.
        vocabulary_size: int. V, what an id must be below.
        is_text: bool. Whether prompts are texts.
        name: str. What an error calls them.
    Returns:
        (list, bool): prompts, each a str or a list of int, and whether one alone was given.
    Raises:
        TypeError: if a prompt is of the wrong type.
        ValueError: if an id is not in the vocabulary, or a text is not valid Unicode.
    """
    if not is_text:
        return list_ids(prompts, vocabulary_size, name)
    is_single = isinstance(prompts, str)
    return list_texts([prompts] if is_single else prompts, name), is_single


def encode_batch(task, batch, allow_special=False):
    """Prompts as `list_prompts` gives them -> left-padded ids int32 (B, P), mask bool (B, P)."""
    if allow_special:
        check_tokenizer(task.tokenizer, "allow_special")
    if task.tokenizer is None:
        check_not_empty(batch)
        token_ids, mask = left_pad(tf.ragged.constant(batch, tf.int32))
    else:
        encode = get_graph(
            task,
            ("encode", task.encode_settings, repr(allow_special)),
            lambda: trace_once(
                lambda texts: task.encode_prompts(texts, allow_special),
                [tf.TensorSpec([None], tf.string)],
            ),
        )
        token_ids, mask = encode(tf.constant(batch))
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1).numpy()
    for index, length in enumerate(lengths):
        if length > task.max_sequence_length:
            raise ValueError(
                f"`prompts` must fit the context of {task.max_sequence_length} tokens. "
                f"Received: prompt {index} of {length} tokens. Shorten it."
            )
    return token_ids, mask


def check_not_empty(rows):
    """Raises ValueError if one of the lists of ids is empty, where no tokenizer starts a text."""
    if not all(rows):
        raise ValueError(
            "`prompts` must not be empty where the task has no tokenizer to say how a text "
            "starts. Received: an empty prompt."
        )


def left_pad(ragged):
    """Ragged int (B, None) -> int32 (B, P), tokens at the right, and the bool mask of them."""
    dense = ragged.to_tensor()
    # One slot at least: a batch of no rows has no longest one.
    dense = tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)]])
    length = tf.shape(dense)[1]
    shift = length - tf.cast(ragged.row_lengths(), tf.int32)
    # (B, P): the index in `dense` that each slot takes its token from
    source = tf.range(length) - tf.expand_dims(shift, 1)
    token_ids = tf.gather(dense, tf.maximum(source, 0), axis=1, batch_dims=1)
    return tf.where(source >= 0, token_ids, 0), source >= 0


def make_parameters(task, options, batch_size):
    """The numbers of each prompt as tensors, with the tokens of bad words where there are any."""
    parameters = options.make_parameters(batch_size)
    if options.bad_words:
        # Kept as graphs are: to read them, a SentencePiece model is made anew.
        parameters["bad_words"] = get_graph(
            task,
            ("bad_words", options.bad_words),
            lambda: encode_bad_words(task.tokenizer, options.bad_words),
        )
    return parameters


def encode_bad_words(tokenizer, words):
    """Bad words as ids: at the start of a text, behind a space, and inside a word.

    Args:
        tokenizer: a tokenizer, or None.
        words: tuple of str.
    Returns:
        int32 (W, M), filled on the left with -1.
    Raises:
        ValueError: if there is no tokenizer.
    """
    check_tokenizer(tokenizer, "bad_words")
    words = tf.constant(words)
    forms = [tokenizer.tokenize(words), tokenizer.tokenize(tf.strings.join([" ", words]))]
    inside = tokenizer.tokenize_continuation(words)
    ids, mask = left_pad(tf.concat([*forms, inside], axis=0))
    return tf.where(mask, ids, -1)


def check_tokenizer(tokenizer, name):
    """Raises ValueError if the option or argument `name` needs a tokenizer and there is none."""
    if tokenizer is None:
        raise ValueError(f"`{name}` needs a task with a tokenizer. Received: tokenizer=None.")


def check_finite(rows):
    """Raises ValueError if the scores of a prompt, bool (B,), were not finite."""
    if not rows.all():
        raise ValueError(
            f"The model's scores must be finite. Received: NaN or infinity for prompt "
            f"{int(rows.argmin())}. Look for weights that are not finite, or for an overflow of "
            "float16: `task.backbone.weights`, `dtype`."
        )


def get_graph(task, key, build):
    """What the task keeps in `graphs` under `key`, built at its first use."""
    if key not in task.graphs:
        task.graphs[key] = build()
    return task.graphs[key]


def make_graph_key(task, options):
    """What a traced graph depends on; everything else in the options is a tensor."""
    return (
        options.make_static_options(task.end_token_ids, task.max_sequence_length),
        options.stop_strings,
        options.num_beams,
        options.num_return_sequences,
        options.early_stopping,
        task.decode_settings,
    )


def _to_lists(texts):
    return [[text.decode("utf-8") for text in row] for row in texts.numpy()]


def _to_id_lists(results):
    token_ids, masks = results["token_ids"].numpy(), results["mask"].numpy()
    return [
        [row[mask].tolist() for row, mask in zip(rows, row_masks, strict=True)]
        for rows, row_masks in zip(token_ids, masks, strict=True)
    ]
