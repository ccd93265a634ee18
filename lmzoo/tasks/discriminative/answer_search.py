"""The search for the best answer over all pairs of start and end tokens, in the graph.

Shapes: B batch, W windows of a batch, T tokens of a window, A longest answer in tokens.
"""

import tensorflow as tf

__all__ = ["AnswerSearch"]

_LOWEST = -65504.0


class AnswerSearch:
    """Finds the best answer of each window, and then the best window of each context.

    Args:
        max_answer_tokens: int. A.
        sequence_length: int or None. The length of a window, beyond which no answer goes.
    Raises:
        ValueError: if `max_answer_tokens` is not positive.
    """

    def __init__(self, max_answer_tokens, sequence_length=None):
        if type(max_answer_tokens) is not int or max_answer_tokens < 1:
            raise ValueError(
                "`max_answer_tokens` must be a positive int. Received: "
                f"max_answer_tokens={max_answer_tokens!r}."
            )
        self._longest = min(max_answer_tokens, sequence_length or max_answer_tokens)

    def search(self, logits, offsets):
        """Finds the best answer of each window.

        Args:
            logits: float32 (W, T, 2), of starts and ends. The first token stands for "no answer".
            offsets: int32 (W, T, 4). The start and end of each token in its context and whether
                context lies before or after it, as `Windows` makes them.
        Returns:
            bounds: int32 (W, 2). Start and end in characters, -1 for a window without context.
            scores: float32 (W, 3). The logit of the best answer, the log-sum-exp of the logits of
                all answers, and the logit of "no answer".
        """
        # A token without characters (white space alone) is not the start or end of an answer.
        is_context = offsets[..., 1] > offsets[..., 0]
        starts = tf.where(is_context, logits[..., 0], _LOWEST)
        ends = tf.where(is_context, logits[..., 1], _LOWEST)
        length = tf.shape(starts)[1]
        # (W, T, A): the score of an answer that begins at a token and is 1, 2, ... tokens long
        beyond = tf.pad(ends, [[0, 0], [0, self._longest - 1]], constant_values=_LOWEST)
        index = tf.range(length)[:, None] + tf.range(self._longest)
        ends = tf.gather(beyond, index, axis=1)
        scores = tf.reshape(starts[..., None] + ends, [-1, length * self._longest])
        best = tf.argmax(scores, axis=1, output_type=tf.int32)
        first, last = best // self._longest, best // self._longest + best % self._longest
        logit = tf.reduce_max(scores, axis=1)
        # Half of the lowest is far below any real score and above the sum of two masked ones.
        is_found = logit > _LOWEST / 2
        bounds = [
            tf.where(is_found, tf.gather(offsets[..., side], token, batch_dims=1), -1)
            for side, token in ((0, first), (1, last))
        ]
        total = tf.reduce_logsumexp(scores, axis=1)
        no_answer = logits[:, 0, 0] + logits[:, 0, 1]
        return tf.stack(bounds, axis=-1), tf.stack([logit, total, no_answer], axis=-1)

    def choose(self, bounds, scores, rows):
        """Finds the best answer of each row among those of its windows.

        Args:
            bounds, scores: of `search`.
            rows: int64 (W,), ascending from 0. The row of each window; each row has one.
        Returns:
            dict of float32 and int32 (B,): `start` and `end` in characters, -1 for a context
            without tokens; `logit` of the best answer (ties go to the first window); `total`, the
            log-sum-exp of the logits of all answers; and `no_answer_logit`, the lowest of the
            row's windows.
        """
        logits, totals, no_answer = tf.unstack(scores, axis=-1)
        logit = tf.math.segment_max(logits, rows)
        numbers, size = tf.range(tf.size(logits)), tf.size(logits)
        is_best = logits >= tf.gather(logit, rows)
        chosen = tf.math.segment_min(tf.where(is_best, numbers, size), rows)
        # A row of NaN has no best window. Its score is NaN too, which callers refuse.
        chosen = tf.minimum(chosen, size - 1)
        found = tf.gather(bounds, chosen)
        highest = tf.math.segment_max(totals, rows)
        shares = tf.math.segment_sum(tf.exp(totals - tf.gather(highest, rows)), rows)
        return {
            "start": found[:, 0],
            "end": found[:, 1],
            "logit": logit,
            "total": highest + tf.math.log(shares),
            "no_answer_logit": tf.math.segment_min(no_answer, rows),
        }
