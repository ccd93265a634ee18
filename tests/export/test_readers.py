"""Tasks that answer in vectors and labels, where TensorFlow is alone."""

import numpy as np
import pytest

import lmzoo

TEXTS = ["a cat sat", "", "the dog ran on the mat", "zzz"]
LABELS = ["sport", "a mat", "the rat"]
LETTERS = "abcdefghijklmnopqrstuvwxyz."
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + x for x in LETTERS)]


@pytest.fixture(scope="module")
def encoder():
    """A tokenizer and a backbone of random weights."""
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer(VOCABULARY)
    backbone = lmzoo.models.BertBackbone(
        len(VOCABULARY), 1, 2, 16, max_sequence_length=64, num_segments=2
    )
    generator = np.random.default_rng(0)
    for variable in backbone.weights:
        variable.assign(generator.normal(size=variable.shape) * 0.4)
    return backbone, tokenizer


def check_labels(got, wanted):
    """Served labels and scores are those that `classify` gives with all labels."""
    scores = [[each["score"] for each in answer] for answer in wanted]
    np.testing.assert_allclose(got["scores"], scores, atol=1e-5)
    names = [each["label"].encode() for answer in wanted for each in answer]
    assert got["labels"].reshape(-1).tolist() == names


def call(server, folder, signature, **inputs):
    got = server.call(folder, signature, **inputs)
    shape = got["scores"].shape
    return {**got, "labels": np.array(got["labels"], object).reshape(shape)}


def test_vectors_are_served_from_text_and_from_tokens(server, encoder, tmp_path):
    embedder = lmzoo.tasks.TextEmbedder(*encoder)
    embedder.export(tmp_path / "1")
    got = server.call(tmp_path / "1", "serving_default", text=TEXTS)["embedding"]
    wanted = embedder.embed(TEXTS)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    ids = np.array([[2, 9, 10, 3, 0], [2, 9, 3, 0, 0]], np.int32)
    inputs = {"token_ids": ids, "padding_mask": ids > 0, "segment_ids": 0 * ids}
    got = server.call(tmp_path / "1", "tokens", **inputs)["embedding"]
    np.testing.assert_allclose(got, embedder(inputs), atol=1e-5)
    assert server.ask("imported") == []


def test_labels_are_served_by_entailment(server, encoder, tmp_path):
    model = lmzoo.tasks.TextClassifier(*encoder, labels=["contradiction", "neutral", "entailment"])
    for variable in model.head.weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    zero_shot = lmzoo.tasks.ZeroShotClassifier(model)
    zero_shot.export(tmp_path / "1")
    for signature, multi_label in (("serving_default", False), ("multi_label", True)):
        wanted = zero_shot.classify(TEXTS, LABELS, multi_label=multi_label, top_k=3)
        check_labels(call(server, tmp_path / "1", signature, text=TEXTS, labels=LABELS), wanted)
    assert server.ask("imported") == []
    with pytest.raises(FileExistsError, match="1"):
        zero_shot.export(tmp_path / "1")


@pytest.mark.slow
def test_labels_are_served_by_likelihood(server, lm, tmp_path):
    zero_shot = lmzoo.tasks.ZeroShotClassifier(lm, " on {}", normalize=True, calibrate=True)
    zero_shot.export(tmp_path / "1")
    for texts in (TEXTS, TEXTS[:1]):
        wanted = zero_shot.classify(texts, LABELS, top_k=3)
        got = call(server, tmp_path / "1", "serving_default", text=texts, labels=LABELS)
        check_labels(got, wanted)
    signatures = server.ask("describe", folder=str(tmp_path / "1"))
    text, labels = (["string", [None]] for _ in range(2))
    assert set(signatures) == {"serving_default", "self_test"}
    assert signatures["serving_default"][0] == {"text": text, "labels": labels}
