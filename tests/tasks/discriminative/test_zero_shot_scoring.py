"""Scores of labels, computed outside of a graph, against the models' own answers."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import TextClassifier
from lmzoo.tasks.discriminative.zero_shot_scoring import EntailmentScorer, LikelihoodScorer
from tests.tasks.small_encoders import make_tokenizer, make_wide_encoder

TEXTS = ["the cat sat on the mat", "", "dog"]
LABELS = ["sport", "politics", "music and song"]
QUESTION = "\nThis is about"


def make_entailment(*labels):
    model = TextClassifier(make_wide_encoder(), make_tokenizer(), labels=labels)
    generator = np.random.default_rng(1)
    for variable in model.head.weights:
        variable.assign(generator.normal(size=variable.shape))
    return model


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def score(scorer, texts=TEXTS, labels=LABELS, multi_label=False):
    scores, _ = scorer.compute_scores(tf.constant(texts), tf.constant(labels), multi_label)
    return scores


def logits_of(model, template):
    """Of each text with each label: (3, 3, C)."""
    pairs = [(text, template.format(label)) for text in TEXTS for label in LABELS]
    inputs, _ = model.pack_texts(*(tf.constant(column) for column in zip(*pairs, strict=True)))
    return model(inputs).numpy().reshape(len(TEXTS), len(LABELS), -1)


def test_labels_of_an_entailment_model_may_have_any_names():
    model = make_entailment("LABEL_0", "LABEL_1", "LABEL_2")
    scorer = EntailmentScorer(model, "{} it is", "LABEL_1", "LABEL_0")
    logits = logits_of(model, "{} it is")
    np.testing.assert_allclose(score(scorer), softmax(logits[..., 1]), atol=1e-5)
    wanted = softmax(logits[..., :2])[..., 1]
    np.testing.assert_allclose(score(scorer, multi_label=True), wanted, atol=1e-5)


def test_of_two_labels_the_other_one_is_the_contradiction():
    model = make_entailment("ENTAILMENT", "not_entailment")
    scorer = EntailmentScorer(model, "It is a {}")
    assert scorer.supports_multi_label
    wanted = softmax(logits_of(model, "It is a {}"))[..., 0]
    np.testing.assert_allclose(score(scorer, multi_label=True), wanted, atol=1e-5)
    np.testing.assert_allclose(score(scorer, labels=LABELS[:1]), wanted[:, :1], atol=1e-5)


def test_without_a_contradiction_a_label_alone_is_certain():
    scorer = EntailmentScorer(make_entailment("entailment", "neutral", "other"), "It is a {}")
    assert not scorer.supports_multi_label
    np.testing.assert_array_equal(score(scorer, labels=LABELS[:1]), np.ones((3, 1)))


def test_a_text_that_is_too_long_is_cut_beside_each_whole_label():
    model = make_entailment("entailment", "other")
    labels = ["cat", "blue " * 20 + "cat", "blue " * 20 + "dog"]
    texts = ["the cat sat", "dog " * 10, "dog " * 12 + "cat", "red " * 60]
    ids = {text: model.tokenizer.tokenize(text).numpy().tolist() for text in [*texts, *labels]}
    # 32 tokens, of which [CLS] and two [SEP] take three.
    start, end = model.tokenizer.start_token_id, model.tokenizer.end_token_id
    wanted = np.zeros((4, 3))
    for (row, text), (column, label) in itertools.product(enumerate(texts), enumerate(labels)):
        first = [start, *ids[text][: 29 - len(ids[label])], end]
        pair = [*first, *ids[label], end]
        segments = [0] * len(first) + [1] * (len(pair) - len(first))
        inputs = {"token_ids": np.array([pair]), "segment_ids": np.array([segments])}
        wanted[row, column] = model(inputs)[0, 0]
    scorer = EntailmentScorer(model, "{}")
    scores, is_truncated = scorer.compute_scores(tf.constant(texts), tf.constant(labels))
    np.testing.assert_allclose(scores, softmax(wanted), atol=1e-5)
    assert is_truncated.numpy().tolist() == [False, True, True, True]
    # Labels that differ at their ends alone stay two.
    assert (scores[:, 1] != scores[:, 2]).numpy().all()


def test_a_classifier_of_labels_that_do_not_compete_is_refused():
    model = TextClassifier(
        make_wide_encoder(), make_tokenizer(), labels=["entailment", "other"], multi_label=True
    )
    with pytest.raises(ValueError, match="Received: multi_label=True"):
        EntailmentScorer(model, "It is a {}")


@pytest.mark.quick("True-True", "False-False")
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("calibrate", [False, True])
def test_likelihoods_are_averaged_and_calibrated_where_asked(lm, normalize, calibrate):
    reduce = np.mean if normalize else np.sum

    def read(text):
        rows = [lm.score(" " + label, prompts=text + QUESTION) for label in LABELS]
        assert len({row.size for row in rows}) > 1
        return np.array([reduce(row) for row in rows])

    wanted = np.array([read(text) - (read("") if calibrate else 0) for text in TEXTS])
    scorer = LikelihoodScorer(lm, QUESTION + " {}", normalize, calibrate)
    np.testing.assert_allclose(score(scorer), softmax(wanted), atol=1e-5)


def test_a_template_of_the_label_alone_starts_a_document(lm):
    wanted = softmax(np.array([[lm.score(label).sum() for label in LABELS]]))
    got = score(LikelihoodScorer(lm, "{}"), texts=[""])
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_text_that_is_too_long_keeps_its_beginning_and_the_question(lm):
    text = "x1" * 50
    ids, question = (lm.tokenizer.tokenize(part).numpy().tolist() for part in (text, QUESTION))
    labels = lm.tokenizer.tokenize([" " + label for label in LABELS])
    room = lm.max_sequence_length - len(question) - int(labels.bounding_shape()[1])
    assert 0 < room < len(ids)
    prompts = tf.ragged.constant([ids[:room] + question] * 3, tf.int32)
    log_probs = lm.compute_log_probs(prompts, labels)
    wanted = softmax(tf.reduce_sum(log_probs, axis=1).numpy()[None])
    got = score(LikelihoodScorer(lm, QUESTION + " {}"), texts=["dog", text])
    np.testing.assert_allclose(got[1:], wanted, atol=1e-5)
    # A neighbour that is too long cuts nothing of a text that fits.
    np.testing.assert_allclose(
        got[:1], score(LikelihoodScorer(lm, QUESTION + " {}"), texts=["dog"]), atol=1e-5
    )
