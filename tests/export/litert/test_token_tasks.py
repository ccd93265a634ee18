"""Discriminative tasks as .tflite files: the scores of Keras, at any batch size and length."""

import keras
import numpy as np
import pytest

import lmzoo
from lmzoo.models import BertBackbone, GPTBackbone, ModernBertBackbone, T5Backbone
from lmzoo.runtime import open_model_file
from lmzoo.tasks import (
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    TextClassifier,
    TextEmbedder,
    TextRegressor,
    TokenClassifier,
    ZeroShotClassifier,
)
from tests.export.litert.running import open_signature
from tests.export.tiny_lm import TEXT, make_task
from tests.layers.reference import randomise

VOCABULARY, LONGEST = 60, 24
SIZES = {"num_layers": 2, "num_heads": 4, "hidden_dim": 32, "max_sequence_length": LONGEST}
BACKBONES = {
    "bert": lambda: BertBackbone(VOCABULARY, **SIZES),
    "roberta": lambda: BertBackbone(VOCABULARY, position_offset=2, num_segments=1, **SIZES),
    "distilbert": lambda: BertBackbone(VOCABULARY, num_segments=0, pooler=False, **SIZES),
    "electra": lambda: BertBackbone(VOCABULARY, pooler=False, embedding_dim=16, **SIZES),
    "mpnet": lambda: BertBackbone(VOCABULARY, num_segments=0, relative_attention=True, **SIZES),
    "modern_bert": lambda: ModernBertBackbone(VOCABULARY, **SIZES),
    "gpt": lambda: GPTBackbone(VOCABULARY, **SIZES),
    "t5": lambda: T5Backbone(VOCABULARY, head_dim=8, intermediate_dim=40, **SIZES),
}
TASKS = {
    "classifier": lambda backbone: TextClassifier(backbone, labels=["bad", "good", "other"]),
    "regressor": TextRegressor,
    "tagger": lambda backbone: TokenClassifier(backbone, labels=["O", "B-X", "I-X"]),
    "answerer": QuestionAnswerer,
    "embedder": TextEmbedder,
    "masked": MaskedLM,
}
# Each family and each task is converted once in the tests that run always or in the slow ones.
QUICK = [("bert", "classifier"), ("t5", "embedder"), ("modern_bert", "masked")]
SLOW = [(name, "classifier") for name in BACKBONES if name != "bert"]
SLOW += [("bert", name) for name in TASKS if name != "classifier"]
SLOW += [("electra", "masked"), ("gpt", "embedder"), ("gpt", "regressor")]


def draw_inputs(task, shape):
    random = np.random.default_rng(0)
    inputs = {
        "token_ids": random.integers(0, VOCABULARY, shape).astype("int32"),
        "padding_mask": np.arange(shape[1]) < random.integers(1, shape[1] + 1, (shape[0], 1)),
        "segment_ids": random.integers(0, 2, shape).astype("int32"),
    }
    if task.backbone.num_segments < 2:
        del inputs["segment_ids"]
    return inputs


def compare(task, path, shape):
    """The largest difference of a score that is not one of padding."""
    inputs = draw_inputs(task, shape)
    # LiteRT.js knows no bool.
    ints = {name: value.astype("int32") for name, value in inputs.items()}
    found = open_signature(path.read_bytes())(**ints)[task.output_name]
    difference = np.abs(found - task(inputs, training=False).numpy())
    return difference[inputs["padding_mask"]].max() if found.ndim == 3 else difference.max()


@pytest.mark.quick("t5-embedder", "bert-classifier")
@pytest.mark.parametrize(
    ("backbone", "task"),
    [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)],
)
def test_scores_are_those_of_keras_at_any_size(backbone, task, tmp_path):
    keras.utils.set_random_seed(0)
    task = TASKS[task](randomise(BACKBONES[backbone](), deviation=0.2))
    path = tmp_path / "task.tflite"
    report = task.export(path, verbose=False)
    assert "CUSTOM" not in report["ops"]
    for shape in ((1, 1), (1, LONGEST), (5, 7)):
        assert compare(task, path, shape) < 1e-5


def test_sizes_may_be_fixed_which_leaves_fewer_ops(tmp_path):
    task = TASKS["classifier"](randomise(BACKBONES["bert"](), deviation=0.2))
    path = tmp_path / "task.tflite"
    report = task.export(path, batch_size=3, sequence_length=9, verbose=False)
    assert compare(task, path, (3, 9)) < 1e-5
    found = open_model_file(path)
    assert found.signatures["tokens"][0]["token_ids"].shape == (3, 9)
    assert found.manifest.max_sequence_length == 9
    # Nothing asks for a shape as it runs.
    assert "SHAPE" not in report["ops"]


def test_the_report_compares_texts_and_labels_and_the_manifest_names_them(tmp_path):
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(iter([TEXT] * 9), VOCABULARY)
    backbone = BertBackbone(tokenizer.vocabulary_size, **SIZES)
    task = TextClassifier(randomise(backbone, deviation=0.2), tokenizer, labels=["bad", "good"])
    path, texts = tmp_path / "task.tflite", ["a cat", "the hat on the mat", "rat"]
    labels = [row["label"] for row in task.classify(texts)]
    report = task.export(path, evaluation_data=(texts, labels), verbose=False)
    quality = report["quality"]
    assert quality["largest_difference"] < 1e-5
    assert quality["argmax_agreement"] == quality["accuracy_after"] == 1.0
    manifest = open_model_file(path).manifest
    assert manifest.task == "TextClassifier"
    assert manifest.task_options["labels"] == ("bad", "good")
    assert manifest.tokenizer.kind == "word_piece"


def test_the_report_of_an_embedder_has_the_least_cosine(tmp_path):
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(iter([TEXT] * 9), VOCABULARY)
    backbone = BertBackbone(tokenizer.vocabulary_size, **SIZES)
    task = TextEmbedder(randomise(backbone, deviation=0.2), tokenizer)
    report = task.export(
        tmp_path / "task.tflite",
        batch_size=2,
        sequence_length=12,
        evaluation_data=["a cat", "the hat"],
        verbose=False,
    )
    assert report["quality"]["least_cosine"] == pytest.approx(1.0, abs=1e-5)


def test_a_zero_shot_classifier_is_its_model_with_a_template(tmp_path):
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(iter([TEXT] * 9), VOCABULARY)
    backbone = BertBackbone(tokenizer.vocabulary_size, **SIZES)
    model = TextClassifier(backbone, tokenizer, labels=["contradiction", "entailment"])
    path = tmp_path / "task.tflite"
    ZeroShotClassifier(model, "It is {}.").export(path, verbose=False)
    found = open_model_file(path)
    assert found.manifest.task == "ZeroShotClassifier"
    options = found.manifest.task_options
    assert options["template"] == "It is {}."
    assert (options["entailment"], options["contradiction"]) == (1, 0)
    assert "logits" in found.signatures["tokens"][1]


def test_a_zero_shot_classifier_of_a_language_model_is_refused(tmp_path):
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    lm = make_task(tokenizer)
    assert isinstance(lm, CausalLM)
    with pytest.raises(ValueError, match="Received: a ZeroShotClassifier of a CausalLM"):
        ZeroShotClassifier(lm).export(tmp_path / "task.tflite")
