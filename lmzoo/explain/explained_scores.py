"""What of a task's output is explained: a label, a number, a word's tag or the next token."""

import numbers

import tensorflow as tf

from lmzoo.explain.attention_weights import check_index

__all__ = ["SCORES"]


def _score_class(task, reading, groups, label, word):
    logits = tf.cast(task(reading.inputs, training=False), tf.float32)[0]
    index = int(tf.argmax(logits)) if label is None else task.labels.to_id(label)
    return task.labels.names[index], lambda inputs: task(inputs, training=False)[:, index]


def _score_number(task, reading, groups, label, word):
    index = check_index("label", 0 if label is None else label, task.num_targets)
    return f"target {index}", lambda inputs: task(inputs, training=False)[:, index]


def _score_tag(task, reading, groups, label, word):
    ids = tf.argmax(task(reading.inputs, training=False)[0], axis=-1).numpy()
    names = task.labels.names
    if word is None:
        tagged = [n for n, group in enumerate(groups) if names[ids[group[0]]] != "O"]
        word = tagged[0] if tagged else 0
    # The first token of a word decides.
    position = groups[check_index("word", word, len(groups))][0]
    index = int(ids[position]) if label is None else task.labels.to_id(label)
    name = f"{names[index]} at {reading.tokens[position].text}"
    return name, lambda inputs: task(inputs, training=False)[:, position, index]


def _score_next_token(task, reading, groups, label, word):
    def compute(inputs):
        hidden = task.backbone(inputs, training=False)
        # (B, T, D) -> (B, 1, D) -> (B, V)
        return tf.nn.log_softmax(task.backbone.compute_logits(hidden[:, -1:])[:, 0])

    if label is None:
        size = task.tokenizer.vocabulary_size
        label = int(tf.argmax(compute(reading.inputs)[0, :size]))
    index = _find_token(task.tokenizer, label)
    text = task.tokenizer.detokenize_continuation([index]).numpy().decode("utf-8", "replace")
    return text or task.tokenizer.id_to_token(index), lambda inputs: compute(inputs)[:, index]


def _find_token(tokenizer, label):
    if isinstance(label, str):
        ids = tokenizer.tokenize_continuation([label]).to_list()[0]
        if len(ids) != 1:
            raise ValueError(
                f"`label` must be a single token. Received: {label!r:.60}, of {len(ids)} tokens."
            )
        return ids[0]
    if isinstance(label, bool) or not isinstance(label, numbers.Integral):
        raise TypeError(f"`label` must be a token or its id. Received: {label!r:.60}.")
    if not 0 <= label < tokenizer.vocabulary_size:
        raise ValueError(
            f"`label` must be an id from 0 to {tokenizer.vocabulary_size - 1}. Received: {label}."
        )
    return int(label)


# By what a task predicts: (task, reading, groups, label, word) -> the name of what is explained,
# and a function of token batches to scores (B,).
SCORES = {
    **dict.fromkeys(("classes", "class_sets"), _score_class),
    **dict.fromkeys(("numbers", "number_rows"), _score_number),
    **dict.fromkeys(("tags", "spans"), _score_tag),
    "completions": _score_next_token,
}
