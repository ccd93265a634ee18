"""CausalLM learns from raw text: every source, Keras's methods, and what is refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import causal_lm, make_rows
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM

TEXTS = [f"def function_{number}(a):\n    return a + {number}\n" for number in range(12)]


@pytest.fixture(scope="module")
def shared(tokenizer):
    """One model and its first weights; each test begins with them."""
    keras.utils.set_random_seed(0)
    backbone = GPTBackbone(400, num_layers=1, num_heads=2, hidden_dim=16, max_sequence_length=32)
    lm = CausalLM(backbone, tokenizer)
    lm.compile(optimizer=keras.optimizers.SGD(0.1))
    return lm, lm.get_weights()


@pytest.fixture
def lm(shared):
    lm, weights = shared
    lm.set_weights(weights)
    return lm


def labels_of(lm, texts):
    """What one epoch predicts, from the tokenizer alone."""
    end = lm.tokenizer.end_token_id
    tokens = [lm.tokenizer.tokenize(text).numpy().tolist() for text in texts]
    return [token for row in tokens for token in (*row, end)]


def test_every_source_of_texts_trains_alike(lm, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    sources = {
        "array": np.array(TEXTS),
        "tensor": tf.constant(TEXTS),
        "dataset": tf.data.Dataset.from_tensor_slices(TEXTS),
        "rows": make_rows(text=TEXTS),
    }
    first = lm.get_weights()
    expected = lm.fit(TEXTS, epochs=2, verbose=0).history["loss"]
    assert expected[1] < expected[0]
    for name, source in sources.items():
        lm.set_weights(first)
        assert lm.fit(source, epochs=2, verbose=0).history["loss"] == expected, name
    # A file has no end token behind its last text.
    lm.set_weights(first)
    (loss,) = lm.fit([path], verbose=0, shuffle=False).history["loss"]
    lm.set_weights(first)
    (close,) = lm.fit(TEXTS, verbose=0, shuffle=False).history["loss"]
    assert abs(loss - close) < 0.05


def test_each_token_is_learned_once_and_loss_is_that_of_token_batches(lm):
    inputs, labels, weights = lm.preprocess(TEXTS)
    assert labels[weights == 1].tolist() == labels_of(lm, TEXTS)
    assert set(inputs) == {"token_ids", "padding_mask", "document_ids"}
    logits = lm(inputs).numpy().astype("float64")
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    expected = (losses * weights).sum() / weights.sum()
    results = lm.evaluate(TEXTS, batch_size=len(labels), verbose=0, return_dict=True)
    np.testing.assert_allclose(results["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(results["perplexity"], np.exp(expected), rtol=1e-4)
    # Batches of other sizes, the last of them smaller, change nothing.
    for size in (1, 2, 5):
        again = lm.evaluate(TEXTS, batch_size=size, verbose=0, return_dict=True)
        np.testing.assert_allclose(again["perplexity"], results["perplexity"], rtol=1e-5)
        np.testing.assert_allclose(again["loss"], results["loss"], rtol=1e-5)


def test_a_text_is_not_seen_from_another_one(lm):
    inputs, _, _ = lm.preprocess(["aaa bbb", "ccc ddd"])
    other = dict(inputs, token_ids=np.where(inputs["document_ids"] == 0, 7, inputs["token_ids"]))
    is_second = inputs["document_ids"] == 1
    assert is_second.any() and (other["token_ids"] != inputs["token_ids"]).any()
    np.testing.assert_array_equal(lm(inputs)[is_second], lm(other)[is_second])


def test_validation_split_holds_texts_out(lm):
    history = lm.fit(TEXTS, validation_split=0.25, epochs=2, verbose=0).history
    assert set(history) == {"loss", "val_loss", "val_perplexity"}
    assert all(np.isfinite(history["val_loss"]))


def test_validation_data_may_be_texts_or_token_batches(lm):
    first = lm.get_weights()
    found = []
    batch = lm.preprocess(TEXTS[:4])
    rows = make_rows(text=TEXTS[:4])
    for data in (TEXTS[:4], (TEXTS[:4],), (TEXTS[:4], None), rows, batch):
        lm.set_weights(first)
        history = lm.fit(TEXTS, validation_data=data, validation_batch_size=99, verbose=0)
        found.append(history.history["val_perplexity"][0])
    np.testing.assert_allclose(found, found[0], rtol=1e-5)


def test_steps_per_epoch_goes_on_to_the_next_epoch_of_texts(lm):
    history = lm.fit(TEXTS, batch_size=2, steps_per_epoch=3, epochs=4, verbose=0).history
    assert len(history["loss"]) == 4


def test_methods_on_a_batch_take_texts(lm):
    inputs, labels, weights = lm.preprocess(TEXTS)
    first = lm.get_weights()
    expected = lm.train_on_batch(inputs, labels, weights)
    after = lm.get_weights()
    lm.set_weights(first)
    lm.reset_metrics()
    np.testing.assert_array_equal(lm.train_on_batch(TEXTS), expected)
    for ours, theirs in zip(lm.get_weights(), after, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    lm.reset_metrics()
    found = lm.test_on_batch(TEXTS, return_dict=True)
    lm.reset_metrics()
    assert found == lm.test_on_batch(inputs, labels, weights, return_dict=True)


def test_predictions_of_texts_are_the_logits_of_their_tokens(lm):
    texts = ["def f(a):", "return", ""]
    for logits in (lm.predict_on_batch(texts), lm.predict(texts, batch_size=2, verbose=0)):
        for row, text in zip(logits, texts, strict=True):
            ids = lm.tokenizer.tokenize_prompts([text]).numpy()
            alone = lm({"token_ids": ids})[0].numpy()
            np.testing.assert_allclose(row[: len(alone)], alone, atol=1e-5)


def test_a_task_that_was_not_compiled_is_compiled_by_a_batch_of_texts(tokenizer):
    backbone = GPTBackbone(400, num_layers=1, num_heads=2, hidden_dim=8, max_sequence_length=16)
    lm = CausalLM(backbone, tokenizer)
    assert np.isfinite(lm.train_on_batch(["some text"]))


def test_token_batches_train_as_before(lm, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS))
    data = causal_lm(path, lm.tokenizer, sequence_length=16, batch_size=2)
    assert len(lm.fit(data, epochs=2, verbose=0).history["loss"]) == 2
    assert np.isfinite(lm.evaluate(data, verbose=0)[0])


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"x": "a text"}, TypeError, r"list of texts. Received: 'a text'. Write \[text\]"),
        ({"x": []}, ValueError, r"at least one text. Received: x=\[\]"),
        ({"x": [" "]}, ValueError, "must be some text. Received: 0 texts"),
        ({"x": ["a", 3]}, TypeError, "3 at index 1"),
        ({"x": TEXTS, "y": [1] * 12}, TypeError, r"`y` must be None with texts.* y=\[1, 1"),
        ({"x": TEXTS, "sample_weight": [1.0] * 12}, TypeError, "`sample_weight` must be None"),
        ({"x": TEXTS, "validation_data": (TEXTS, [1])}, TypeError, "`y` must be None"),
        ({"x": TEXTS, "batch_size": 0}, ValueError, "Received: batch_size=0"),
        ({"x": TEXTS, "sequence_length": 33}, ValueError, "context of 32 .*sequence_length=33"),
        ({"x": TEXTS, "validation_split": 1.5}, ValueError, "Received: validation_split=1.5"),
    ],
)
def test_what_cannot_be_learned_is_refused(lm, arguments, error, reason):
    with pytest.raises(error, match=reason):
        lm.fit(**arguments, verbose=0)


def test_texts_need_a_tokenizer_and_room(lm):
    with pytest.raises(ValueError, match=r"at most 32 tokens. Received: \d+ tokens at index 1"):
        lm.predict_on_batch(["a", "a b c d e f g h " * 40])
    without = CausalLM(lm.backbone)
    for call in (without.fit, without.evaluate, without.predict, without.train_on_batch):
        with pytest.raises(ValueError, match="to take texts. Received: tokenizer=None"):
            call(["a"])
