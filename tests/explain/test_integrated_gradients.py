"""`lmzoo.explain.attribution`: by hand where it is linear, and against finite differences."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.explain import integrated_gradients
from lmzoo.explain.tokens import Token, group_words
from lmzoo.layers import TokenEmbedding
from lmzoo.layers.contexts import replace_embeddings
from lmzoo.models.backbone import Backbone
from lmzoo.tasks import CausalLM, TextClassifier, TextRegressor, TokenClassifier
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer
from tests.evaluation.tiny import make_lm

TEXT = "Ada wrote to nobody."


class BagOfEmbeddings(Backbone):
    """A backbone whose hidden states are the embeddings themselves, without attention."""

    dropout = 0.0
    default_pooling = "mean"

    def __init__(self, vocabulary_size, hidden_dim):
        super().__init__()
        self.vocabulary_size, self.hidden_dim, self.max_sequence_length = vocabulary_size, 8, 32
        self.blocks = []
        self.token_embedding = TokenEmbedding(vocabulary_size, hidden_dim, name="token_embedding")
        self.token_embedding.build((None, None))
        self.built = True

    def call(self, inputs, training=None):
        return {"sequence_output": self.token_embedding(inputs["token_ids"])}


def make_classifier(dtype="float32", **options):
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer, num_layers=2, dtype=dtype)
    return randomise(TextClassifier(backbone, tokenizer, labels=["bad", "good"], **options))


@pytest.fixture(scope="module")
def classifier():
    return make_classifier()


@pytest.fixture(scope="module")
def linear():
    tokenizer = train_tokenizer("word_piece")
    backbone = randomise(BagOfEmbeddings(tokenizer.vocabulary_size, 8))
    options = {"labels": ["bad", "good"], "head_activation": None}
    return randomise(TextClassifier(backbone, tokenizer, **options), seed=1)


@pytest.mark.parametrize(("baseline", "token"), [("mask", "[MASK]"), ("pad", "[PAD]")])
def test_of_a_linear_model_each_token_gives_its_own_term(linear, baseline, token):
    table = np.asarray(linear.backbone.token_embedding.embeddings)
    kernel = np.asarray(next(w for w in linear.head.weights if w.path.endswith("kernel")))
    ids = linear.tokenizer.tokenize(TEXT).numpy()
    change = table[ids] - table[linear.tokenizer.token_to_id(token)]
    # The mean is over all tokens, [CLS] and [SEP] included.
    expected = change @ kernel[:, 1] / (len(ids) + 2)
    # One step is exact.
    found = lmzoo.explain.attribution(linear, TEXT, "good", steps=1, baseline=baseline)
    np.testing.assert_allclose(found.values, [0, *expected, 0], rtol=0, atol=1e-6)
    assert abs(found.gap) < 1e-6 and found.baseline == baseline
    logits = linear(linear.pack_texts([TEXT])[0]).numpy()
    assert found.score == pytest.approx(logits[0, 1], abs=1e-6)


def test_the_parts_add_up_to_the_change_of_a_trained_classifier():
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer, num_layers=2)
    classifier = TextClassifier(backbone, tokenizer, labels=["bad", "good"], pooling="mean")
    texts, labels = ["nobody read it", "Ada wrote it"], [0, 1]
    inputs, _ = classifier.pack_texts(texts)
    optimizer, weights = keras.optimizers.Adam(0.02), classifier.trainable_weights
    for _ in range(10):
        with tf.GradientTape() as tape:
            logits = classifier(inputs)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        gradients = tape.gradient(losses, [weight.value for weight in weights])
        optimizer.apply(gradients, weights)
    changes = []
    for text, label in zip(texts, ["bad", "good"], strict=True):
        found = lmzoo.explain.attribution(classifier, text)
        assert found.label == label
        changes.append(abs(found.score - found.baseline_score))
        error = abs(found.values.sum() - (found.score - found.baseline_score))
        assert error <= 0.01 * changes[-1] + 1e-3
    assert max(changes) > 1


def test_points_are_added_while_some_of_the_change_is_missing(classifier):
    exact = lmzoo.explain.attribution(classifier, TEXT)
    assert exact.steps == 50 and not exact.exceeds(0.01)
    rough = lmzoo.explain.attribution(classifier, TEXT, steps=1)
    assert rough.steps in (2, 4, 8) and not rough.exceeds(0.05)


def test_the_gradient_is_that_of_finite_differences():
    classifier = make_classifier("float64")
    inputs, _ = classifier.pack_texts([TEXT])
    layer = classifier.backbone.token_embedding
    embeddings = layer(inputs["token_ids"])

    def score(values):
        with replace_embeddings(layer, values):
            return classifier(inputs, training=False)[:, 1]

    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        scores = score(embeddings)
    gradient = tape.gradient(scores, embeddings).numpy()
    generator, step = np.random.default_rng(0), 1e-5
    for _ in range(3):
        direction = generator.normal(size=embeddings.shape)
        both = [score(embeddings + sign * step * direction).numpy()[0] for sign in (1, -1)]
        slope = (both[0] - both[1]) / (2 * step)
        assert slope == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-8)


def test_the_integral_is_that_of_many_small_steps():
    classifier = make_classifier("float64")
    found = lmzoo.explain.attribution(classifier, TEXT, "good", steps=30)
    inputs, _ = classifier.pack_texts([TEXT])
    length = len(found.tokens)
    inputs = {name: value[:, :length] for name, value in inputs.items()}
    layer = classifier.backbone.token_embedding
    end = layer(inputs["token_ids"]).numpy()
    start = end.copy()
    start[:, 1:-1] = layer(tf.constant([[classifier.tokenizer.mask_token_id]])).numpy()
    places = ((np.arange(200) + 0.5) / 200)[:, None, None]
    points = tf.constant(start + places * (end - start))
    inputs = {name: tf.repeat(value, 200, axis=0) for name, value in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(points)
        with replace_embeddings(layer, points):
            score = classifier(inputs, training=False)[:, 1]
    mean = tape.gradient(score, points).numpy().mean(axis=0)
    np.testing.assert_allclose(
        found.values, ((end - start)[0] * mean).sum(axis=-1), rtol=0, atol=1e-4
    )
    assert abs(found.gap) < 1e-3


def test_a_regressor_a_tagger_and_a_language_model_add_up_too():
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer, num_layers=2)
    regressor = randomise(TextRegressor(backbone, tokenizer, num_targets=2))
    found = lmzoo.explain.attribution(regressor, TEXT, 1)
    assert found.label == "target 1" and abs(found.gap) < 1e-3
    assert found.score == pytest.approx(regressor.score(TEXT)[1], abs=1e-5)

    tagger = randomise(TokenClassifier(backbone, tokenizer, ["O", "B-PER", "I-PER"]))
    found = lmzoo.explain.attribution(tagger, TEXT, "B-PER", word=0)
    assert found.label.startswith("B-PER at A") and abs(found.gap) < 1e-3

    lm = make_lm()
    found = lmzoo.explain.attribution(lm, "def main")
    logits = lm({"token_ids": lm.tokenizer.tokenize(["def main"]).to_tensor()})[0, -1]
    log_probs = tf.nn.log_softmax(logits).numpy()
    assert found.score == pytest.approx(log_probs.max(), abs=1e-5) and abs(found.gap) < 1e-3
    assert found.label == lm.tokenizer.detokenize([log_probs.argmax()]).numpy().decode()
    other = lmzoo.explain.attribution(lm, "def main", "(")
    assert other.label == "("


def test_a_quantized_classifier_adds_up_too():
    tokenizer = train_tokenizer("word_piece")
    sizes = {"hidden_dim": 32, "intermediate_dim": 32, "num_layers": 2}
    task = TextClassifier(make_backbone(tokenizer, **sizes), tokenizer, num_classes=2)
    task.quantize("int8")
    found = lmzoo.explain.attribution(task, TEXT)
    assert abs(found.gap) < 1e-3 and np.abs(found.values).max() > 0


def test_a_pair_is_attributed_in_both_texts(classifier):
    found = lmzoo.explain.attribution(classifier, "Ada wrote", pair="don't read")
    assert [(word.part, word.text) for word in found.words] == [
        *(("text", "Ada"), ("text", "wrote")),
        *(("pair", "don"), ("pair", "'"), ("pair", "t"), ("pair", "read")),
    ]
    assert sum(word.value for word in found.words) == pytest.approx(found.values.sum())
    assert json.loads(json.dumps(found.to_dict()))["words"][0]["text"] == "Ada"
    top = found.top_words(2)
    assert abs(top[0].value) == max(abs(word.value) for word in found.words) and len(top) == 2


def test_too_few_steps_are_warned_of(classifier, monkeypatch):
    monkeypatch.setattr(integrated_gradients, "_MOST_DOUBLINGS", 0)
    with pytest.warns(UserWarning, match="more than 1 points are needed"):
        lmzoo.explain.attribution(classifier, TEXT, steps=1)


def test_tokens_of_a_word_are_joined():
    text = "unhappy, 我喜欢 café"
    cuts = [(0, 2), (2, 7), (7, 8), (9, 10), (10, 12), (13, 15), (15, 17), (15, 17)]
    tokens = [Token("[CLS]", -1, -1, "special")]
    tokens += [Token(text[start:end], start, end, "text") for start, end in cuts]
    # Chinese stays as the tokenizer cut it; two tokens of one character are one word.
    assert group_words(tokens, {"text": text}) == [[1, 2], [3], [4], [5], [6, 7, 8]]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"label": "fine"}, ValueError, "Received: 'fine'"),
        ({"label": 2}, ValueError, "Received: 2"),
        ({"steps": 0}, ValueError, "Received: steps=0"),
        ({"steps": 2.5}, TypeError, "steps=2.5"),
        ({"baseline": "black"}, ValueError, "one of auto, mask, pad, zero. Received: 'black'"),
        ({"word": 1}, ValueError, "`word` must be None for a TextClassifier. Received: word=1"),
        ({"text": ""}, ValueError, "must not be empty"),
        ({"text": "a " * 99}, ValueError, "Received: 101 tokens"),
    ],
)
def test_a_bad_request_is_refused(classifier, arguments, error, match):
    with pytest.raises(error, match=match):
        lmzoo.explain.attribution(classifier, **{"text": TEXT, **arguments})


def test_a_bad_word_target_or_token_is_refused():
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer)
    tagger = TokenClassifier(backbone, tokenizer, ["O", "B-PER"])
    with pytest.raises(ValueError, match="`word` must be from -5 to 4. Received: word=9"):
        lmzoo.explain.attribution(tagger, TEXT, word=9)
    with pytest.raises(ValueError, match="`label` must be from -1 to 0. Received: label=1"):
        lmzoo.explain.attribution(TextRegressor(backbone, tokenizer), TEXT, 1)
    lm = make_lm()
    with pytest.raises(ValueError, match="single token. Received: 'zxzx', of 4 tokens"):
        lmzoo.explain.attribution(lm, "def", "zxzx")
    with pytest.raises(ValueError, match="from 0 to 299. Received: 300"):
        lmzoo.explain.attribution(lm, "def", 300)
    with pytest.raises(TypeError, match="Received: 1.5"):
        lmzoo.explain.attribution(lm, "def", 1.5)
    bare = CausalLM(lm.backbone)
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        lmzoo.explain.attribution(bare, "def")


def test_other_tasks_and_models_without_attention_are_refused(linear):
    tokenizer = train_tokenizer("word_piece")
    with pytest.raises(TypeError, match="Received: a TextEmbedder"):
        task = lmzoo.tasks.TextEmbedder(make_backbone(tokenizer), tokenizer)
        lmzoo.explain.attribution(task, TEXT)
    with pytest.raises(TypeError, match="Received: a int"):
        lmzoo.explain.attribution(3, TEXT)
    with pytest.raises(ValueError, match="Received: a TextClassifier on a BagOfEmbeddings"):
        lmzoo.explain.attention(linear, TEXT)
    with pytest.raises(ValueError, match="Received: 'mask', where mask_token_id=None"):
        lmzoo.explain.attribution(make_lm(), "def", baseline="mask")
