"""Signatures that score texts, for SavedModels whose model is to be evaluated."""

import tensorflow as tf

from lmzoo.tasks.request_checks import check_texts, check_token_batch, require, require_range

__all__ = ["make_scoring_signatures"]


def make_scoring_signatures(task):
    """The functions `tokenize` and `score` of a task that generates.

    tokenize: `text` string (B,) -> `token_ids` int32 (B, T) and `padding_mask` bool (B, T), padded
        on the right, as prompts are tokenized; and about the model `max_sequence_length` int32 (),
        `start_token_id` int32 (), `is_encoder_decoder` bool () and `prefix` string ().
    score: `prompt_ids` int32 (B, P), `prompt_mask` bool (B, P), `token_ids` int32 (B, T) and
        `padding_mask` bool (B, T) -> `log_probs` float32 (B, T), of each token after the prompt and
        the tokens before it, and `is_greedy` bool (B, T), whether it is the most probable one.
        Padding may be anywhere in the inputs, and is on the right in the outputs. A prompt of a
        decoder has at least one token, and with its text at most one more than the context.

    Args:
        task: a `CausalLM` or `Seq2SeqLM` with a tokenizer.
    Returns:
        dict of name to tf.function.
    Raises:
        ValueError: if there is no tokenizer.
    """
    if task.tokenizer is None:
        raise ValueError(
            "`scoring` must be False for a task without a tokenizer. Received: tokenizer=None."
        )
    is_decoder, longest = not task.is_encoder_decoder, task.max_sequence_length
    start = task.tokenizer.start_token_id if is_decoder else task.start_token_id
    about = {
        "max_sequence_length": (longest, tf.int32),
        "start_token_id": (start, tf.int32),
        "is_encoder_decoder": (not is_decoder, tf.bool),
        "prefix": ("" if is_decoder else task.prefix, tf.string),
    }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def tokenize(text):
        (text,) = check_texts(("text",), (text,))
        encode = task.tokenizer.tokenize_prompts if is_decoder else task.tokenizer.tokenize
        ids = encode(text)
        mask = tf.sequence_mask(ids.row_lengths())
        constants = {name: tf.constant(*value) for name, value in about.items()}
        return {"token_ids": ids.to_tensor(), "padding_mask": mask, **constants}

    names = ("prompt_ids", "prompt_mask", "token_ids", "padding_mask")

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.bool if name.endswith("mask") else tf.int32, name)
            for name in names
        ]
    )
    def score(prompt_ids, prompt_mask, token_ids, padding_mask):
        prompts = _to_ragged(task, "prompt_ids", prompt_ids, prompt_mask)
        texts = _to_ragged(task, "token_ids", token_ids, padding_mask)
        same = f"`prompt_ids` and `{names[2]}` must have the same number of rows."
        rules = [(same, prompts.nrows() == texts.nrows())]
        values = require(texts.values, rules)
        texts = texts.with_values(values)
        sizes = [prompts.row_lengths(), texts.row_lengths()]
        if is_decoder:
            rules = [
                ("Each row of `prompt_mask` must have a True.", tf.reduce_all(sizes[0] > 0)),
                (
                    f"A prompt with its text must have at most {longest + 1} tokens.",
                    tf.reduce_all(sizes[0] + sizes[1] <= longest + 1),
                ),
            ]
        else:
            fits = tf.reduce_all(sizes[0] < longest) & tf.reduce_all(sizes[1] <= longest)
            rules = [
                (f"A source must have at most {longest - 1} tokens, a target {longest}.", fits)
            ]
        texts = texts.with_values(require(texts.values, rules))
        logits, targets = task.compute_text_logits(prompts, texts)
        log_probs = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        best = tf.argmax(logits, axis=-1, output_type=tf.int32)
        mask = tf.sequence_mask(texts.row_lengths())
        return {
            "log_probs": tf.where(mask, tf.cast(log_probs, tf.float32), 0.0),
            "is_greedy": (best == targets) & mask,
        }

    return {"tokenize": tokenize, "score": score}


def _to_ragged(task, name, token_ids, mask):
    """Ids and their mask as tf.RaggedTensor int32 (B, None), checked."""
    inputs = check_token_batch({"token_ids": token_ids, "padding_mask": mask})
    ragged = tf.ragged.boolean_mask(inputs["token_ids"], inputs["padding_mask"])
    rule = require_range(name, ragged.values, task.backbone.vocabulary_size)
    return ragged.with_values(require(ragged.values, [rule]))
