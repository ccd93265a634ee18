"""Classifiers and regressors of texts over every kind of backbone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import (
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    Seq2SeqLM,
    TextClassifier,
    TextEmbedder,
    TextRegressor,
    TokenClassifier,
)
from lmzoo.tokenizers import BytePairTokenizer
from tests.tasks.small_encoders import NAMES, TEXTS, draw_weights, make_encoder, word_pieces

LABELS = ["bad", "good"]


@pytest.fixture(scope="module")
def byte_level():
    """As GPT-2's: one special token, and no padding."""
    return BytePairTokenizer.train(iter([" ".join(TEXTS * 20)]), 280)


def make_gpt(tokenizer, **options):
    return draw_weights(
        GPTBackbone(tokenizer.vocabulary_size, 1, 2, 16, max_sequence_length=32, **options)
    )


def make_t5(tokenizer):
    return draw_weights(T5Backbone(tokenizer.vocabulary_size, 1, 1, 2, 16, 8, 24, 32, dropout=0.0))


def test_a_decoder_classifies_by_its_last_real_token_without_a_bias(byte_level):
    backbone = make_gpt(byte_level)
    classifier = TextClassifier(backbone, byte_level, labels=LABELS)
    assert [weight.path.rpartition("/")[2] for weight in classifier.head.weights] == ["kernel"]
    inputs, _ = classifier.pack_texts(tf.constant(TEXTS[:3] + ["a"]))
    ids = byte_level.tokenize(TEXTS[:3] + ["a"])
    lengths = ids.row_lengths().numpy()
    np.testing.assert_array_equal(inputs["padding_mask"].numpy().sum(axis=1), lengths)
    kernel = np.array(classifier.head.weights[0])
    for row, length in enumerate(lengths):
        hidden = np.array(backbone({"token_ids": ids[row][None]}))[0, length - 1]
        np.testing.assert_allclose(classifier(inputs)[row], hidden @ kernel, rtol=1e-4, atol=1e-5)


def test_padding_on_the_left_changes_nothing_for_a_decoder(byte_level):
    classifier = TextClassifier(make_gpt(byte_level), labels=LABELS)
    ids = np.array([[5, 6, 7, 8]])
    padded = {
        "token_ids": np.pad(ids, [[0, 0], [3, 0]]),
        "padding_mask": np.array([[False] * 3 + [True] * 4]),
    }
    np.testing.assert_allclose(classifier(padded), classifier({"token_ids": ids}), rtol=1e-4)


def test_a_t5_classifies_by_the_mean_of_its_encoder():
    tokenizer = word_pieces()
    backbone = make_t5(tokenizer)
    classifier = TextClassifier(backbone, tokenizer, labels=LABELS, head_activation=None)
    inputs, _ = classifier.pack_texts(tf.constant(TEXTS[:1]))
    ids = [tokenizer.id_to_token(int(each)) for each in inputs["token_ids"][0]]
    assert ids[:4] == ["a", "good", "film", tokenizer.end_token] and ids[4:] == ["[PAD]"] * 4
    hidden = np.array(backbone.encode(inputs["token_ids"][:, :4]))[0].mean(axis=0)
    kernel, bias = (np.array(weight) for weight in classifier.head.weights)
    np.testing.assert_allclose(classifier(inputs)[0], hidden @ kernel + bias, rtol=1e-4, atol=1e-5)
    lines = []
    classifier.summary(print_fn=lines.append)
    assert " ? " not in "".join(lines)
    decoder = {weight.path for weight in backbone.generation_weights}
    assert decoder and not decoder & {weight.path for weight in classifier.trainable_weights}


@pytest.mark.parametrize("pooling", ["cls", "last", "mean", "max"])
def test_a_chosen_pooling_goes_before_the_pooler(pooling):
    backbone = make_encoder()
    classifier = TextClassifier(backbone, word_pieces(), labels=LABELS, pooling=pooling)
    inputs, _ = classifier.pack_texts(tf.constant(TEXTS[:1]))
    length = int(inputs["padding_mask"].numpy().sum())
    hidden = np.array(backbone(inputs)["sequence_output"])[0, :length]
    pooled = {"cls": hidden[0], "last": hidden[-1], "mean": hidden.mean(0), "max": hidden.max(0)}
    wanted = classifier.head(pooled[pooling][None].astype("float32"))
    np.testing.assert_allclose(classifier(inputs), wanted, rtol=1e-4, atol=1e-5)
    assert TextClassifier.from_config(classifier.get_config()).pooling == pooling


@pytest.mark.quick("TextClassifier-gpt")
@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (TextClassifier, "gpt"),
        (TextEmbedder, "t5"),
        pytest.param(TokenClassifier, "gpt", marks=pytest.mark.slow),
        pytest.param(TextRegressor, "gpt", marks=pytest.mark.slow),
        pytest.param(TextEmbedder, "gpt", marks=pytest.mark.slow),
        pytest.param(TokenClassifier, "t5", marks=pytest.mark.slow),
        pytest.param(TextRegressor, "t5", marks=pytest.mark.slow),
        pytest.param(TextClassifier, "t5", marks=pytest.mark.slow),
    ],
)
def test_every_task_that_reads_trains_on_every_kind_of_backbone(kind, family, byte_level):
    tokenizer = byte_level if family == "gpt" else word_pieces()
    backbone = make_gpt(tokenizer, tied=False) if family == "gpt" else make_t5(tokenizer)
    keras.utils.set_random_seed(0)
    if kind is TokenClassifier:
        task = kind(backbone, tokenizer, ["O", "B-X"])
        data = [text.split() for text in TEXTS], [["O"] * len(text.split()) for text in TEXTS]
    elif kind is TextClassifier:
        task, data = kind(backbone, tokenizer, labels=LABELS), (TEXTS, NAMES)
    elif kind is TextRegressor:
        task, data = kind(backbone, tokenizer), (TEXTS, [float(len(text)) for text in TEXTS])
    else:
        task, data = kind(backbone, tokenizer, pooling="last"), ((TEXTS, TEXTS[::-1]),)
    # Warnings are errors here: each weight that trains has a gradient.
    history = task.fit(*data, verbose=0).history
    assert np.isfinite(history["loss"][0])
    served = task.serving_functions()["serving_default"](tf.constant(TEXTS[:2]))
    assert all(np.shape(value)[0] == 2 for value in served.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskedLM(make_gpt(word_pieces())), "kind encoder for a MaskedLM.*a GPTBackbone"),
        (lambda: QuestionAnswerer(make_t5(word_pieces())), "a T5Backbone, of the kind encoder_dec"),
        (lambda: CausalLM(make_encoder()), "kind decoder for a CausalLM.*a BertBackbone, of the"),
        (lambda: Seq2SeqLM(make_encoder()), "kind encoder_decoder for a Seq2SeqLM"),
    ],
)
def test_a_backbone_of_another_kind_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_an_encoder_without_a_pooler_classifies_by_its_first_token():
    backbone = BertBackbone(50, 1, 2, 8, max_sequence_length=8, pooler=False)
    assert TextClassifier(backbone, labels=LABELS).head.hidden_activation == "tanh"
    with pytest.raises(ValueError, match="`pooling` must be one of cls, last, mean, max"):
        TextClassifier(backbone, labels=LABELS, pooling="first")
