"""Classifiers and embedders on decoders: tests/golden/make_decoder_heads_golden.py has written what
transformers computes."""

import json

import numpy as np
import pytest
import safetensors.numpy

import lmzoo
from tests.hub.golden_t5 import GOLDEN, read_tensors

LABELS = ["bad", "so so", "good"]
CLASSES = {"gpt2": "GPT2", "llama": "Llama", "qwen2": "Qwen2", "mistral": "Mistral"}
CLASSES |= {"qwen3": "Qwen3"}
every_family = pytest.mark.parametrize("family", CLASSES)


@pytest.fixture(scope="module")
def expected():
    with np.load(GOLDEN / "decoder_heads.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, expected):
    """folders(family): a folder of `...ForSequenceClassification`, as transformers writes it."""
    made = {}

    def write(family):
        if family in made:
            return made[family]
        folder = tmp_path_factory.mktemp(family)
        config = json.loads((GOLDEN / family / "config.json").read_text(encoding="utf-8"))
        config["architectures"] = [f"{CLASSES[family]}ForSequenceClassification"]
        config["id2label"] = {str(index): name for index, name in enumerate(LABELS)}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        if family == "gpt2":
            tensors = safetensors.numpy.load_file(GOLDEN / "gpt2" / "model.safetensors")
        else:
            tensors = read_tensors(family)
        tensors.pop("lm_head.weight", None)
        tensors["score.weight"] = expected[f"{family}/score"].astype(np.float32)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        made[family] = folder
        return folder

    return write


@every_family
def test_a_classifier_scores_the_last_token_as_transformers_does(folders, expected, family):
    classifier = lmzoo.load(folders(family), "float64")
    assert type(classifier).__name__ == "TextClassifier" and list(classifier.labels.names) == LABELS
    for pattern in ("full", "right"):
        inputs = {"token_ids": expected["token_ids"], "padding_mask": expected[f"{pattern}/mask"]}
        wanted = expected[f"{family}/{pattern}/logits"]
        np.testing.assert_allclose(classifier(inputs), wanted, rtol=1e-10, atol=1e-10)
    # The same text behind its padding.
    shifted = {name: np.roll(value[1:], 4, axis=1) for name, value in inputs.items()}
    np.testing.assert_allclose(classifier(shifted), wanted[1:], rtol=1e-10, atol=1e-10)


@every_family
def test_a_classifier_is_saved_as_what_it_was(folders, family, tmp_path):
    classifier = lmzoo.load(folders(family))
    classifier.save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [f"{CLASSES[family]}ForSequenceClassification"]
    saved, wanted = (
        safetensors.numpy.load_file(folder / "model.safetensors")
        for folder in (tmp_path / "a", folders(family))
    )
    assert saved.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(saved[name], value, err_msg=name)
    assert lmzoo.hub.verify(tmp_path / "a")["passed"]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_language_model_opens_as_a_classifier_with_a_fresh_head(family, tmp_path):
    if family == "gpt2":
        folder = GOLDEN / family
    else:
        folder = tmp_path / "lm"
        folder.mkdir()
        text = (GOLDEN / family / "config.json").read_text(encoding="utf-8")
        (folder / "config.json").write_text(text, encoding="utf-8")
        safetensors.numpy.save_file(read_tensors(family), folder / "model.safetensors")
    with pytest.warns(UserWarning, match="no weights for head/output of TextClassifier") as caught:
        classifier = lmzoo.load(folder, task="TextClassifier", labels=LABELS)
    assert len(caught) == 1
    lm = lmzoo.load(folder)
    inputs = {"token_ids": np.arange(20).reshape(2, 10)}
    np.testing.assert_array_equal(classifier.backbone(inputs), lm.backbone(inputs))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_embedder_on_a_decoder_comes_back(folders, family, tmp_path):
    backbone = lmzoo.load(folders(family)).backbone
    embedder = lmzoo.tasks.TextEmbedder(backbone, pooling="last", normalize=False)
    embedder.save_pretrained(tmp_path / "a")
    again = lmzoo.load(tmp_path / "a")
    assert type(again).__name__ == "TextEmbedder" and again.pooling == "last"
    inputs = {"token_ids": np.arange(20).reshape(2, 10)}
    np.testing.assert_array_equal(again(inputs), embedder(inputs))
    np.testing.assert_array_equal(embedder(inputs), backbone(inputs)[:, -1])


@pytest.mark.parametrize(
    "backbone",
    [
        lmzoo.models.GPTBackbone(23, 1, 2, 8, activation="tanh", tied=False),
        lmzoo.models.T5Backbone(23, 1, num_heads=2, hidden_dim=8, activation="tanh"),
    ],
    ids=lambda backbone: type(backbone).__name__,
)
@pytest.mark.parametrize(
    "kind", ["TextClassifier", "TextRegressor", "TokenClassifier", "TextEmbedder"]
)
def test_what_transformers_has_no_class_for_comes_back_too(backbone, kind, tmp_path):
    options = {"labels": LABELS} if kind.endswith("Classifier") else {}
    task = getattr(lmzoo.tasks, kind)(backbone, **options)
    task.save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"].startswith("lmzoo_")
    again = lmzoo.load(tmp_path / "a")
    assert type(again) is type(task)
    inputs = {"token_ids": np.arange(20).reshape(2, 10)}
    np.testing.assert_array_equal(again(inputs), task(inputs))
