"""The span metric in the graph against the plain functions on lists."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.metrics import SpanF1, span_scores

SCHEMES = {
    "iob": ["O", "B-A", "I-A", "B-B", "I-B"],
    "io without an outside tag": ["I-A", "I-B"],
    "iobes": ["S-A", "O", "B-A", "I-A", "E-A", "S-B", "E-B", "B-B", "I-B", "I-CC"],
    "brackets": ["[", "]", ".", "O", "I"],
}


def draw(num_labels, shape, seed=0, kept=0.8):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, num_labels, shape)
    drawn = generator.integers(0, num_labels, shape)
    predicted = np.where(generator.random(shape) < kept, true, drawn)
    return true, predicted, generator.random(shape) < 0.7


def on_lists(labels, true, predicted, mask):
    rows = [
        [[labels[tag] for tag, counts in zip(*row, strict=True) if counts] for row in pairs]
        for pairs in (zip(true, mask, strict=True), zip(predicted, mask, strict=True))
    ]
    return span_scores(*rows)


@pytest.mark.parametrize("labels", SCHEMES.values(), ids=SCHEMES)
def test_masked_batches_have_the_scores_of_their_words_alone(labels, make_logits):
    true, predicted, mask = draw(len(labels), (200, 9))
    metric = SpanF1(labels)
    metric.update_state(np.where(mask, true, -100), make_logits(predicted, len(labels)), mask)
    wanted = on_lists(labels, true, predicted, mask)
    assert metric.scores() == wanted
    assert wanted["num_correct"] > 100
    assert float(metric.result()) == pytest.approx(wanted["f1"], abs=1e-6)


@pytest.mark.parametrize("index", range(16))
def test_random_texts_have_the_averages_of_seqeval(golden, make_logits, index):
    case = golden["spans"][index]
    width = max(map(len, case["true"]))
    rows = [
        np.array([[int(digit) for digit in row.ljust(width, "0")] for row in case[side]])
        for side in ("true", "predicted")
    ]
    mask = np.arange(width) < np.array([[len(row)] for row in case["true"]])
    logits = make_logits(rows[1], len(case["tags"]))
    for average in ("micro", "macro", None):
        metric = SpanF1(case["tags"], average=average)
        metric.update_state(rows[0], logits, mask)
        wanted = case["scores"][f"{average} f1"]
        assert np.asarray(metric.result()).tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_type_that_is_nowhere_is_no_part_of_the_mean(make_logits):
    metric = SpanF1(["O", "B-A", "B-B"], average="macro")
    metric.update_state(np.array([[1, 0]]), make_logits([[1, 0]], 3))
    assert float(metric.result()) == 1.0
    assert set(metric.scores()["types"]) == {"A"}


def test_rows_never_join_and_masked_positions_never_part(make_logits):
    labels = ["O", "B-A", "I-A"]
    metric = SpanF1(labels)
    # One word in each row: two spans, though the second goes on in form.
    metric.update_state(np.array([[1], [2]]), make_logits([[1], [2]], 3))
    assert metric.scores()["num_true"] == 2
    metric.reset_state()
    # What is masked has a tag that would break the span.
    true, mask = np.array([[1, 0, 2, 0]]), np.array([[True, False, True, False]])
    metric.update_state(true, make_logits([[1, 1, 2, 2]], 3), mask)
    assert metric.scores()["num_true"] == metric.scores()["num_correct"] == 1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_of_unknown_shape_counts_the_same(make_logits, jit_compile):
    labels = SCHEMES["iobes"]
    metric = SpanF1(labels)
    shapes = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None, len(labels)])]
    shapes.append(tf.TensorSpec([None, None], tf.bool))
    update = tf.function(metric.update_state, input_signature=shapes, jit_compile=jit_compile)
    true, predicted, mask = draw(len(labels), (30, 7), seed=3)
    update(true.astype("int32"), make_logits(predicted, len(labels)), mask)
    assert metric.scores() == on_lists(labels, true, predicted, mask)


def test_texts_without_words_add_nothing():
    metric = SpanF1(["O", "B-A"])
    metric.update_state(np.zeros((2, 0), int), np.zeros((2, 0, 2)))
    metric.update_state(np.zeros((0, 3), int), np.zeros((0, 3, 2)), np.zeros((0, 3)))
    assert float(metric.result()) == 0.0
    assert metric.scores()["types"] == {}


def test_a_saved_config_brings_the_labels_back():
    metric = SpanF1(["O", "B-A", "I-A"], average=None, name="spans")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
    assert again.types == ("A",)


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        (["O", "PER"], "tag='PER'"),
        (["O", 1], "tag=1"),
        (["O", "."], r"labels=\['O', '.'\]"),
        (["O", "B-A", "B-A"], r"labels=\['O', 'B-A', 'B-A'\]"),
        ([], r"labels=\[\]"),
        ("O", r"labels=\['O'\]"),
    ],
)
def test_labels_that_are_no_tags_are_refused(labels, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        SpanF1(labels)


def test_unknown_averages_and_logits_of_other_labels_are_refused():
    with pytest.raises(ValueError, match="average='binary'"):
        SpanF1(["O", "B-A"], average="binary")
    with pytest.raises(ValueError, match=r"each of 2 labels. Received: y_pred.shape=\(1, 2, 3\)"):
        SpanF1(["O", "B-A"]).update_state(np.zeros((1, 2), int), np.zeros((1, 2, 3)))
