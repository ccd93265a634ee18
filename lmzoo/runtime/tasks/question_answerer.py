"""Extractive question answering: windows over long contexts, and the best span of all.

Shapes: W windows, T tokens of a window, A longest answer in tokens.
"""

import numpy as np

from ..predictions import QuestionAnswering
from .packing import count_special_tokens
from .text_reading import TextReading, check_finite, warn_of_truncation

__all__ = ["QuestionAnswerer"]

_LOWEST = np.float32(-65504)
# Windows that go through the model together, however long a context is.
_WINDOWS_AT_ONCE = 32


class QuestionAnswerer(QuestionAnswering, TextReading):
    """Finds the span of a context that answers a question; see `lmzoo.tasks.QuestionAnswerer`."""

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        options = self.manifest.task_options
        self.no_answer = options["no_answer"]
        self.no_answer_threshold = np.float32(options["no_answer_threshold"])
        self.stride, self._max_question_tokens = options["stride"], options["max_question_tokens"]
        self._longest = min(options["max_answer_tokens"], self.sequence_length)
        if self.manifest.tokenizer is not None:
            special = 1 + 1 + self.manifest.tokenizer.num_separators
            room = self.sequence_length - special - self._max_question_tokens
            if not self.stride < room:
                raise ValueError(
                    "`stride` must be below the number of context tokens beside the longest "
                    f"question, {room}. Received: stride={self.stride}."
                )

    @property
    def output_width(self):
        return 2

    def find_answers(self, questions, contexts, batch_size):
        """See `QuestionAnswering`. Windows are run in batches of their own size."""
        answers, are_truncated = [], []
        for question, context in zip(questions, contexts, strict=True):
            ids = self.tokenize(question)
            are_truncated.append(len(ids) > self._max_question_tokens)
            windows = self._make_windows(ids[: self._max_question_tokens], context)
            found = self._search(windows)
            check_finite(found["logit"], question)
            answers.append(self._choose(context, found))
        if answers:
            warn_of_truncation(are_truncated, self._max_question_tokens, "questions")
        return answers

    def _make_windows(self, question, context):
        """Packed rows whose features are the (start, end) of context tokens."""
        tokens = self.tokenizer.tokenize_with_offsets(context, list(self.allow_special))
        special = count_special_tokens(self.tokenizer, 2, True, True)
        room = self.sequence_length - special - len(question)
        step, beyond = room - self.stride, max(len(tokens) - room, 0)
        windows = []
        for number in range(1 + -(-beyond // step)):
            part = tokens[number * step : number * step + room]
            ids, spans = [token[0] for token in part], [token[1:] for token in part]
            windows.append(self.pack([question, ids], [[None] * len(question), spans]))
        return windows

    def _search(self, windows):
        """The best answer of all windows: dict of numbers."""
        bounds, scores = [], []
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            rows = windows[start : start + _WINDOWS_AT_ONCE]
            for row, logits in zip(rows, self.run_rows(rows), strict=True):
                found = self._search_window(row, logits[: len(row.ids)])
                bounds.append(found[0])
                scores.append(found[1])
        logits, totals, no_answer = np.array(scores, np.float32).T
        # Ties go to the first window.
        best = int(logits.argmax())
        highest = totals.max()
        return {
            "bounds": bounds[best],
            "logit": logits[best],
            "total": highest + np.log(np.exp(totals - highest).sum()),
            "no_answer": no_answer.min(),
        }

    def _search_window(self, row, logits):
        """((start, end), (best logit, log-sum-exp of all answers, logit of "no answer"))."""
        # A token without characters (white space alone) is not the start or end of an answer.
        spans = [(-1, -1) if span is None else span for span in row.features]
        is_context = np.array([end > start for start, end in spans])
        starts = np.where(is_context, logits[:, 0], _LOWEST)
        ends = np.where(is_context, logits[:, 1], _LOWEST)
        ends = np.pad(ends, [0, self._longest - 1], constant_values=_LOWEST)
        # (T, A): the score of an answer that begins at a token and is 1, 2, ... tokens long
        scores = starts[:, None] + np.lib.stride_tricks.sliding_window_view(ends, self._longest)
        first, length = np.unravel_index(scores.argmax(), scores.shape)
        logit = scores.max()
        found = (-1, -1)
        if logit > _LOWEST / 2:
            found = spans[first][0], spans[first + length][1]
        total = logit + np.log(np.exp(scores - logit).sum())
        return found, (logit, total, logits[0, 0] + logits[0, 1])

    def _choose(self, context, found):
        (start, end), logit, no_answer = found["bounds"], found["logit"], found["no_answer"]
        both = np.logaddexp(found["total"], no_answer)
        if self.no_answer and no_answer - logit > self.no_answer_threshold:
            start = end = -1
        no_answer_score = np.exp(no_answer - both)
        score = np.exp(logit - (both if self.no_answer else found["total"]))
        return {
            "answer": "" if start < 0 else context[start:end],
            "start": start,
            "end": end,
            "score": float(no_answer_score if start < 0 else score),
            "no_answer_score": float(no_answer_score),
        }
