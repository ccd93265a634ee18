"""Tokenizers as layers of a functional model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tokenizers import BytePairTokenizer, WordPieceTokenizer
from lmzoo.tokenizers.layer import TokenizerLayer

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "[X]"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY, special_tokens=[*VOCABULARY[:5], "[X]"])


def test_a_functional_model_trains_is_saved_and_exported_on_raw_text(tokenizer, tmp_path):
    texts = tf.constant(["a good film", "bad", "a good good film", "bad film"] * 4)
    labels = np.array([1.0, 0.0, 1.0, 0.0] * 4)[:, None]
    text = keras.Input((), dtype="string")
    tokens = tokenizer.as_layer(sequence_length=6)(text)
    assert {name: (each.shape, each.dtype) for name, each in tokens.items()} == {
        "token_ids": ((None, 6), "int32"),
        "padding_mask": ((None, 6), "bool"),
    }
    hidden = keras.layers.Embedding(len(VOCABULARY), 4)(tokens["token_ids"])
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(text, keras.layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    losses = model.fit(texts, labels, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 10
    wanted = np.array(model(texts))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(texts), wanted, atol=1e-6)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(texts), wanted, atol=1e-5)


def test_texts_have_the_special_tokens_of_their_kind(tokenizer):
    tokens = tokenizer.as_layer(5)(tf.constant(["a good film", "bad", "a good bad good film", ""]))
    ids = [[2, 8, 5, 7, 3], [2, 6, 3, 0, 0], [2, 8, 5, 6, 3], [2, 3, 0, 0, 0]]
    np.testing.assert_array_equal(tokens["token_ids"], ids)
    np.testing.assert_array_equal(tokens["padding_mask"], np.array(ids) != 0)
    plain = tokenizer.as_layer(3, add_special=False)(tf.constant([["a good bad film"]]))
    np.testing.assert_array_equal(plain["token_ids"], [[8, 5, 6]])
    marked = tokenizer.as_layer(4, allow_special=["[X]"])(tf.constant(["[X] film"]))
    np.testing.assert_array_equal(marked["token_ids"], [[2, 9, 7, 3]])


def test_a_byte_level_tokenizer_adds_none():
    tokenizer = BytePairTokenizer.train(iter(["a good film"] * 20), 270)
    tokens = tokenizer.as_layer(32)(tf.constant(["a good film"]))
    ids = tokens["token_ids"][0][tokens["padding_mask"][0]]
    assert tokenizer.detokenize(ids).numpy() == b"a good film"


def test_what_makes_no_layer_is_refused_in_words(tokenizer):
    with pytest.raises(TypeError, match="`tokenizer` must be a tokenizer. Received: a int"):
        TokenizerLayer(7, 8)
    with pytest.raises(TypeError, match="`sequence_length` must be an int. Received: .*None"):
        tokenizer.as_layer(None)
    with pytest.raises(ValueError, match="must leave room .* Received: sequence_length=2"):
        tokenizer.as_layer(2)
