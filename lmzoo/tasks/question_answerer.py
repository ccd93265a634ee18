"""Finding the answer to a question in a text."""

import keras
import tensorflow as tf
from keras import ops

from lmzoo.data.rows import Rows
from lmzoo.data.windows import Windows, window_rows
from lmzoo.layers import ClassificationHead
from lmzoo.metrics import squad_scores
from lmzoo.tasks.answer_search import AnswerSearch
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_input import Example, TextInput

__all__ = ["AnswerLoss", "QuestionAnswerer"]

# Windows that go through the model together, however long a context is.
_WINDOWS_AT_ONCE = 32


@keras.saving.register_keras_serializable(package="lmzoo")
class AnswerLoss(keras.losses.Loss):
    """The mean of two cross-entropies over the tokens: of an answer's first and of its last one.

    Labels are int (B, 2), predictions float (B, T, 2).

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.2.
    """

    def call(self, y_true, y_pred):
        # (B, T, 2) -> (B, 2, T)
        scores = ops.transpose(y_pred, (0, 2, 1))
        losses = ops.sparse_categorical_crossentropy(y_true, scores, from_logits=True)
        return ops.mean(losses, axis=-1)


@keras.saving.register_keras_serializable(package="lmzoo")
class QuestionAnswerer(TextInput, Task):
    """Finds the words of a context that answer a question.

    Trained on `fit((questions, contexts), answers)`: an answer is its text (the first place where
    the context has it counts), a pair `(text, start)` with the start in characters, or None where
    there is none; or on rows as `lmzoo.data.read_squad` gives them. A context that is too long for
    one input is read in windows that overlap, each an example of its own.

    Args:
        backbone: `lmzoo.models.BertBackbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        no_answer: bool. Whether a question may have no answer, as in SQuAD 2.0.
        no_answer_threshold: float. By how much the score of no answer must exceed that of the best
            answer, in logits.
        stride: int or None. How many tokens two windows share; None for 128, or a fourth of
            `sequence_length` where that is less.
        max_question_tokens: int or None. Longer questions are cut; None for 64, or a fourth of
            `sequence_length` where that is less.
        max_answer_tokens: int. The longest answer.
        sequence_length: int or None. Tokens of question, window and special tokens together; None
            for 384, or what the backbone takes where that is less.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T).
    Returns:
        Logits, float (B, T, 2): how well an answer begins, and ends, at each token. The lowest
        number of float16 stands at padding.
    Raises:
        ValueError: if a number is out of its range, the window has no room, or the tokenizer does
            not fit the backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, sections 4.2 and 4.3.

    Example:
        answerer = lmzoo.tasks.QuestionAnswerer(backbone, tokenizer)
        answerer.fit(lmzoo.data.read_squad("train-v1.1.json"), epochs=2)
        answerer.answer("Who wrote it?", "Ada wrote it.")  # {"answer": "Ada", "start": 0, ...}
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    _uses_pooler = False

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
        self.sequence_length = sequence_length or min(384, backbone.max_sequence_length)
        self.no_answer = no_answer
        self.no_answer_threshold = no_answer_threshold
        fourth = self.sequence_length // 4
        self.stride = min(128, fourth) if stride is None else stride
        self.max_question_tokens = (
            min(64, fourth) if max_question_tokens is None else max_question_tokens
        )
        self.max_answer_tokens = max_answer_tokens
        self._search = AnswerSearch(max_answer_tokens)
        if tokenizer is not None:
            self._make_windows()
        self.head = ClassificationHead(
            2,
            initializer=keras.initializers.TruncatedNormal(
                stddev=backbone.initializer_range or 0.02
            ),
            dtype=backbone.dtype_policy,
            name="head",
        )
        self.head.build((None, None, backbone.hidden_dim))

    def _make_windows(self):
        return Windows(self.tokenizer, self.sequence_length, self.stride, self.max_question_tokens)

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

    def columns_of(self, x, y=None, sample_weight=None):
        columns = dict(x) if isinstance(x, dict) else {"question": x[0], "context": x[1]}
        if y is not None:
            columns |= _to_answer_columns(y, columns["context"])
        if sample_weight is not None:
            columns["weight"] = sample_weight
        return columns

    def label_rows(self, rows):
        for name in ("question", "context", "answers", "answer_starts"):
            if name not in rows.columns:
                raise ValueError(
                    "An answerer must have questions, contexts and answers. Received: rows with "
                    f"columns {', '.join(rows.columns)}, without `{name}`."
                )
        rows = rows.with_column("start", self._find_start)
        rows = rows.with_column("answer", lambda row: row["answers"][0] if row["answers"] else "")
        # Each answer is looked at once before training begins, not when its batch comes.
        for _ in rows:
            pass
        return rows

    def _find_start(self, row):
        """The place of the first answer, -1 where there is none."""
        if not row["answers"]:
            if not self.no_answer:
                raise ValueError(
                    "A question must have an answer where `no_answer` is False. Received: "
                    f"{row['question']!r:.80} without one."
                )
            return -1
        answer, start = row["answers"][0], row["answer_starts"][0]
        if not answer or start < 0 or not row["context"].startswith(answer, start):
            raise ValueError(
                "An answer must stand in its context at its start. Received: "
                f"{answer!r:.60} at {start}, where there is "
                f"{row['context'][max(start, 0) : max(start, 0) + 20]!r}."
            )
        return start

    def _to_rows(self, x, y=None, sample_weight=None, labelled=True):
        rows = super()._to_rows(x, y, sample_weight, labelled)
        return window_rows(rows, self._make_windows()) if isinstance(rows, Rows) else rows

    def encode_inputs(self, columns):
        inputs, places, _ = self._cut(columns)
        return inputs, tf.zeros(tf.shape(places)[:1], tf.bool)

    def encode(self, columns, seed):
        inputs, places, rows = self._cut(columns)
        # Windows lose nothing, so no text is cut.
        is_cut = tf.zeros(tf.shape(places)[:1], tf.bool)
        if "start" not in columns:
            return Example(inputs, None, None, is_cut)
        starts = tf.cast(columns["start"], tf.int32)
        ends = starts + tf.strings.length(columns["answer"], unit="UTF8_CHAR")
        labels = _label_windows(places, tf.gather(starts, rows), tf.gather(ends, rows))
        weights = columns.get("weight")
        return Example(inputs, labels, weights and tf.gather(weights, rows), is_cut)

    def _cut(self, columns):
        windows, pair = self._make_windows(), (columns["question"], columns["context"])
        if "window" not in columns:
            return windows.make(*pair)
        inputs, places = windows.make_one(*pair, columns["window"])
        return inputs, places, tf.range(tf.shape(places)[0])

    # Answers

    def answer(self, questions, contexts, batch_size=None):
        """Answers questions out of contexts.

        Args:
            questions: str or list of str.
            contexts: str or list of str, as many as there are questions. They may be longer than a
                window.
            batch_size: int or None. Pairs that are computed together; None for 32.
        Returns:
            dict of `answer` str, `start` and `end` int (characters of the context), `score` float,
            the probability among all answers (and none, with `no_answer`), and `no_answer_score`
            float, the probability of no answer beside all answers. Where there is none the answer
            is "" and both places are -1. For a list, a list of these.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if the lists differ in length or there is no tokenizer.
        """
        questions, is_single = self.read_texts(questions, "questions")
        contexts, _ = self.read_texts(contexts, "contexts")
        if len(questions) != len(contexts):
            raise ValueError(
                "`contexts` must be as many as `questions`. Received: "
                f"{len(contexts)} contexts, {len(questions)} questions."
            )
        results = self.run_graph(self._get_answer(), [questions, contexts], batch_size)
        answers = []
        for result in results:
            result = {
                name: value.item() if name != "answer" else value for name, value in result.items()
            }
            answers.append({**result, "answer": result["answer"].decode("utf-8")})
        return answers[0] if is_single else answers

    def evaluate(self, x=None, y=None, batch_size=None, *, return_dict=False, **kwargs):
        """Evaluates as `TextInput.evaluate`, on raw text by SQuAD's two measures as well.

        Returns:
            `loss`, `exact_match` and `f1` (both in percent), as a list or a dict.
        """
        results = super().evaluate(x, y, batch_size, return_dict=True, **kwargs)
        if self._is_raw(x) and not isinstance(x, tf.data.Dataset):
            rows = x if isinstance(x, Rows) else TextInput._to_rows(self, x, y)
            results |= self._score_rows(rows, batch_size)
        return results if return_dict else list(results.values())

    def _score_rows(self, rows, batch_size):
        questions, contexts, gold = [], [], []
        for row in rows:
            questions.append(row["question"])
            contexts.append(row["context"])
            gold.append(row["answers"])
        found = [each["answer"] for each in self.answer(questions, contexts, batch_size)]
        scores = squad_scores(found, gold)
        return {"exact_match": scores["exact"], "f1": scores["f1"]}

    def _answer(self, question, context):
        inputs, places, rows = self._make_windows().make(question, context)
        found = self._search.find(self._call_in_parts(inputs), places, rows)
        start, end, logit = found["start"], found["end"], found["logit"]
        nothing = found["no_answer_logit"]
        both = tf.reduce_logsumexp(tf.stack([found["total"], nothing]), axis=0)
        if self.no_answer:
            is_none = nothing - logit > self.no_answer_threshold
            start, end = tf.where(is_none, -1, start), tf.where(is_none, -1, end)
        is_none = start < 0
        score = tf.exp(logit - (both if self.no_answer else found["total"]))
        no_answer_score = tf.exp(nothing - both)
        return {
            "answer": tf.strings.substr(
                context,
                tf.maximum(start, 0),
                tf.where(is_none, 0, end - start),
                unit="UTF8_CHAR",
            ),
            "start": start,
            "end": end,
            "score": tf.where(is_none, no_answer_score, score),
            "no_answer_score": no_answer_score,
        }

    def _call_in_parts(self, inputs):
        """Logits (W, T, 2) of any number of windows, in memory that does not grow with it."""
        count = tf.shape(inputs["token_ids"])[0]
        num_parts = -(-count // _WINDOWS_AT_ONCE)
        parts = tf.TensorArray(
            tf.float32, num_parts, infer_shape=False, element_shape=[None, None, 2]
        )

        def call_part(part, parts):
            first = part * _WINDOWS_AT_ONCE
            window = {name: x[first : first + _WINDOWS_AT_ONCE] for name, x in inputs.items()}
            logits = tf.cast(self(window, training=False), tf.float32)
            return part + 1, parts.write(part, logits)

        _, parts = tf.while_loop(lambda part, _: part < num_parts, call_part, (0, parts))
        return parts.concat()

    def _get_answer(self):
        specs = [tf.TensorSpec([None], tf.string, name) for name in ("question", "context")]
        return self._get_graph("answer", lambda: tf.function(self._answer, input_signature=specs))

    def serving_functions(self):
        """What is exported.

        serving_default: `question` and `context`, string (B,) -> `answer` string (B,), `start` and
            `end` int32 (B,) in characters, `score` and `no_answer_score` float32 (B,); see
            `answer`.
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `logits` float32 (B, T, 2).
        """
        functions = {"tokens": self.get_tokens_function()}
        if self.tokenizer is not None:
            functions["serving_default"] = self._get_answer()
        return functions

    def get_config(self):
        names = (
            "no_answer no_answer_threshold stride max_question_tokens max_answer_tokens "
            "sequence_length"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _to_answer_columns(answers, contexts):
    """Columns of one answer a question, or of none."""
    if isinstance(answers, tuple) and isinstance(answers[0], tf.Tensor):
        return {"answer": answers[0], "start": answers[1]}
    texts, starts = [], []
    for answer, context in zip(answers, contexts, strict=False):
        if isinstance(answer, str):
            answer = (answer, context.find(answer))
        text, start = ("", -1) if answer is None else answer
        texts.append([] if answer is None else [text])
        starts.append([] if answer is None else [int(start)])
    texts += [[]] * (len(answers) - len(texts))
    return {"answers": texts, "answer_starts": starts + [[]] * (len(answers) - len(starts))}


def _label_windows(places, starts, ends):
    """The first and the last token of each window's answer, int32 (W, 2).

    Both are 0, the start token, where the window does not hold the whole answer.
    """
    token_starts, token_ends = places[..., 0], places[..., 1]
    is_context = token_starts >= 0
    touches = is_context & (token_ends > starts[:, None]) & (token_starts < ends[:, None])
    length = tf.shape(places)[1]
    first = tf.argmax(tf.cast(touches, tf.int32), axis=1, output_type=tf.int32)
    last = (
        length
        - 1
        - tf.argmax(tf.cast(tf.reverse(touches, [1]), tf.int32), axis=1, output_type=tf.int32)
    )
    lowest = tf.reduce_min(tf.where(is_context, token_starts, tf.int32.max), axis=1)
    highest = tf.reduce_max(tf.where(is_context, token_ends, -1), axis=1)
    whole = (starts >= 0) & tf.reduce_any(touches, 1) & (lowest <= starts) & (ends <= highest)
    return tf.where(whole[:, None], tf.stack([first, last], axis=-1), 0)
