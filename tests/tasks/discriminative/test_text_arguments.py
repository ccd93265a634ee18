"""What is handed over: what is text and what is tokens, what comes beside it, in which form."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows
from lmzoo.tasks import (
    QuestionAnswerer,
    TextClassifier,
    TextEmbedder,
    TextRegressor,
    TokenClassifier,
)
from lmzoo.tasks.discriminative import text_input
from lmzoo.tasks.discriminative.text_arguments import holds_text
from lmzoo.tasks.task import Task
from tests.tasks.small_encoders import BAD, GOOD, NAMES, TEXTS, make_encoder, word_pieces
from tests.tasks.tiny_t5 import make_lm, make_tokenizer

TOKENS = {"encoder_token_ids": np.zeros((2, 3), "int32")}
FLIPPED = NAMES[::-1]
ROWS = make_rows(text=TEXTS, label=NAMES)


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])


@pytest.fixture(scope="module")
def answerer():
    return QuestionAnswerer(make_encoder(), word_pieces())


@pytest.fixture(scope="module")
def tagger():
    return TokenClassifier(make_encoder(), word_pieces(), ["O", "B-X"])


@pytest.fixture(scope="module")
def lm():
    return make_lm(make_tokenizer())


@pytest.mark.parametrize(
    "x",
    [["a"], ("a", "b"), np.array(["a"]), np.array([b"a"]), np.array(["a"], object)]
    + [tf.constant(["a"]), {"source": ["a"]}, tf.data.Dataset.from_tensor_slices(["a"])]
    + [{"label": [1], "text": ["a"]}, [[], ["a"]], [None, "a"], ([[], ["a"]],)]
    + [tf.data.Dataset.from_tensor_slices({"label": [1], "text": ["a"]})],
    ids=str,
)
def test_text_is_text(x):
    assert holds_text(x)


@pytest.mark.parametrize(
    "x",
    [TOKENS, {"name": tf.constant(["a"]), **TOKENS}, [[1, 2]], [[], [1]], [[]], {}]
    + [np.zeros((2, 3), "int32"), tf.zeros([2, 3], tf.int32)]
    + [{"a": tf.zeros([2, 3])}, tf.data.Dataset.from_tensors((TOKENS, np.zeros((2, 3))))],
    ids=str,
)
def test_tokens_are_no_text_under_any_name(x):
    assert not holds_text(x)


# What comes beside rows and datasets


@pytest.mark.parametrize(
    ("name", "value"), [("y", FLIPPED), ("sample_weight", [0.5] * 8)], ids=["y", "sample_weight"]
)
def test_labels_and_weights_beside_rows_or_a_dataset_are_refused(classifier, handed, name, value):
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, NAMES)).batch(4)
    given = {name: value}
    parts = (FLIPPED,) if name == "y" else (None, value)
    rules = {
        "Rows": (ROWS, f"column `{'label' if name == 'y' else 'weight'}`"),
        "a dataset": (dataset, r"\(x, y, sample_weight\)"),
    }
    for kind, (x, remedy) in rules.items():
        message = rf"`{name}` must be None beside {kind}.*{name}=\[{value[0]!r}.*{remedy}"
        for call in (classifier.fit, classifier.evaluate):
            with pytest.raises(ValueError, match=message):
                call(x, **given)
        with pytest.raises(ValueError, match=message):
            classifier.fit(TEXTS, NAMES, validation_data=(x, *parts))


def test_the_remedy_names_the_column_of_the_task(answerer, tagger, lm):
    rows = make_rows(words=[["a"]], tags=[["O"]])
    with pytest.raises(ValueError, match=r"Received: y=\[\['B-X'\]\].*column `tags`"):
        tagger.fit(rows, [["B-X"]])
    rows = make_rows(question=["a"], context=["b"], answers=[["b"]], answer_starts=[[0]])
    with pytest.raises(ValueError, match=r"Received: y=\['b'\].*column `answers`"):
        answerer.evaluate(rows, ["b"])
    with pytest.raises(ValueError, match=r"Received: y=\['b'\].*column `target`"):
        lm.fit(make_rows(source=["a"], target=["b"]), ["b"])


# Lists, tensors and arrays


@pytest.fixture
def handed(monkeypatch):
    """Runs a method up to where rows become batches, and gives those of its (validation) data."""
    monkeypatch.setattr(text_input, "make_batches", lambda rows, *_, **__: list(rows))

    def run(task, method, *args, **kwargs):
        found = []

        def take(self, x=None, *_, validation_data=None, **__):
            found.extend(x if validation_data is None else validation_data)

        monkeypatch.setattr(Task, method, take, raising=False)
        getattr(task, method)(*args, **kwargs)
        return found

    return run


def test_validation_data_in_a_list_is_that_in_a_tuple(classifier, handed):
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    weights = [{"weight": 0.5}, {"weight": 3.0}]
    pairs = [{"pair": "c"}, {"pair": "d"}]
    for parts, more in (
        ([["a", "b"], ["bad", "good"]], [{}, {}]),
        ([["a", "b"], ["bad", "good"], [0.5, 3.0]], weights),
        ([(["a", "b"], ["c", "d"]), ["bad", "good"]], pairs),
    ):
        wanted = [{**row, **others} for row, others in zip(rows, more, strict=True)]
        for data in (parts, tuple(parts)):
            assert handed(classifier, "fit", TEXTS, NAMES, validation_data=data) == wanted


def test_validation_has_the_batch_size_of_training_unless_given(classifier, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        text_input, "make_batches", lambda rows, encode, size, **_: sizes.append(size)
    )
    monkeypatch.setattr(Task, "fit", lambda *_, **__: None)
    for options in ({"validation_split": 0.5}, {"validation_data": (TEXTS, NAMES)}):
        classifier.fit(TEXTS, NAMES, batch_size=3, **options)
        classifier.fit(TEXTS, NAMES, batch_size=3, validation_batch_size=5, **options)
    assert sizes == [3, 3, 3, 5] * 2


def test_a_list_of_two_texts_is_no_pair_of_texts_and_labels(classifier, handed):
    for texts in (["good", "bad"], [("good", "bad"), ("a", "b")]):
        with pytest.raises((TypeError, ValueError), match="`x` must be|must have a label"):
            handed(classifier, "fit", TEXTS, NAMES, validation_data=texts)


def test_tensors_and_arrays_of_strings_are_lists(classifier, handed):
    coded = np.array([b"a", "naïve 我".encode()])
    ways = [
        (tf.constant(["a", "naïve 我"]), tf.constant(["bad", "good"])),
        (np.array(["a", "naïve 我"]), np.array(["bad", "good"])),
        (coded, np.array([0, 1], "int32")),
        ({"text": coded.astype(object)}, tf.constant([0, 1])),
    ]
    texts = [{"text": "a"}, {"text": "naïve 我"}]
    rows = [{**text, "label": number} for number, text in enumerate(texts)]
    for x, y in ways:
        assert handed(classifier, "evaluate", x, y) == rows
        assert handed(classifier, "predict", x) == texts
    weights = tf.constant([1.0, 0.5])
    found = handed(classifier, "evaluate", *ways[0], sample_weight=weights)
    assert [row["weight"] for row in found] == [1.0, 0.5]


def test_ragged_tensors_are_lists_of_words(tagger, handed):
    words, tags = [["a", "cat"], ["dog"]], [["O", "B-X"], ["O"]]
    found = handed(tagger, "evaluate", tf.ragged.constant(words), tf.ragged.constant(tags))
    assert found == [{"words": ["a", "cat"], "tags": [0, 1]}, {"words": ["dog"], "tags": [0]}]


def test_answers_take_tensors_and_arrays_of_strings(classifier):
    texts = ["a good film", "naïve 我"]
    for given in (tf.constant(texts), np.array(texts), np.array([t.encode() for t in texts])):
        assert classifier.read_texts(given) == (texts, False)


def test_a_broken_string_in_a_tensor_is_refused_with_its_place(classifier):
    with pytest.raises(ValueError, match=r"`text`, index 1: .*valid Unicode.*'.udcff'"):
        classifier.predict(tf.constant([b"a", b"\xff"]))
    with pytest.raises(TypeError, match="`text` must be a list.*text=b'a'"):
        classifier.predict(tf.constant("a"))


# Pairs


LISTS = r"a list of texts or a tuple of 2 lists, \(texts, pairs\)"


@pytest.mark.parametrize(
    ("x", "error", "found"),
    [
        (
            list(zip(GOOD, BAD, strict=True)),
            TypeError,
            r"a list that begins with \('a good film', ",
        ),
        ([GOOD, BAD], TypeError, r"a list that begins with \['a good film', "),
        (np.array([GOOD, BAD]), TypeError, r"a list that begins with \['a good film', "),
        ((GOOD, BAD, GOOD), ValueError, "a tuple of 3"),
    ],
    ids=["rows", "a list", "an array", "too many"],
)
def test_pairs_in_another_form_are_refused(classifier, x, error, found):
    for call in (lambda: classifier.fit(x, [1] * 4), lambda: classifier.predict(x)):
        with pytest.raises(error, match=f"`x` must be {LISTS}. Received: {found}"):
            call()


@pytest.mark.parametrize(
    ("x", "error", "found"),
    [
        (list(zip(GOOD, BAD, strict=True)), TypeError, r"a list that begins with \('a good film'"),
        (GOOD, TypeError, "list that begins with 'a good film'"),
        ((GOOD,), ValueError, "a tuple of 1"),
        (tf.data.Dataset.from_tensors((GOOD, BAD)), TypeError, r"shape=\(4,\)"),
    ],
    ids=["rows", "questions", "one", "a dataset"],
)
def test_questions_without_contexts_are_refused(answerer, x, error, found):
    rule = r"`x` must be a tuple of 2 lists, \(questions, contexts\)"
    y = None if isinstance(x, tf.data.Dataset) else ["good"] * 4
    with pytest.raises(error, match=f"{rule}. Received: .*{found}"):
        answerer.fit(x, y, verbose=0)


def test_pairs_to_embed_and_to_write_are_refused_in_another_form(lm):
    embedder = TextEmbedder(make_encoder(), word_pieces())
    rule = LISTS + r" or a tuple of 3 lists, \(texts, pairs, negatives\)"
    with pytest.raises(TypeError, match=f"{rule}. Received: a list that begins with"):
        embedder.fit([GOOD, BAD])
    with pytest.raises(ValueError, match="Received: a tuple of 4"):
        embedder.fit((GOOD, BAD, GOOD, BAD))
    with pytest.raises(
        TypeError, match=r"number. Received: 'a bad film'.*`fit\(\(texts, pairs\)\)`"
    ):
        embedder.fit((GOOD, BAD), BAD)
    with pytest.raises(TypeError, match=r"number. Received: dtype=string.*\(\(texts, pairs\),\)"):
        embedder.fit(tf.data.Dataset.from_tensors(((GOOD, BAD), BAD)))
    with pytest.raises(ValueError, match="`x` must be a list of sources. Received: a tuple of 2"):
        lm.fit((GOOD, BAD))


# Weights and labels


def test_weights_may_be_integers_and_floats(classifier, tagger, answerer, lm):
    for task, x, y in (
        (classifier, ["a", "b"], ["good", "bad"]),
        (tagger, [["a"], ["cat"]], [["O"], ["B-X"]]),
        (answerer, (["what?"] * 2, ["a", "b"]), ["a", "b"]),
        (lm, ["a", "b"], ["b", "a"]),
    ):
        rows = make_rows(**task.to_columns(x, y, [1, 0.5]))
        assert [row["weight"] for row in rows] == [1.0, 0.5]


def test_weights_are_read_from_columns_of_an_array(classifier, tagger):
    weights = np.array([[1.0], [0.5]])
    rows = classifier._to_rows(["a", "b"], ["good", "bad"], weights)
    assert [row["weight"] for row in rows] == [1.0, 0.5]
    rows = tagger._to_rows([["a"], ["cat"]], [["O"], ["B-X"]], weights)
    assert [row["weight"] for row in rows] == [[1.0], [0.5]]


@pytest.mark.parametrize(
    ("weight", "error", "received"),
    [
        ("0.5", TypeError, "Received: '0.5'. Tables are read with `types`"),
        (float("nan"), ValueError, "finite number within float32.*Received: nan"),
        (float("inf"), ValueError, "finite number within float32.*Received: inf"),
        ([1.0, 2.0], TypeError, r"Received: \[1.0, 2.0\]"),
    ],
)
def test_a_weight_that_is_no_number_is_refused_with_its_place(
    classifier, tagger, weight, error, received
):
    rows = make_rows(text=["a"], label=["good"], weight=[weight])
    with pytest.raises(error, match=f"index 0: .*{received}"):
        classifier.fit(rows)
    if not isinstance(weight, list):
        rows = make_rows(words=[["a"]], tags=[["O"]], weight=[[weight]])
        with pytest.raises(error, match=f"index 0: .*{received}"):
            tagger.fit(rows)


def test_labels_may_be_whole_floats_and_stand_in_a_column_of_an_array(classifier, handed):
    ways = [
        [1.0, 0.0],
        np.array([[1], [0]]),
        np.array([[1.0], [0.0]], "float32"),
        tf.constant([[1.0], [0.0]]),
        np.array([["good"], ["bad"]]),
    ]
    for labels in ways:
        found = handed(classifier, "evaluate", ["a", "b"], labels)
        assert [row["label"] for row in found] == [1, 0]
        columns = {"text": tf.constant(["a", "b"]), "label": tf.constant(labels)}
        np.testing.assert_array_equal(classifier.encode(columns, 0).labels, [1, 0])
    for labels in (np.array([[0.25], [1.0]]), [0.25, 1]):
        regressor = TextRegressor(classifier.backbone, classifier.tokenizer)
        found = handed(regressor, "evaluate", ["a", "b"], labels)
        assert [row["label"] for row in found] == [0.25, 1.0]


def test_a_label_that_is_no_whole_number_is_refused(classifier):
    for labels, found in (([0.5, 1.0], "0.5"), (np.array([[1, 2], [0, 1]]), r"\[1, 2\]")):
        with pytest.raises(TypeError, match=f"index 0: A label must be a name or an int.*{found}"):
            classifier.evaluate(["a", "b"], labels)
    for label in (0.5, 2.0, -1.0, float("nan")):
        columns = {"text": tf.constant(["a"]), "label": tf.constant([label])}
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"one of.*(?s:.){label:g}"):
            classifier.encode(columns, 0)


def test_a_dataset_with_rows_of_labels_is_refused_where_each_text_has_one(classifier):
    dataset = tf.data.Dataset.from_tensors((["a", "b"], [[0, 1, 0], [1, 0, 0]]))
    with pytest.raises(ValueError, match=r"A label must be of 2 numbers. .*shape=\(2, 3\)"):
        classifier.fit(dataset)


def test_class_weights_are_for_a_classifier(tagger, answerer, lm):
    for task, x, y in (
        (tagger, [["a"]], [["O"]]),
        (answerer, (["a"], ["b"]), ["b"]),
        (lm, ["a"], ["b"]),
        (tagger, {"token_ids": np.ones([1, 3])}, np.zeros([1, 3])),
    ):
        with pytest.raises(ValueError, match=r"class_weight={0: 2.0}. Pass `sample_weight`"):
            task.fit(x, y, class_weight={0: 2.0})


# Batches of a caller's own


def test_what_is_no_batch_of_strings_is_refused_by_the_name_of_its_column(
    classifier, tagger, answerer, lm
):
    def slices(*columns):
        return (tf.data.Dataset.from_tensor_slices(columns[0] if len(columns) == 1 else columns),)

    for task, given, message in (
        (lm, slices(["a"], ["b"]), r"`source` must hold a string.*dtype=string, shape=\(\)"),
        (lm, (["a", "b"], [1, 2]), r"`target` must hold a string.*dtype=int64, shape=\(None,\)"),
        (classifier, slices(["a"], ["good"]), r"`text` must hold a string.*shape=\(\)"),
        (
            tagger,
            slices({"words": [["a"]], "tags": [["O"]]}),
            r"`words` must hold a list.*shape=\(1,\)",
        ),
        (answerer, slices({"question": ["a"], "context": ["b"]}), r"`question` .*shape=\(\)"),
    ):
        with pytest.raises(TypeError, match=message):
            task.fit(*given)
    with pytest.raises(ValueError, match="a column `question`. Received: columns text, label"):
        answerer.fit(tf.data.Dataset.from_tensors({"text": ["a"], "label": ["b"]}))
