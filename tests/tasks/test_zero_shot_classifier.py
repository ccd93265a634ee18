"""Labels that nobody trained on: entailment and likelihood, against their formulas."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import CausalLM, TextClassifier, ZeroShotClassifier, zero_shot_classifier
from tests.tasks.small_encoders import make_tokenizer, make_wide_encoder

TEXTS = ["the cat sat on the mat", "", "blue sky . red sea", "dog"]
LABELS = ["sport", "politics", "music and song"]


def make_entailment(labels=("contradiction", "neutral", "Entailment")):
    model = TextClassifier(make_wide_encoder(), make_tokenizer(), labels=list(labels))
    generator = np.random.default_rng(1)
    for variable in model.head.weights:
        variable.assign(generator.normal(size=variable.shape))
    return model


@pytest.fixture(scope="module")
def entailment():
    return make_entailment()


@pytest.fixture(scope="module")
def logits(entailment):
    """Of each text with each label, computed one pair at a time: (4, 3, 3)."""

    def score(text, label):
        inputs, _ = entailment.pack_texts(
            tf.constant([text]), tf.constant([f"This example is {label}."])
        )
        return entailment(inputs)[0].numpy().astype(np.float64)

    return np.array([[score(text, label) for label in LABELS] for text in TEXTS])


@pytest.fixture(scope="module")
def zero_shot(entailment):
    return ZeroShotClassifier(entailment)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def check_answers(answers, wanted, labels=LABELS):
    """Answers have the labels in the order of wanted probabilities (B, L), and these."""
    for answer, row in zip(answers, wanted, strict=True):
        order = np.argsort(-row)
        assert [each["label"] for each in answer] == [labels[index] for index in order]
        got = [each["score"] for each in answer]
        np.testing.assert_allclose(got, row[order], atol=1e-5)


# By entailment


def test_labels_compete_by_their_entailment(zero_shot, logits):
    wanted = softmax(logits[..., 2])
    assert np.ptp(wanted) > 0.05
    for batch_size in (None, 1, 7):
        answers = zero_shot.classify(TEXTS, LABELS, top_k=3, batch_size=batch_size)
        check_answers(answers, wanted)


def test_labels_judged_alone_are_weighed_against_their_contradiction(zero_shot, logits):
    wanted = softmax(logits[..., [0, 2]])[..., 1]
    check_answers(zero_shot.classify(TEXTS, LABELS, multi_label=True, top_k=3), wanted)
    middle = float(np.median(wanted))
    above = zero_shot.classify(TEXTS, LABELS, multi_label=True, threshold=middle)
    assert [len(answer) for answer in above] == [int((row >= middle).sum()) for row in wanted]
    # One label has no rival: it is judged alone in any case.
    one = zero_shot.classify(TEXTS, LABELS[:1])
    np.testing.assert_allclose([answer["score"] for answer in one], wanted[:, 0], atol=1e-5)


def test_answers_have_the_form_of_a_classifier(zero_shot, logits):
    best = zero_shot.classify(TEXTS[0], LABELS)
    assert set(best) == {"label", "score"}
    assert best["label"] == LABELS[logits[0, :, 2].argmax()]
    assert zero_shot.classify(TEXTS[0], LABELS, top_k=2)[0] == pytest.approx(best)
    assert len(zero_shot.classify(TEXTS[0], LABELS, top_k=2)) == 2
    assert zero_shot.classify([TEXTS[0]], LABELS) == [pytest.approx(best)]
    assert zero_shot.classify([], LABELS) == []


def test_the_order_of_labels_changes_no_score(zero_shot):
    there, back = (zero_shot.classify(TEXTS, ls, top_k=3) for ls in (LABELS, LABELS[::-1]))
    for one, other in zip(there, back, strict=True):
        assert [each["label"] for each in one] == [each["label"] for each in other]
        scores = [[each["score"] for each in answer] for answer in (one, other)]
        np.testing.assert_allclose(*scores, atol=1e-6)


# By likelihood


@pytest.fixture(scope="module")
def by_likelihood(lm):
    return ZeroShotClassifier(lm)


def test_labels_compete_by_their_likelihood(lm, by_likelihood):
    log_probs = np.array(
        [
            [lm.score(" " + label, prompts=text + "\nThis is about").sum() for label in LABELS]
            for text in TEXTS
        ]
    )
    for batch_size in (None, 1):
        answers = by_likelihood.classify(TEXTS, LABELS, top_k=3, batch_size=batch_size)
        check_answers(answers, softmax(log_probs))


# What is refused


def test_models_that_cannot_classify_are_refused(entailment, lm):
    with pytest.raises(TypeError, match="Received: BertBackbone"):
        ZeroShotClassifier(entailment.backbone)
    with pytest.raises(ValueError, match="labels good, bad"):
        ZeroShotClassifier(make_entailment(["good", "bad"]))
    with pytest.raises(ValueError, match="entailment_label='yes'"):
        ZeroShotClassifier(entailment, entailment_label="yes")
    with pytest.raises(ValueError, match="tokenizer=None"):
        ZeroShotClassifier(CausalLM(lm.backbone))
    with pytest.raises(ValueError, match="calibrate=True"):
        ZeroShotClassifier(entailment, calibrate=True)
    with pytest.raises(ValueError, match="contradiction_label='no'"):
        ZeroShotClassifier(lm, contradiction_label="no")


def test_templates_without_one_place_for_the_label_are_refused(entailment, lm):
    for template in ("about it", "{} and {}"):
        with pytest.raises(ValueError, match=f"template='{template}'"):
            ZeroShotClassifier(entailment, template)
    with pytest.raises(ValueError, match=r"valid Unicode. Received: '.ud800{}', with a lone"):
        ZeroShotClassifier(entailment, "\ud800{}")
    with pytest.raises(TypeError, match="template=7"):
        ZeroShotClassifier(entailment, 7)
    with pytest.raises(ValueError, match=r"template='about {}\.'"):
        ZeroShotClassifier(lm, "about {}.")


def test_labels_and_texts_that_are_none_are_refused(zero_shot, by_likelihood):
    with pytest.raises(ValueError, match=r"labels=\[\]"):
        zero_shot.classify("dog", [])
    with pytest.raises(ValueError, match=r"labels=\['a', 'b', 'a'\]"):
        zero_shot.classify("dog", ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"labels=\['a', ''\]"):
        zero_shot.classify("dog", ["a", ""])
    with pytest.raises(TypeError, match="labels='sport, music'"):
        zero_shot.classify("dog", "sport, music")
    with pytest.raises(TypeError, match="`labels`.*7 at index 1"):
        zero_shot.classify("dog", ["a", 7])
    with pytest.raises(TypeError, match="`texts`.*None at index 0"):
        zero_shot.classify([None], LABELS)
    with pytest.raises(ValueError, match="top_k=0"):
        zero_shot.classify("dog", LABELS, top_k=0)
    with pytest.raises(ValueError, match="multi_label=True"):
        by_likelihood.classify("dog", LABELS, multi_label=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must fit 64 tokens.*\[\d\d+\]"):
        by_likelihood.classify("dog", ["sport", "music " * 40])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"in 32 tokens .*\[44\]"):
        zero_shot.classify("dog", ["sport", "music " * 40])
    for batch_size, error in ((-3, ValueError), (0, ValueError), (2.0, TypeError)):
        with pytest.raises(error, match=f"batch_size={batch_size}"):
            zero_shot.classify("dog", LABELS, batch_size=batch_size)
    for threshold in ("0.5", 5):
        with pytest.raises(ValueError, match=f"threshold={threshold!r}"):
            zero_shot.classify("dog", LABELS, multi_label=True, threshold=threshold)


def test_texts_that_were_cut_are_counted_once(zero_shot, by_likelihood):
    texts = ["dog", "cat " * 90, "bird", "dog " * 90]
    for classifier, length in ((zero_shot, 32), (by_likelihood, 64)):
        message = rf"2 of 4 texts .* longer than {length} tokens"
        with pytest.warns(UserWarning, match=message) as seen:
            classifier.classify(texts, LABELS, batch_size=3)
        assert len(seen) == 1 and seen[0].filename == __file__


def test_the_labels_of_a_text_are_computed_together(monkeypatch, zero_shot):
    sizes = []

    def run(function, columns, batch_size):
        sizes.append(batch_size)
        result = {"labels": [b"a"], "scores": np.array([0.5]), "is_truncated": False}
        return [dict(result) for _ in columns[0]]

    monkeypatch.setattr(zero_shot_classifier, "run_in_batches", run)
    for batch_size in (None, 7, 1):
        zero_shot.classify(["dog"] * 3, LABELS, batch_size=batch_size)
    assert sizes == [10, 2, 1]
