"""What every task does with Keras's own methods."""

import sys

import keras
import pytest
import tensorflow as tf

from lmzoo.metrics import F1
from lmzoo.models import GPTBackbone, T5Backbone
from lmzoo.tasks import (
    CausalLM,
    MaskedLM,
    Seq2SeqLM,
    Task,
    TextClassifier,
    TextRegressor,
    TokenClassifier,
)
from tests.tasks.small_encoders import NAMES, TEXTS, make_encoder, word_pieces


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_task_made_under_a_strategy_is_compiled_for_it(method, own):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        classifier = TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
        metrics = [F1(2)]
    if own:
        classifier.compile("adam", weighted_metrics=metrics)
    getattr(classifier, method)(TEXTS, NAMES, verbose=0)
    assert classifier.optimizer.iterations.numpy() == (method == "fit")


def test_answers_of_a_float64_model_are_float32_too():
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
