"""What every task does with Keras's own methods."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.metrics import F1
from lmzoo.models import GPTBackbone, T5Backbone
from lmzoo.tasks import (
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    Seq2SeqLM,
    Task,
    TextClassifier,
    TextEmbedder,
    TextRegressor,
    TokenClassifier,
    ZeroShotClassifier,
)
from tests.tasks.small_encoders import NAMES, TEXTS, make_encoder, word_pieces


@pytest.mark.quick("fit-True")
@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("fit", True),
        ("evaluate", False),
        pytest.param("fit", False, marks=pytest.mark.slow),
        pytest.param("evaluate", True, marks=pytest.mark.slow),
    ],
)
def test_a_task_made_under_a_strategy_is_compiled_for_it(method, own):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        classifier = TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
        metrics = [F1(2)]
    if own:
        classifier.compile("adam", weighted_metrics=metrics)
    getattr(classifier, method)(TEXTS, NAMES, verbose=0)
    assert classifier.optimizer.iterations.numpy() == (method == "fit")


def test_answers_of_a_float64_model_are_float32_too(eagerly):
    tokenizer = word_pieces()
    tasks = [
        TextClassifier(make_encoder(dtype="float64"), tokenizer, 2),
        TokenClassifier(make_encoder(dtype="float64"), tokenizer, ["O", "B-X"]),
        MaskedLM(make_encoder(dtype="float64"), tokenizer),
    ]
    for task in tasks:
        answer = task.serving_functions()["serving_default"](tf.constant(["a [MASK] film"]))
        assert answer["scores"].dtype == tf.float32, task.name


def test_every_task_says_what_kind_it_is():
    assert not Task.is_generative
    classifier = TextClassifier(make_encoder(), labels=["bad", "good"], multi_label=True)
    regressor = TextRegressor(make_encoder(), num_targets=3)
    assert (classifier.labels.names, classifier.num_targets) == (("bad", "good"), None)
    assert (regressor.labels, regressor.num_targets) == (None, 3)
    assert (classifier.multi_label, regressor.multi_label) == (True, None)
    assert classifier.head in classifier._layers and regressor.head in regressor._layers
    assert Task(classifier.backbone).head is None


def test_a_tensorboard_callback_without_tensorboard_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    classifier = TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
    callback = keras.callbacks.TensorBoard(tmp_path)
    with pytest.raises(ImportError, match=r"pip install lmzoo\[tune\]"):
        classifier.fit(TEXTS, NAMES, callbacks=[callback], verbose=0)


def test_a_summary_shows_the_shape_of_every_layer():
    encoder = make_encoder()
    decoder = GPTBackbone(9, num_layers=1, num_heads=1, hidden_dim=2, max_sequence_length=4)
    seq2seq = T5Backbone(9, 1, 1, 2, head_dim=2, intermediate_dim=2)
    tasks = [
        TextClassifier(encoder, labels=["bad", "good"]),
        MaskedLM(encoder),
        CausalLM(decoder),
        Seq2SeqLM(seq2seq),
    ]
    for model in (*tasks, encoder, decoder, seq2seq):
        lines = []
        model.summary(print_fn=lines.append)
        assert "None, None, " in "".join(lines)
        assert not [line for line in "\n".join(lines).splitlines() if " ? " in line]


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (
            ["a good film"],
            TypeError,
            "must be a dict.*'token_ids'.*Received: a list. For texts, use",
        ),
        (np.zeros((1, 3), "int32"), TypeError, "must be a dict.*Received: a ndarray"),
        (
            {"input_ids": np.zeros((1, 3))},
            ValueError,
            "Received: input_ids. Rename it to `token_ids`",
        ),
        (
            {"token_ids": np.zeros((1, 3)), "attention_mask": np.ones((1, 3))},
            ValueError,
            "attention_mask. Rename it to `padding_mask`",
        ),
        ({"padding_mask": np.ones((1, 3), bool)}, ValueError, "padding_mask, without `token_ids`"),
    ],
)
def test_what_a_task_cannot_be_called_on_is_refused_in_words(classifier, inputs, error, message):
    for task in (classifier, CausalLM(GPTBackbone(20, 1, 2, 8))):
        with pytest.raises(error, match=message):
            task(inputs)


def test_a_class_opens_a_folder_under_the_names_that_people_know(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "model")
    for name in ("from_pretrained", "from_preset"):
        for kind in (TextClassifier, Task):
            loaded = getattr(kind, name)(tmp_path / "model")
            assert type(loaded) is TextClassifier
        backbone = getattr(type(classifier.backbone), name)(tmp_path / "model")
        assert backbone.get_config()["num_layers"] == 1
    with pytest.raises(TypeError, match="must hold a GPTBackbone.*holds a BertBackbone"):
        GPTBackbone.from_pretrained(tmp_path / "model")


def test_a_task_that_was_never_compiled_has_nothing_to_save_of_it():
    task = TextClassifier(make_encoder(), word_pieces(), num_classes=2)
    assert not task.get_compile_config()
    task.compile(gradient_accumulation_steps=2)
    assert task.get_compile_config()["gradient_accumulation_steps"] == 2


def test_preprocess_gives_the_batches_of_fit(classifier):
    inputs, labels, weights = classifier.preprocess(TEXTS, NAMES, [1.0] * 7 + [0.5])
    assert labels.numpy().tolist() == [1] * 4 + [0] * 4 and weights[-1] == 0.5
    wanted, _ = classifier.pack_texts(tf.constant(TEXTS))
    for name in wanted:
        np.testing.assert_array_equal(inputs[name], wanted[name])
    assert set(classifier.preprocess(TEXTS)) == set(wanted)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    by_hand = float(loss(labels, classifier(inputs), weights))
    classifier.compile(weighted_metrics=[])
    found = classifier.evaluate(TEXTS, NAMES, sample_weight=[1.0] * 7 + [0.5], verbose=0)
    assert found == pytest.approx(by_hand, rel=1e-5)


def test_preprocess_of_a_dataset_is_a_dataset(classifier):
    data = tf.data.Dataset.from_tensor_slices((TEXTS, NAMES)).batch(4)
    batches = list(classifier.preprocess(data))
    assert [labels.numpy().tolist() for _, labels in batches] == [[1] * 4, [0] * 4]
    with pytest.raises(TypeError, match="`x` must be raw text. Received: token batches"):
        classifier.preprocess({"token_ids": np.zeros((1, 3), "int32")})


def test_preprocess_masks_tokens_and_cuts_windows_as_fit_does():
    lm = MaskedLM(make_encoder(), word_pieces(), mask_rate=0.5)
    inputs, labels, weights = lm.preprocess(TEXTS)
    assert labels.shape == weights.shape == inputs["mask_positions"].shape
    answerer = QuestionAnswerer(make_encoder(), word_pieces(), sequence_length=16)
    pair = (["a film"], ["the good cat sat on the mat " * 4 + "and ran"])
    inputs, labels = answerer.preprocess(pair, ["ran"])
    assert len(labels) == len(inputs["token_ids"]) > 1
    assert labels.numpy().any(axis=1).sum() == 1


def test_weighted_metrics_stand_beside_the_unweighted_ones():
    classifier = TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
    classifier.compile(keras.optimizers.SGD(0.0))
    predicted = classifier.predict(TEXTS, verbose=0).argmax(axis=1)
    is_right = predicted == np.array([1] * 4 + [0] * 4)
    weights = np.arange(1.0, 9.0)
    history = classifier.fit(
        *(TEXTS, NAMES),
        sample_weight=list(weights),
        validation_data=(TEXTS, NAMES),
        verbose=0,
    ).history
    assert history["accuracy"][0] == pytest.approx(is_right.mean())
    assert history["val_accuracy"] == history["accuracy"]
    weighted = (is_right * weights).sum() / weights.sum()
    assert history["weighted_accuracy"][0] == pytest.approx(weighted)
    assert "val_weighted_accuracy" not in history
    assert classifier.evaluate(TEXTS, NAMES, verbose=0)[1:] == history["accuracy"]


def break_weights(task):
    task.backbone.token_embedding.weights[0].assign(
        task.backbone.token_embedding.weights[0] * float("nan")
    )
    return task


@pytest.mark.parametrize(
    ("make", "predict"),
    [
        (lambda: TextClassifier(make_encoder(), word_pieces(), 2), lambda t: t.classify("a cat")),
        (lambda: TextRegressor(make_encoder(), word_pieces()), lambda t: t.score("a cat")),
        (lambda: TextEmbedder(make_encoder(), word_pieces()), lambda t: t.embed("a cat")),
        (lambda: MaskedLM(make_encoder(), word_pieces()), lambda t: t.fill("a [MASK]")),
        (
            lambda: TokenClassifier(make_encoder(), word_pieces(), ["O", "B-X"]),
            lambda t: t.tag("a cat"),
        ),
        (
            lambda: QuestionAnswerer(make_encoder(), word_pieces()),
            lambda t: t.answer("a cat", "the cat sat"),
        ),
        (
            lambda: TextClassifier(
                make_encoder(), word_pieces(), labels=["entailment", "contradiction"]
            ),
            lambda t: ZeroShotClassifier(t).classify("a cat", ["good", "bad"]),
        ),
    ],
)
def test_a_model_with_nan_weights_predicts_nothing(make, predict, eagerly):
    with pytest.raises(ValueError, match="scores of a model must be finite.*'a cat'|'a \\[MASK"):
        predict(break_weights(make()))


def test_labels_may_be_one_hot(classifier):
    wanted = classifier.preprocess(TEXTS, NAMES)[1].numpy().tolist()
    one_hot = np.eye(2)[wanted]
    for given in (one_hot, one_hot.astype("int64").tolist()):
        assert classifier.preprocess(TEXTS, given)[1].numpy().tolist() == wanted
    data = tf.data.Dataset.from_tensor_slices((TEXTS, one_hot)).batch(8)
    assert next(iter(classifier.preprocess(data)))[1].numpy().tolist() == wanted
    for wrong in ([0.5, 0.5], [1, 1], [0, 0], [1, 0, 0]):
        with pytest.raises((TypeError, ValueError), match="A label must be a name"):
            classifier.preprocess(["a cat"], [wrong])


def test_numbers_and_names_that_no_model_learns_are_refused_in_words(classifier):
    regressor = TextRegressor(make_encoder(), word_pieces())
    with pytest.raises(ValueError, match=r"within float32, up to 3.4e\+38. Received: 1e\+39"):
        regressor.fit(["a cat"], [1e39])
    with pytest.raises(ValueError, match=r"A weight must be .* within float32.*Received: 1e\+39"):
        regressor.fit(["a cat"], [1.0], sample_weight=[1e39])
    with pytest.raises(
        ValueError, match="`labels` must hold valid Unicode. Received: 'b.*lone surrogate"
    ):
        TextClassifier(classifier.backbone, labels=["good", "b\ud800"])
    for task in (classifier, regressor):
        with pytest.raises(ValueError, match="`x` must hold at least one text"):
            task.fit([], [])
