"""TextRegressor: what it reads, learns, scores and keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows, read_table
from lmzoo.tasks import TextRegressor
from tests.tasks.small_encoders import BAD, GOOD, TEXTS, make_encoder, word_pieces

NUMBERS = [4.5, 4, 5, 3.5, 1, 0.5, 0, 1.5]


def make_regressor(rate=0.0, **options):
    keras.utils.set_random_seed(0)
    model = TextRegressor(make_encoder(), word_pieces(), **options)
    model.compile(keras.optimizers.SGD(rate))
    return model


@pytest.fixture(scope="module")
def regressor():
    return make_regressor()


@pytest.fixture(scope="module")
def double():
    return make_regressor(num_targets=2)


def test_loss_and_metric_are_those_of_the_scores_however_texts_come(regressor, tmp_path):
    scores = regressor.score(TEXTS)
    assert scores.shape == (8,) and scores.dtype == np.float32
    wanted = np.mean((scores - NUMBERS) ** 2), np.corrcoef(scores, NUMBERS)[0, 1]
    path = tmp_path / "a.tsv"
    lines = [f"{text}\t{number}" for text, number in zip(TEXTS, NUMBERS, strict=True)]
    path.write_text("\n".join(["text\tlabel", *lines]) + "\n")
    tokens, _ = regressor.pack_texts(tf.constant(TEXTS))
    tokens = {name: values.numpy() for name, values in tokens.items()}
    numbers = np.array(NUMBERS, "float32")
    for given in (
        (TEXTS, NUMBERS),
        (read_table(path, label="label", types={"label": float}),),
        (tf.data.Dataset.from_tensor_slices((TEXTS, numbers)).batch(3),),
        (tokens, numbers),
    ):
        assert regressor.evaluate(*given, verbose=0) == pytest.approx(wanted, rel=1e-4)


def test_scores_are_the_logits_in_any_batch(regressor):
    logits = regressor.predict(TEXTS, verbose=0)
    assert logits.shape == (8, 1)
    for batch_size in (1, 3, None):
        np.testing.assert_allclose(
            regressor.score(TEXTS, batch_size=batch_size), logits[:, 0], atol=1e-5
        )
    one = regressor.score(TEXTS[0])
    assert isinstance(one, float) and one == pytest.approx(logits[0, 0], abs=1e-5)
    assert regressor.score([]).shape == (0,)


@pytest.mark.slow
def test_pairs_are_scored_together(regressor):
    logits = regressor.predict((GOOD, BAD), verbose=0)[:, 0]
    np.testing.assert_allclose(regressor.score(GOOD, BAD), logits, atol=1e-5)
    assert regressor.score(GOOD[0], BAD[0]) == pytest.approx(logits[0], abs=1e-5)
    assert np.abs(logits - regressor.score(GOOD)).max() > 1e-3


def test_several_targets_have_a_number_each(double):
    labels = [[number, 1] for number in NUMBERS]
    scores = double.score(TEXTS)
    assert scores.shape == (8, 2) and double.score(TEXTS[0]).shape == (2,)
    wanted = np.mean((scores - labels) ** 2), np.mean(np.abs(scores - labels))
    array = np.array(labels, "float32")
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, array)).batch(3)
    for given in ((TEXTS, labels), (TEXTS, array), (dataset,)):
        assert double.evaluate(*given, verbose=0) == pytest.approx(wanted, rel=1e-4)
    assert double.score([]).shape == (0, 2)


def test_eight_sentences_are_learned():
    model = make_regressor(head_activation="tanh")
    model.compile(keras.optimizers.SGD(0.02))
    inputs, _ = model.pack_texts(tf.constant(TEXTS))
    batch = tf.data.Dataset.from_tensors((inputs, tf.constant(NUMBERS)))
    model.fit(batch.repeat(300), verbose=0)
    np.testing.assert_allclose(model.score(TEXTS), NUMBERS, atol=0.2)


def test_a_keras_file_brings_back_the_scores(tmp_path, double):
    double.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.score(TEXTS), double.score(TEXTS))
    assert again.get_config() == double.get_config()


def test_the_tokens_signature_gives_the_scores(double, eagerly):
    functions = double.serving_functions()
    assert set(functions) == {"serving_default", "pairs", "tokens"}
    inputs, _ = double.pack_texts(tf.constant(GOOD))
    for outputs, wanted in (
        (functions["tokens"](*inputs.values()), double.score(GOOD)),
        (functions["serving_default"](tf.constant(GOOD)), double.score(GOOD)),
        (functions["pairs"](tf.constant(GOOD), tf.constant(BAD)), double.score(GOOD, BAD)),
    ):
        assert set(outputs) == {"scores"}
        np.testing.assert_allclose(outputs["scores"], wanted, atol=1e-5)


def test_wrong_labels_are_refused(regressor, double):
    for label, error, message in (
        ("x", TypeError, "index 0: A label must be a number. Received: 'x'"),
        (float("nan"), ValueError, "index 0: A label must be a finite number.*Received: nan"),
    ):
        with pytest.raises(error, match=message):
            regressor.fit(["a"], [label])
    with pytest.raises(ValueError, match=r"index 1: .*list of 2 numbers. Received: \[1.0\]"):
        double.fit(["a", "b"], [[1, 2], [1]])
    with pytest.raises(ValueError, match="Received: rows with columns text. Pass `y`"):
        regressor.fit(make_rows(text=["a"]))
    dataset = tf.data.Dataset.from_tensor_slices({"text": ["a"]}).batch(1)
    with pytest.raises(ValueError, match="Received: batches with columns text"):
        regressor.evaluate(dataset, verbose=0)
    endless = tf.data.Dataset.from_tensors((["a"], [float("inf")]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"finite number. Received:.*\s?\[\[inf"
    ):
        regressor.evaluate(endless, verbose=0)
    named = tf.data.Dataset.from_tensor_slices((["a"], ["b"])).batch(1)
    with pytest.raises(TypeError, match="of numbers. Received: dtype=string"):
        regressor.evaluate(named, verbose=0)


@pytest.mark.parametrize(
    ("num_targets", "error"), [(0, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_the_number_of_targets_is_a_positive_int(num_targets, error):
    with pytest.raises(error, match=f"Received: num_targets={num_targets}"):
        TextRegressor(make_encoder(), word_pieces(), num_targets=num_targets)


def test_training_moves_every_weight_that_the_scores_depend_on():
    model = make_regressor(rate=0.05)
    inputs, _ = model.pack_texts(tf.constant(TEXTS))
    before = [weight.numpy() for weight in model.backbone.pooler_dense.weights]
    model.fit(tf.data.Dataset.from_tensors((inputs, tf.constant(NUMBERS))), verbose=0)
    after = [weight.numpy() for weight in model.backbone.pooler_dense.weights]
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
