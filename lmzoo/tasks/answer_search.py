"""The best answer among all places where it may begin and end, in the graph.

Shapes: B batch, W windows of a batch, T tokens of a window, A longest answer in tokens.
"""

import tensorflow as tf

__all__ = ["AnswerSearch"]

_LOWEST = -65504.0


class AnswerSearch:
    """Looks through the scores of all windows.

    Args:
        max_answer_tokens: int. A.
    Raises:
        ValueError: if `max_answer_tokens` is not positive.
    """

    def __init__(self, max_answer_tokens):
        if type(max_answer_tokens) is not int or max_answer_tokens < 1:
            raise ValueError(
                "`max_answer_tokens` must be a positive int. Received: "
                f"max_answer_tokens={max_answer_tokens!r}."
            )
        self._longest = max_answer_tokens

    def find(self, logits, places, rows):
        """Finds the best answer of each row.

        Args:
            logits: float32 (W, T, 2), of starts and ends. The first token stands for no answer.
            places: int32 (W, T, 2). Where each token lies in its context, -1 outside of it.
            rows: int64 (W,), ascending from 0. The row of each window; each row has one.
        Returns:
            dict of float32 and int32 (B,): `start` and `end` in characters, -1 where the context
            has no token; `logit` of the best answer; `no_answer_logit`, the lowest of the row's
            windows; `total`, the log of the sum of the exponentials of all answers' logits.
        """
        is_context = places[..., 0] >= 0
        starts = tf.where(is_context, logits[..., 0], _LOWEST)
        ends = tf.where(is_context, logits[..., 1], _LOWEST)
        length = tf.shape(starts)[1]
        # (W, T, A): the score of an answer that begins at a token and is 1, 2, ... tokens long
        beyond = tf.pad(ends, [[0, 0], [0, self._longest - 1]], constant_values=_LOWEST)
        ends = tf.stack([beyond[:, d : d + length] for d in range(self._longest)], axis=-1)
        scores = tf.reshape(starts[..., None] + ends, [tf.shape(starts)[0], -1])
        best = tf.reduce_max(scores, axis=1)
        place = tf.argmax(scores, axis=1, output_type=tf.int32)
        first, last = place // self._longest, place // self._longest + place % self._longest

        logit = tf.math.segment_max(best, rows)
        is_best = best >= tf.gather(logit, rows)
        numbers = tf.range(tf.size(best))
        chosen = tf.math.segment_min(tf.where(is_best, numbers, tf.size(best)), rows)

        def look_up(tokens, side):
            found = tf.gather(places[..., side], tokens, batch_dims=1)
            # Half of the lowest is far below any score and above those of no token.
            return tf.where(logit > _LOWEST / 2, tf.gather(found, chosen), -1)

        shifted = tf.reduce_sum(tf.exp(scores - tf.gather(logit, rows)[:, None]), axis=1)
        return {
            "start": look_up(first, 0),
            "end": look_up(last, 1),
            "logit": logit,
            "no_answer_logit": tf.math.segment_min(logits[:, 0, 0] + logits[:, 0, 1], rows),
            "total": logit + tf.math.log(tf.math.segment_sum(shifted, rows)),
        }
