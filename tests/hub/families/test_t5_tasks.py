"""A T5's folder opened as tasks that read texts with its encoder: the head is fresh."""

import json

import numpy as np
import pytest

import lmzoo
from tests.hub.golden_t5 import write_folder

INPUTS = np.arange(14).reshape(2, 7) + 3
MASK = np.arange(7) < np.array([[7], [4]])
TASKS = {
    **{"TextEmbedder": {}, "TextRegressor": {}, "TextClassifier": {"labels": ["a", "b", "c"]}},
    "TokenClassifier": {"labels": ["O", "B-x"]},
}


def put_below_a_classifier(tensors):
    """As T5ForSequenceClassification has them, whose decoder reads the text once more."""
    for name in list(tensors):
        tensors[f"transformer.{name}"] = tensors.pop(name)
    for layer, size in (("dense", 48), ("out_proj", 3)):
        tensors[f"classification_head.{layer}.weight"] = np.ones([size, 48], np.float32)
        tensors[f"classification_head.{layer}.bias"] = np.ones(size, np.float32)


def encode(task):
    return task.backbone.encode(INPUTS, MASK).numpy()[MASK]


@pytest.mark.quick(
    "T5ForConditionalGeneration-TextEmbedder",
    "T5ForSequenceClassification-TokenClassifier",
    "T5ForSequenceClassification-TextClassifier",
)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "class_name", ["T5ForConditionalGeneration", "T5ForSequenceClassification"]
)
def test_a_whole_t5_opens_as_tasks_of_its_encoder(tmp_path, task, class_name):
    wanted = encode(lmzoo.load(write_folder(tmp_path / "a", "t5")))
    change = put_below_a_classifier if class_name == "T5ForSequenceClassification" else None
    folder = write_folder(tmp_path / "b", "t5", change, architectures=[class_name])
    if task == "TextEmbedder":
        opened = lmzoo.load(folder, task=task)
    else:
        with pytest.warns(UserWarning, match=f"no weights for head/.* of {task}. They are random"):
            opened = lmzoo.load(folder, task=task, **TASKS[task])
    assert type(opened).__name__ == task
    np.testing.assert_array_equal(encode(opened), wanted)


def test_an_encoder_alone_takes_a_fresh_head(tmp_path):
    lmzoo.load(write_folder(tmp_path / "a", "t5"), task="TextEmbedder").save_pretrained(
        tmp_path / "b"
    )
    config = json.loads((tmp_path / "b" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["T5EncoderModel"]
    with pytest.warns(UserWarning, match="no weights for .*head/hidden, head/output of TextClass"):
        opened = lmzoo.load(tmp_path / "b", task="TextClassifier", labels=["a", "b"])
    np.testing.assert_array_equal(encode(opened), encode(lmzoo.load(tmp_path / "a")))


def test_a_class_whose_decoder_classifies_is_refused_with_the_way_out(tmp_path):
    name = "T5ForSequenceClassification"
    folder = write_folder(tmp_path / "a", "t5", put_below_a_classifier, architectures=[name])
    message = rf"Received: architectures=\['{name}'\]. Pass `task`, .* TextClassifier,.* fresh one"
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)
