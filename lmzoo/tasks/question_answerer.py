"""Extractive question answering: the span of a context that answers a question."""

import collections
import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmzoo.data.rows.context_windows import Windows, label_windows, window_rows
from lmzoo.data.rows.rows import Rows
from lmzoo.layers import ClassificationHead
from lmzoo.metrics import squad_scores
from lmzoo.runtime.predictions import QuestionAnswering
from lmzoo.tasks.discriminative.answer_rows import check_answers, first_answers, read_answers
from lmzoo.tasks.discriminative.answer_search import AnswerSearch
from lmzoo.tasks.discriminative.inference import run_in_batches
from lmzoo.tasks.discriminative.text_arguments import (
    ints_to_floats,
    is_raw,
    name_columns,
)
from lmzoo.tasks.discriminative.text_batches import TruncationReport, check_strings
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.losses import AnswerLoss
from lmzoo.tasks.task import Task

__all__ = ["QuestionAnswerer"]

# What `fit` validates with: the batches that it made of rows.
_Validation = collections.namedtuple("_Validation", "batches rows batch_size")
# Windows that go through the model together, however long a context is.
_WINDOWS_AT_ONCE = 32


@keras.saving.register_keras_serializable(package="lmzoo")
class QuestionAnswerer(QuestionAnswering, TextInput, Task):
    """Finds the span of a context that answers a question (SQuAD).

    Trains on raw text: `fit((questions, contexts), answers)`. An answer is its text (the first
    occurrence in the context counts), a pair `(text, start)` with the start in characters, or None
    for a question without an answer. Or on rows with the columns `question`, `context`, `answers`
    and `answer_starts`, as `lmzoo.data.read_squad` returns them. A tf.data.Dataset may have the
    columns `answer` and `start` in place of the last two.

    A context that is too long for one input is split into overlapping windows, each an example of
    its own. A window that does not contain the whole answer is trained on "no answer".

    Exported signatures:
        serving_default: `question` and `context`, string (B,) -> `answer` string (B,), `start` and
            `end` int32 (B,) in characters, `score` and `no_answer_score` float32 (B,); see
            `answer`.
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `logits` float32 (B, T, 2).

    Args:
        backbone: an encoder of `lmzoo.models`, such as `BertBackbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        no_answer: bool. If True, a question may have no answer, as in SQuAD 2.0. If False, metrics
            are those of SQuAD 1.1.
        no_answer_threshold: finite float. "No answer" is predicted if its logit exceeds that of
            the best answer by more than this.
        stride: int or None. The number of tokens that two neighbouring windows share; None for 128,
            or a fourth of `sequence_length` where that is less.
        max_question_tokens: int or None. Longer questions are truncated, with one warning that
            counts them; None for 64, or a fourth of `sequence_length` where that is less.
        max_answer_tokens: int. The longest answer in tokens.
        sequence_length: int or None. The length of a window in tokens, with question and special
            tokens; None for 384, or the backbone's `max_sequence_length` where that is less.
        allow_special: list of str, by keyword, as for `TextClassifier`.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T).
    Returns:
        Logits, float (B, T, 2), of an answer's start and end at each token; -65504 at padding.
    Raises:
        ValueError: if a number is out of its range, the window has no room for context, or the
            tokenizer has more tokens than the backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, sections 4.2 and 4.3.

    Example:
        answerer = lmzoo.tasks.QuestionAnswerer(backbone, tokenizer)
        answerer.fit(lmzoo.data.read_squad("train-v1.1.json"), epochs=2)
        answerer.answer("Who wrote it?", "Ada wrote it.")  # {"answer": "Ada", "start": 0, ...}
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    backbone_kinds = ("encoder",)
    uses_pooler = False
    prediction_kind = "answers"
    text_columns = ("question", "context")
    label_column = "answers"

    def __init__(
        self,
        backbone,
        tokenizer=None,
        no_answer=False,
        no_answer_threshold=0.0,
        stride=None,
        max_question_tokens=None,
        max_answer_tokens=30,
        sequence_length=None,
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        if sequence_length is None:
            sequence_length = min(384, backbone.max_sequence_length)
        self.sequence_length = sequence_length
        self.no_answer = no_answer
        self.no_answer_threshold = _check_threshold(no_answer_threshold)
        fourth = self.sequence_length // 4
        self.stride = min(128, fourth) if stride is None else stride
        self.max_question_tokens = (
            min(64, fourth) if max_question_tokens is None else max_question_tokens
        )
        self.max_answer_tokens = max_answer_tokens
        self._search = AnswerSearch(max_answer_tokens, self.sequence_length)
        self._validation = None
        if tokenizer is not None:
            self._make_windows()
        self.head = ClassificationHead(
            2,
            initializer=keras.initializers.TruncatedNormal(
                stddev=backbone.initializer_range or 0.02
            ),
            **backbone.head_options,
            dtype=backbone.dtype_policy,
            name="head",
        )
        self.head.build((None, None, backbone.hidden_dim))

    def _make_windows(self):
        return Windows(
            self.tokenizer,
            self.sequence_length,
            self.stride,
            self.max_question_tokens,
            self.allow_special,
        )

    def call(self, inputs, training=None):
        hidden = self.backbone(inputs, training=training)["sequence_output"]
        logits = self.head(hidden, training=training)
        padding_mask = inputs.get("padding_mask")
        if padding_mask is None:
            return logits
        return ops.where(ops.expand_dims(padding_mask, -1), logits, -65504.0)

    def compute_output_shape(self, input_shape):
        return (*input_shape["token_ids"], 2)

    # Training

    def _make_loss(self):
        return AnswerLoss()

    def to_columns(self, x, y=None, sample_weight=None):
        columns = name_columns(x, self.text_columns, num_needed=2)
        if y is not None:
            columns |= read_answers(y, columns["context"])
        if sample_weight is not None:
            columns["weight"] = ints_to_floats(sample_weight)
        return columns

    def label_rows(self, rows):
        return check_answers(rows, self.no_answer)

    def fit(self, x=None, y=None, batch_size=None, **kwargs):
        """Trains as `TextInput.fit`, and measures exact match and F1 on raw validation data.

        With raw validation data that is not a tf.data.Dataset, or with `validation_split`, each
        validation also predicts the answers. History and callbacks then have `val_exact_match` and
        `val_f1`. Callbacks that monitor one of them need `mode="max"`.
        """
        try:
            return super().fit(x, y, batch_size, **kwargs)
        finally:
            self._validation = None

    def _to_batches(self, rows, batch_size, *args, **kwargs):
        if not isinstance(rows, Rows):
            return super()._to_batches(rows, batch_size, *args, **kwargs)
        # Only here, so that `validation_split` splits questions and not windows.
        windows = window_rows(rows, self._make_windows())
        batches = super()._to_batches(windows, batch_size, *args, **kwargs)
        if kwargs.get("part") == "validation":
            self._validation = _Validation(batches, rows, batch_size)
        return batches

    def make_report(self):
        # Contexts are not truncated: windows cover all of them.
        return TruncationReport(self.max_question_tokens, "questions")

    def encode_inputs(self, columns):
        inputs, _, _, is_truncated = self._make_windows_of(columns)
        return inputs, is_truncated

    def encode(self, columns, seed):
        inputs, offsets, rows, is_truncated = self._make_windows_of(columns)
        starts, ends = first_answers(columns, self.no_answer)
        labels = label_windows(offsets, tf.gather(starts, rows), tf.gather(ends, rows))
        weights = columns.get("weight")
        if weights is not None:
            weights = tf.gather(weights, rows)
        return Example(inputs, labels, weights, is_truncated)

    def _make_windows_of(self, columns):
        check_strings(columns, self.text_columns)
        windows, pair = self._make_windows(), (columns["question"], columns["context"])
        is_truncated = windows.is_truncated(columns["question"])
        if "window" not in columns:
            return *windows.make(*pair), is_truncated
        # A question of several windows is counted with the first one.
        is_truncated = tf.boolean_mask(is_truncated, columns["window"] == 0)
        inputs, offsets = windows.make_one(*pair, columns["window"])
        return inputs, offsets, tf.range(tf.shape(offsets)[0]), is_truncated

    # Prediction

    def find_answers(self, questions, contexts, batch_size):
        """See `QuestionAnswering`."""
        results = self.run_graph(self._get_answer(), [questions, contexts], batch_size)
        answers = []
        for result in results:
            result = {
                name: value.item() if name != "answer" else value for name, value in result.items()
            }
            answers.append({**result, "answer": result["answer"].decode("utf-8")})
        return answers

    def evaluate(self, x=None, y=None, batch_size=None, *, return_dict=False, **kwargs):
        """Evaluates as `TextInput.evaluate`; on raw text also SQuAD's exact match and F1.

        They are those of SQuAD 2.0 with `no_answer`, else of 1.1. Each question counts once,
        whatever its weight.

        Returns:
            `loss`, `exact_match` and `f1` (both in percent), as a list or a dict.
        """
        results = super().evaluate(x, y, batch_size, return_dict=True, **kwargs)
        validation = self._validation
        if validation is not None and x is validation.batches:
            # Keras calls this method to validate, with the batches that `fit` made.
            results |= self._score_rows(validation.rows, validation.batch_size)
        elif is_raw(x) and not isinstance(x, tf.data.Dataset):
            results |= self._score_rows(self._to_rows(x, y), batch_size)
        return results if return_dict else list(results.values())

    def _score_rows(self, rows, batch_size):
        questions, contexts, gold = [], [], []
        for row in rows:
            questions.append(row["question"])
            contexts.append(row["context"])
            gold.append(row["answers"])
        # Not by `answer`, which would warn of truncation a second time.
        size = batch_size or self.batch_size
        results = run_in_batches(self._get_answer(), [questions, contexts], size, verbose=False)
        found = [result["answer"].decode("utf-8") for result in results]
        scores = squad_scores(found, gold, version="2.0" if self.no_answer else "1.1")
        return {"exact_match": scores["exact"], "f1": scores["f1"]}

    def _answer(self, question, context):
        context = tf.strings.unicode_transcode(context, "UTF-8", "UTF-8", errors="replace")
        inputs, offsets, rows = self._make_windows().make(question, context)
        found = self._search.choose(*self._search_in_parts(inputs, offsets), rows)
        start, end, logit = found["start"], found["end"], found["logit"]
        no_answer = found["no_answer_logit"]
        both = tf.reduce_logsumexp(tf.stack([found["total"], no_answer]), axis=0)
        if self.no_answer:
            is_none = no_answer - logit > self.no_answer_threshold
            start, end = tf.where(is_none, -1, start), tf.where(is_none, -1, end)
        is_none = start < 0
        score = tf.exp(logit - (both if self.no_answer else found["total"]))
        no_answer_score = tf.exp(no_answer - both)
        length = tf.where(is_none, 0, end - start)
        return {
            "answer": tf.strings.substr(context, tf.maximum(start, 0), length, unit="UTF8_CHAR"),
            "start": start,
            "end": end,
            "score": tf.where(is_none, no_answer_score, score),
            "no_answer_score": no_answer_score,
            "is_truncated": self._make_windows().is_truncated(question),
        }

    def _search_in_parts(self, inputs, offsets):
        """`AnswerSearch.search` over any number of windows, a few in one forward pass."""
        num_parts = -(-tf.shape(offsets)[0] // _WINDOWS_AT_ONCE)
        bounds = tf.TensorArray(tf.int32, num_parts, infer_shape=False, element_shape=[None, 2])
        scores = tf.TensorArray(tf.float32, num_parts, infer_shape=False, element_shape=[None, 3])

        def search_part(part, bounds, scores):
            chosen = slice(part * _WINDOWS_AT_ONCE, (part + 1) * _WINDOWS_AT_ONCE)
            windows = {name: values[chosen] for name, values in inputs.items()}
            logits = tf.cast(self(windows, training=False), tf.float32)
            found = self._search.search(logits, offsets[chosen])
            return part + 1, bounds.write(part, found[0]), scores.write(part, found[1])

        # Not in parallel, which would need the memory of all.
        _, bounds, scores = tf.while_loop(
            lambda part, *_: part < num_parts,
            search_part,
            (0, bounds, scores),
            parallel_iterations=1,
        )
        return bounds.concat(), scores.concat()

    def _get_answer(self, served=False):
        return self.get_text_function("answer", self._answer, 2, served)

    def text_functions(self):
        return {"serving_default": self._get_answer(served=True)}

    def get_config(self):
        names = (
            "no_answer no_answer_threshold stride max_question_tokens max_answer_tokens "
            "sequence_length"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _check_threshold(threshold):
    is_number = isinstance(threshold, int | float | np.number) and not isinstance(threshold, bool)
    if not (is_number and math.isfinite(threshold)):
        raise ValueError(
            "`no_answer_threshold` must be a finite number. Received: "
            f"no_answer_threshold={threshold!r}."
        )
    return float(threshold)
