"""TextEmbedder as a Keras model: its vectors, what it learns, and what it keeps."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows
from lmzoo.tasks import TextEmbedder
from tests.tasks.small_encoders import make_tokenizer, make_wide_encoder

TEXTS = ["the cat sat", "", "a dog ran on the road .", "fish", "blue sky blue sea blue bird", "cat"]
ANCHORS = "red green blue round sport politics music score".split()
POSITIVES = "cat dog bird fish sat ran flew swam".split()
NEGATIVES = "mat road sky sea vote song the example".split()


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def embedder(tokenizer):
    return TextEmbedder(make_wide_encoder(), tokenizer)


def to_tokens(embedder, *columns):
    """Token batches (B, G, T), which many short epochs read faster than text."""
    columns = dict(zip(("text", "pair", "negative"), map(tf.constant, columns), strict=False))
    inputs, _ = embedder.encode_inputs(columns)
    return {name: value.numpy() for name, value in inputs.items()}


def rank_by_loops(groups, scale):
    """The loss of ranking the first of each group (B, G, D), and how many find their own."""
    candidates = [row for place in range(1, groups.shape[1]) for row in groups[:, place]]
    losses, hits = [], []
    for index, anchor in enumerate(groups[:, 0].astype(np.float64)):
        logits = np.array([scale * (anchor @ candidate) for candidate in candidates])
        losses.append(np.log(np.exp(logits).sum()) - logits[index])
        hits.append(logits.argmax() == index)
    return np.mean(losses), np.mean(hits)


# Vectors


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_vector_is_pooled_from_the_tokens(tokenizer, pooling, normalize, eagerly):
    backbone = make_wide_encoder(pooler=False)
    embedder = TextEmbedder(backbone, tokenizer, pooling, normalize)
    inputs, _ = embedder.pack_texts(tf.constant(TEXTS))
    hidden = np.array(backbone(inputs)["sequence_output"], np.float64)
    mask = np.array(inputs["padding_mask"])
    summed = {"mean": lambda rows: rows.mean(0), "max": lambda rows: rows.max(0)}
    summed["cls"] = lambda rows: rows[0]
    wanted = np.array([summed[pooling](h[m]) for h, m in zip(hidden, mask, strict=True)])
    if normalize:
        wanted /= np.sqrt((wanted**2).sum(-1, keepdims=True))
    np.testing.assert_allclose(embedder(inputs), wanted, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(TEXTS), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("linear", lambda x: x),
        ("tanh", np.tanh),
        ("relu", lambda x: np.maximum(x, 0)),
        ("gelu", lambda x: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_a_projection_stands_between_pooling_and_normalization(embedder, activation, function):
    inputs, _ = embedder.pack_texts(tf.constant(TEXTS))
    pooled = TextEmbedder(embedder.backbone, normalize=False)(inputs).numpy().astype(np.float64)
    options = {"projection_dim": 5, "projection_activation": activation}
    embedder = TextEmbedder(embedder.backbone, **options)
    # Drawn weights may leave relu nothing above 0, and a vector of zeros has no direction.
    embedder.head.kernel.assign(np.random.default_rng(0).normal(0, 0.1, (16, 5)))
    embedder.head.bias.assign([0.1, -0.2, 0.3, -0.4, 1.5])
    kernel, bias = (np.array(weight, np.float64) for weight in embedder.head.weights)
    wanted = function(pooled @ kernel + bias)
    wanted /= np.sqrt((wanted**2).sum(-1, keepdims=True))
    np.testing.assert_allclose(embedder(inputs), wanted, atol=1e-5)
    again = TextEmbedder.from_config(embedder.get_config())
    assert (again.projection_dim, again.projection_activation) == (5, activation)
    assert again.compute_output_shape({"token_ids": (None, 3, 7)}) == (None, 3, 5)


def test_a_projection_learns_with_the_backbone(tokenizer):
    embedder = TextEmbedder(make_wide_encoder(), tokenizer, projection_dim=4, projection_bias=False)
    before = [np.array(weight) for weight in embedder.head.weights]
    embedder.compile(run_eagerly=True)
    embedder.train_on_batch(to_tokens(embedder, ANCHORS, POSITIVES))
    assert len(before) == 1 and not np.array_equal(before[0], embedder.head.kernel)
    assert embedder.embed([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"projection_dim": 0}, ValueError, "`projection_dim` must be positive. Received: .*=0"),
        ({"projection_dim": 2.5}, TypeError, "`projection_dim` must be an int. Received: .*=2.5"),
        ({"projection_activation": "swish2"}, ValueError, "one of linear, .*activation='swish2'"),
    ],
)
def test_a_projection_that_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        TextEmbedder(make_wide_encoder(), **options)


def test_neighbours_and_batches_change_no_vector(embedder):
    together = embedder.embed(TEXTS)
    assert together.shape == (6, 16) and together.dtype == np.float32
    for batch_size in (1, 4):
        np.testing.assert_allclose(embedder.embed(TEXTS, batch_size), together, atol=1e-5)
    alone = embedder.embed(TEXTS[2])
    assert alone.shape == (16,)
    np.testing.assert_allclose(alone, together[2], atol=1e-5)
    assert embedder.embed([]).shape == (0, 16)


def test_padding_on_either_side_changes_no_vector(embedder):
    ids = np.array([[2, 40, 50, 60, 3]])
    plain = embedder({"token_ids": ids})
    for before, behind in ((0, 4), (3, 0), (2, 5)):
        widths = [(0, 0), (before, behind)]
        padded = {
            "token_ids": np.pad(ids, widths, constant_values=7),
            "padding_mask": np.pad(np.ones(ids.shape, bool), widths),
        }
        np.testing.assert_allclose(embedder(padded), plain, atol=1e-5)


def test_texts_of_an_example_keep_their_places(embedder):
    groups = embedder.predict((ANCHORS, POSITIVES, NEGATIVES), verbose=0)
    assert groups.shape == (8, 3, 16)
    for place, texts in enumerate((ANCHORS, POSITIVES, NEGATIVES)):
        np.testing.assert_allclose(groups[:, place], embedder.embed(texts), atol=1e-5)
    shape = {"token_ids": (8, 3, 7), "padding_mask": (8, 3, 7)}
    assert embedder.compute_output_shape(shape) == (8, 3, 16)


# Learning


@pytest.mark.parametrize(
    "columns",
    [
        (ANCHORS, POSITIVES, NEGATIVES),
        pytest.param((ANCHORS, POSITIVES), marks=pytest.mark.slow),
    ],
)
def test_ranking_is_measured_over_the_whole_batch(embedder, columns):
    groups = np.stack([embedder.embed(texts) for texts in columns], axis=1)
    loss, accuracy = rank_by_loops(groups, 20.0)
    got = embedder.evaluate(columns, verbose=0, return_dict=True)
    assert got == {"loss": pytest.approx(loss, rel=1e-4), "accuracy": pytest.approx(accuracy)}


def test_similarities_are_measured_with_their_weights(embedder):
    labels = [0.1, 0.9, -0.3, 0.5, 0.0, 0.7, -0.8, 0.2]
    weights = [1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0, 0.5]
    cosines = (embedder.embed(ANCHORS) * embedder.embed(POSITIVES)).sum(-1)
    rows = make_rows(text=ANCHORS, pair=POSITIVES, label=labels, weight=weights)
    got = embedder.evaluate(rows, verbose=0, return_dict=True)
    assert set(got) == {"loss", "pearson", "spearman"}
    assert got["loss"] == pytest.approx(np.mean(weights * (cosines - labels) ** 2), rel=1e-4)

    def correlate(one, other, weights):
        return np.cov(one, other, aweights=weights)[0, 1] / np.sqrt(
            np.cov(one, aweights=weights) * np.cov(other, aweights=weights)
        )

    assert got["pearson"] == pytest.approx(correlate(labels, cosines, weights), rel=1e-4)
    ranks = np.argsort(np.argsort([labels, cosines]))
    assert got["spearman"] == pytest.approx(correlate(*ranks, np.ones(8)), rel=1e-4)


def test_pairs_find_each_other_and_an_unused_pooler_stays(tokenizer, tmp_path):
    embedder = TextEmbedder(make_wide_encoder(), tokenizer)
    embedder.compile(keras.optimizers.Adam(0.01))
    pooler = embedder.backbone.pooler_dense.kernel.numpy()
    tokens = to_tokens(embedder, ANCHORS, POSITIVES)
    steps = tf.data.Dataset.from_tensors(tokens).repeat(40)
    history = embedder.fit(steps, epochs=3, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    nearest = np.argmax(embedder.embed(ANCHORS) @ embedder.embed(POSITIVES).T, axis=1)
    np.testing.assert_array_equal(nearest, range(8))
    np.testing.assert_array_equal(embedder.backbone.pooler_dense.kernel, pooler)

    # What was learnt goes through Keras's own file, tokenizer and compilation included.
    embedder.save(tmp_path / "embedder.keras")
    loaded = keras.saving.load_model(tmp_path / "embedder.keras")
    np.testing.assert_array_equal(loaded.embed(TEXTS), embedder.embed(TEXTS))
    assert loaded.evaluate(tokens, verbose=0, return_dict=True) == pytest.approx(
        embedder.evaluate(tokens, verbose=0, return_dict=True)
    )


@pytest.mark.slow
def test_cosines_become_the_similarities(tokenizer):
    embedder = TextEmbedder(make_wide_encoder(), tokenizer)
    embedder.compile(keras.optimizers.Adam(0.01))
    labels = [0.9, -0.4, 0.6, -0.2, 0.3, 0.0, 0.8, -0.6]
    data = to_tokens(embedder, ANCHORS, POSITIVES), np.array(labels)
    steps = tf.data.Dataset.from_tensors(data).repeat(40)
    history = embedder.fit(steps, epochs=3, verbose=0, validation_data=data).history
    assert set(history) == {"loss", "pearson", "val_loss", "val_pearson", "val_spearman"}
    assert history["val_loss"][-1] < 0.01
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert history["val_spearman"][-1] > 0.9
    cosines = (embedder.embed(ANCHORS) * embedder.embed(POSITIVES)).sum(-1)
    np.testing.assert_allclose(cosines, labels, atol=0.3)


@pytest.mark.slow
def test_half_precision_gives_finite_float32(tokenizer):
    embedder = TextEmbedder(make_wide_encoder(dtype="mixed_bfloat16"), tokenizer)
    wanted = TextEmbedder(make_wide_encoder(), tokenizer).embed(TEXTS)
    assert embedder({"token_ids": np.array([[2, 40, 3]])}).dtype == tf.float32
    assert not np.array_equal(embedder.embed(TEXTS), wanted)
    # bfloat16 keeps 8 bits.
    np.testing.assert_allclose(embedder.embed(TEXTS), wanted, atol=0.05)
    dataset = tf.data.Dataset.from_tensors({"text": ANCHORS, "pair": POSITIVES})
    history = embedder.fit(dataset, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(weight.numpy()).all() for weight in embedder.weights)


def test_token_batches_are_measured_as_their_texts(embedder):
    tokens = to_tokens(embedder, ANCHORS, POSITIVES)
    wanted = embedder.evaluate((ANCHORS, POSITIVES), verbose=0, return_dict=True)
    assert embedder.evaluate(tokens, verbose=0, return_dict=True) == pytest.approx(wanted)


# Keeping and refusing


def test_a_config_holds_every_argument():
    options = {"pooling": "max", "normalize": False, "scale": 7.0, "sequence_length": 9}
    config = TextEmbedder(make_wide_encoder(), **options).get_config()
    assert config.items() >= options.items()
    again = TextEmbedder.from_config(config)
    assert again.get_config() == config
    assert again.scale == 7.0 and again.sequence_length == 9


def test_arguments_out_of_range_are_refused():
    backbone = make_wide_encoder()
    with pytest.raises(ValueError, match="pooling='sum'"):
        TextEmbedder(backbone, pooling="sum")
    with pytest.raises(ValueError, match="scale=0"):
        TextEmbedder(backbone, scale=0)
    with pytest.raises(ValueError, match="sequence_length=33"):
        TextEmbedder(backbone, sequence_length=33)
    with pytest.raises(ValueError, match="tokenizer=None"):
        TextEmbedder(backbone).embed("a")
    with pytest.raises(TypeError, match="7 at index 1"):
        TextEmbedder(backbone, make_tokenizer()).embed(["a", 7])


def test_similarities_may_be_integers_and_floats(embedder):
    columns = embedder.to_columns((["a", "b"], ["c", "d"]), [1, 0.5])
    assert [row["label"] for row in embedder.label_rows(make_rows(**columns))] == [1.0, 0.5]


def test_what_cannot_be_learnt_from_is_refused(embedder):
    with pytest.raises(ValueError, match="columns text$|columns text\\."):
        embedder.fit(["a", "b"])
    with pytest.raises(ValueError, match="'text': 2, 'pair': 1"):
        embedder.fit((["a", "b"], ["c"]))
    with pytest.raises(ValueError, match="a tuple of 4"):
        embedder.fit((["a"], ["b"], ["c"], ["d"]))
    with pytest.raises(ValueError, match="columns text, pair, negative, label"):
        embedder.fit((["a"], ["b"], ["c"]), [0.5])
    with pytest.raises(ValueError, match="columns text, pair, weight"):
        embedder.fit((["a"], ["b"]), sample_weight=[0.5])
    with pytest.raises(ValueError, match="index 1: .* Received: 4.2"):
        embedder.fit((["a", "b"], ["b", "c"]), [0.5, 4.2])
    for label in (4.2, float("nan")):
        dataset = tf.data.Dataset.from_tensors(((["a"], ["b"]), [label]))
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"Received:.*\s?\[{label}"):
            embedder.evaluate(dataset, verbose=0)
    with pytest.raises(TypeError, match="index 0: .* Received: 'same'"):
        embedder.fit((["a"], ["b"]), ["same"])
    with pytest.raises(ValueError, match=r"shape \(\w+, 16\)"):
        embedder.fit({"token_ids": np.ones((4, 5), int)}, verbose=0)
    with pytest.raises(ValueError, match="examples of 3 texts"):
        embedder.evaluate({"token_ids": np.ones((4, 3, 5), int)}, np.ones(4), verbose=0)
