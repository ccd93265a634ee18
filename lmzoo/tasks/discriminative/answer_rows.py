"""Answers as `fit` takes them, and their offsets in their contexts."""

import tensorflow as tf

__all__ = ["check_answers", "first_answers", "read_answers"]


def read_answers(answers, contexts):
    """Answers of `fit` to columns, with at most one answer for each question.

    Args:
        answers: list of str, of pairs `(text, start)` and of None; or of a dataset's batch string
            (B,), or two tensors, string and int (B,).
        contexts: list of str, or string (B,).
    Returns:
        dict of `answers` and `answer_starts`, lists of lists; for tensors of `answer` and `start`.
    Raises:
        TypeError: if `answers` is not a list, or an answer has none of these forms.
    """
    if isinstance(answers, tf.Tensor):
        raise TypeError(
            "Batches of answers must be pairs of texts and starts. Received: "
            f"{answers.dtype.name} {answers.shape} alone."
        )
    if isinstance(answers, tuple) and answers and isinstance(answers[0], tf.Tensor):
        return {"answer": answers[0], "start": answers[1]}
    if isinstance(answers, str) or not hasattr(answers, "__len__"):
        raise TypeError(f"`y` must be a list of answers. Received: y={answers!r:.60}.")
    texts, starts = [], []
    for index, answer in enumerate(answers):
        # Rows refuse lists of different lengths, with all lengths in the message.
        context = contexts[index] if index < len(contexts) else ""
        pair = _to_pair(answer, context, index)
        texts.append(list(pair[:1]))
        starts.append(list(pair[1:]))
    return {"answers": texts, "answer_starts": starts}


def _to_pair(answer, context, index):
    """(text, start) of an answer, or () for None."""
    if answer is None:
        return ()
    if isinstance(answer, str):
        return answer, context.find(answer) if isinstance(context, str) else -1
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise TypeError(
            "An answer must be a text, a pair of a text and its start, or None. Received: "
            f"{answer!r:.60} at index {index}."
        )
    return answer


def check_answers(rows, no_answer):
    """Rows whose first answers were found in their contexts.

    Args:
        rows: Rows with `question`, `context`, `answers` and `answer_starts`.
        no_answer: bool. Whether a question may have no answer.
    Returns:
        Rows with the additional columns `answer`, the first one or "", and `start`, in characters
        or -1.
    Raises:
        ValueError: if a column is missing, or an answer is not at its start; it names the row.
    """
    for name in ("question", "context", "answers", "answer_starts"):
        if name not in rows.columns:
            raise ValueError(
                "An answerer must have questions, contexts and answers. Received: rows with "
                f"columns {', '.join(rows.columns)}, without `{name}`."
            )
    rows = rows.with_column("start", lambda row: _find_start(row, no_answer))
    rows = rows.with_column("answer", lambda row: row["answers"][0] if row["answers"] else "")
    # Each answer is checked once before training begins, not when its batch comes.
    for _ in rows:
        pass
    return rows


def _find_start(row, no_answer):
    """The start of the first answer in characters, -1 for no answer."""
    answers, starts = row["answers"], row["answer_starts"]
    if len(answers) != len(starts):
        raise ValueError(
            "`answers` and `answer_starts` must be lists of one length. Received: "
            f"answers={answers!r:.60}, answer_starts={starts!r:.60}."
        )
    if not answers:
        if not no_answer:
            raise ValueError(
                "A question must have an answer where `no_answer` is False. Received: "
                f"{row['question']!r:.80} without one."
            )
        return -1
    answer, start, context = answers[0], starts[0], row["context"]
    if not answer or start < 0 or not context.startswith(answer, start):
        there = f"at {start}, where the context has {context[start : start + 20]!r}"
        if start < 0:
            there = f"which is not in {context!r:.60}"
        raise ValueError(
            f"An answer must be in its context at its start. Received: {answer!r:.60} {there}."
        )
    return start


def first_answers(columns, no_answer):
    """In the graph: the answers of a batch, checked.

    Args:
        columns: dict of tensors: `context` and either `answer` and `start`, (B,), or `answers` and
            `answer_starts`, (B, None), of which the first count.
        no_answer: bool. Whether a question may have no answer.
    Returns:
        starts, ends: int32 (B,). In characters; -1 and -1 for no answer.
    Raises:
        ValueError: if there are no such columns.
        tf.errors.InvalidArgumentError: at run time, if an answer is not at its start.
    """
    if "answers" in columns and "start" not in columns:
        answer = columns["answers"][:, :1].to_tensor(shape=[None, 1])[:, 0]
        start = columns["answer_starts"][:, :1].to_tensor(-1, shape=[None, 1])[:, 0]
    elif "answer" in columns and "start" in columns:
        answer, start = columns["answer"], columns["start"]
    else:
        raise ValueError(
            "An answerer must have answers and their starts. Received: batches of "
            f"{', '.join(columns)}."
        )
    start = tf.cast(start, tf.int32)
    is_none = start < 0
    length = tf.strings.length(answer, unit="UTF8_CHAR")
    context = columns["context"]
    # substr raises its own error for a start beyond the context, without the answer in it.
    position = tf.minimum(start, tf.strings.length(context, unit="UTF8_CHAR"))
    there = tf.strings.substr(context, tf.maximum(position, 0), length, unit="UTF8_CHAR")
    is_right = tf.where(is_none, no_answer & (length == 0), (there == answer) & (length > 0))
    wrong = tf.boolean_mask(answer, ~is_right)
    message = "An answer must be in its context at its start. Received:"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_right), [message, wrong])]):
        return tf.identity(start), tf.where(is_none, -1, start + length)
