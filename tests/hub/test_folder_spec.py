"""An encoder's folder opened as another task: the backbone stays, the head is fresh and said so."""

import numpy as np
import pytest

import lmzoo
from lmzoo.hub.families import find_family
from lmzoo.hub.files.config import read_config
from lmzoo.hub.files.shards import find_weights
from lmzoo.hub.folder_spec import make_folder_spec
from tests.hub.golden_encoders import FAMILIES, HEADS, read_expected, read_folder, write_folder

every_family = pytest.mark.parametrize("family", FAMILIES)
LABELS = ["a", "b", "c", "d"]
OPTIONS = {"TextClassifier": {"labels": LABELS}, "TokenClassifier": {"labels": ["O", "B-x"]}}
FRESH = {
    "MaskedLM": "head, head/dense, head/norm",
    "TextClassifier": "head/output",
    "TextRegressor": "head/output",
    "TokenClassifier": "head/output",
    "QuestionAnswerer": "head/output",
}


def make_inputs(family):
    expected = read_expected(family)
    names = [name for name in ("token_ids", "segment_ids") if name in expected]
    inputs = {name: expected[name] for name in names}
    return {**inputs, "padding_mask": expected["middle/mask"]}, expected


def open_as(folder, task, **options):
    with pytest.warns(UserWarning, match=rf"{folder.name}' has no weights for .* of {task}. They"):
        return lmzoo.load(folder, task=task, **options)


@pytest.mark.quick(
    "TextClassifier-bert",
    "TokenClassifier-distilbert",
    "QuestionAnswerer-roberta",
    "MaskedLM-bert",
    "TextRegressor-distilbert",
)
@every_family
@pytest.mark.parametrize("task", FRESH)
def test_the_backbone_stays_and_the_head_is_fresh(family, task, tmp_path):
    # Each comes from another head, so that what belongs to that one must be left out.
    head = "ForTokenClassification" if task == "QuestionAnswerer" else "ForQuestionAnswering"
    folder = write_folder(tmp_path / "a", family, head)
    opened = open_as(folder, task, **OPTIONS.get(task, {}))
    assert type(opened).__name__ == task
    inputs, _ = make_inputs(family)
    found = opened.backbone(inputs)["sequence_output"].numpy()
    wanted = lmzoo.load(folder).backbone(inputs)["sequence_output"].numpy()
    mask = inputs["padding_mask"]
    np.testing.assert_array_equal(found[mask], wanted[mask])
    kernels = [weight for weight in opened.head.weights if len(weight.shape) == 2]
    assert kernels and all(np.std(kernel.numpy()) > 0.001 for kernel in kernels)
    assert np.all(np.isfinite(opened(inputs).numpy()))


@every_family
def test_what_is_fresh_is_named_in_one_line(family, tmp_path):
    folder = write_folder(tmp_path / "a", family, "ForQuestionAnswering")
    with pytest.warns(UserWarning) as caught:
        lmzoo.load(folder, task="TextClassifier", labels=LABELS)
    layers = "head/output, pooler" if family == "bert" else "head/hidden, head/output"
    message = str(caught[0].message)
    assert len(caught) == 1 and "\n" not in message
    assert message == (
        f"{str(folder)!r} has no weights for {layers} of TextClassifier. They are random; train it "
        "before use."
    )


def test_a_pooler_that_the_file_has_is_kept(tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "Model")
    with pytest.warns(UserWarning, match="no weights for head/output of TextClassifier"):
        opened = lmzoo.load(folder, task="TextClassifier", labels=LABELS)
    kernel = read_folder("bert", "Model")[1]["pooler.dense.weight"]
    np.testing.assert_array_equal(opened.backbone.pooler_dense.kernel.numpy(), kernel.T)


def test_a_fresh_pooler_is_drawn(tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "ForMaskedLM")
    kernel = open_as(folder, "TextRegressor").backbone.pooler_dense.kernel.numpy()
    assert 0.01 < np.std(kernel) < 0.03


@every_family
def test_an_embedder_needs_no_head(family, tmp_path, recwarn):
    folder = write_folder(tmp_path / "a", family, "ForMaskedLM")
    embedder = lmzoo.load(folder, task="TextEmbedder", pooling="cls", normalize=False)
    assert not recwarn.list
    inputs, _ = make_inputs(family)
    hidden = embedder.backbone(inputs)["sequence_output"].numpy()
    first = inputs["padding_mask"].argmax(axis=1)
    np.testing.assert_allclose(embedder(inputs).numpy(), hidden[np.arange(len(first)), first])


@pytest.mark.quick("TextRegressor-bert", "TextClassifier-roberta", "MaskedLM-distilbert")
@every_family
@pytest.mark.parametrize("task", ["TextClassifier", "TextRegressor", "MaskedLM"])
def test_what_was_opened_so_is_saved_as_its_family(family, task, tmp_path):
    folder = write_folder(tmp_path / "a", family, "ForQuestionAnswering")
    opened = open_as(folder, task, **OPTIONS.get(task, {}))
    opened.save_pretrained(tmp_path / "b")
    again = lmzoo.load(tmp_path / "b")
    assert type(again).__name__ == task
    assert f'"model_type": "{family}"' in (tmp_path / "b" / "config.json").read_text()
    inputs, _ = make_inputs(family)
    np.testing.assert_array_equal(again(inputs).numpy(), opened(inputs).numpy())


def test_the_folders_own_task_takes_options_too(tmp_path, recwarn):
    folder = write_folder(tmp_path / "a", "bert", "ForQuestionAnswering")
    opened = lmzoo.load(folder, task="QuestionAnswerer", no_answer=True, max_answer_tokens=3)
    assert opened.no_answer and opened.max_answer_tokens == 3 and not recwarn.list


def test_options_for_another_head_than_the_folders_are_refused(tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "ForSequenceClassification")
    message = r"`options` must .* has.*head/output/kernel' has shape \(48, 4\).* \(48, 3\)"
    with pytest.raises(ValueError, match=rf"{message}\. .*a fresh head, pass task="):
        lmzoo.load(folder, labels=LABELS)
    # The remedy that it names.
    backbone = lmzoo.load(folder).backbone
    assert lmzoo.tasks.TextClassifier(backbone, labels=LABELS).labels.names == tuple(LABELS)


@pytest.mark.quick("x", "None")
@pytest.mark.parametrize("architectures", [None, ["BertForMultipleChoice"], "x", 5])
def test_a_folder_of_an_unknown_class_still_has_a_backbone(architectures, tmp_path):
    folder = write_folder(
        tmp_path / "a", "bert", "ForTokenClassification", architectures=architectures
    )
    with pytest.raises(ValueError, match="`architectures` must begin with one of BertForMaskedLM"):
        lmzoo.load(folder)
    opened = open_as(folder, "QuestionAnswerer")
    inputs, _ = make_inputs("bert")
    wanted = lmzoo.load(write_folder(tmp_path / "b", "bert", "ForTokenClassification"))
    np.testing.assert_array_equal(
        opened.backbone(inputs)["sequence_output"].numpy(),
        wanted.backbone(inputs)["sequence_output"].numpy(),
    )


# Without a class that says so, the head's own tensors do
ENDS = {task: end for end, task in HEADS.items() if task != "TextEmbedder"}


def plan_for(folder, task=None):
    return make_folder_spec(folder, read_config(folder), find_weights(folder)[1], task)


@every_family
@pytest.mark.parametrize("task", ENDS)
@pytest.mark.parametrize("architectures", [None, "Model", "ForMultipleChoice"])
def test_a_head_that_the_file_has_is_planned(family, task, architectures, tmp_path):
    wanted = plan_for(write_folder(tmp_path / "a", family, ENDS[task]))
    names = architectures and [FAMILIES[family] + architectures]
    folder = write_folder(tmp_path / "b", family, ENDS[task], architectures=names)
    assert plan_for(folder, task) == wanted
    assert any(path.startswith("head/") for path in wanted.mapping)


def test_a_head_that_the_file_has_is_opened_without_a_word(tmp_path, recwarn):
    wanted = lmzoo.load(write_folder(tmp_path / "a", "bert", "ForMaskedLM"))
    folder = write_folder(tmp_path / "b", "bert", "ForMaskedLM", architectures=None)
    inputs, _ = make_inputs("bert")
    opened = lmzoo.load(folder, task="MaskedLM")
    np.testing.assert_array_equal(opened(inputs).numpy(), wanted(inputs).numpy())
    assert not recwarn.list


def test_a_regression_s_head_that_the_file_has_is_planned(tmp_path):
    fields = {"id2label": None, "num_labels": 3, "problem_type": "regression"}
    wanted = plan_for(write_folder(tmp_path / "a", "bert", "ForSequenceClassification", **fields))
    fields["architectures"] = None
    folder = write_folder(tmp_path / "b", "bert", "ForSequenceClassification", **fields)
    assert plan_for(folder, "TextRegressor") == wanted
    assert wanted.task == "TextRegressor"


def test_of_several_heads_in_a_file_the_task_s_is_opened(tmp_path, recwarn):
    def add(tensors):
        tensors.update(read_folder("bert", "ForQuestionAnswering")[1])

    folder = write_folder(tmp_path / "a", "bert", "ForMaskedLM", add, architectures=["BertModel"])
    assert type(lmzoo.load(folder, task="QuestionAnswerer")).__name__ == "QuestionAnswerer"
    assert not recwarn.list


def test_a_head_that_lacks_a_tensor_is_a_fresh_one(tmp_path):
    def drop(tensors):
        del tensors["cls.predictions.transform.dense.bias"]

    folder = write_folder(tmp_path / "a", "bert", "ForMaskedLM", drop, architectures=None)
    assert not any(path.startswith("head/") for path in plan_for(folder, "MaskedLM").mapping)
    opened = open_as(folder, "MaskedLM")
    file_bias = read_folder("bert", "ForMaskedLM")[1]["cls.predictions.bias"]
    assert np.any(file_bias)
    np.testing.assert_array_equal(opened.head.bias, np.zeros_like(file_bias))


@pytest.mark.parametrize("task", ["TokenClassifier", "QuestionAnswerer"])
def test_the_head_of_another_known_task_is_not_taken(task, tmp_path):
    # That of a token classifier has the same names and, here, the same shapes.
    folder = write_folder(tmp_path / "a", "distilbert", "ForSequenceClassification")
    assert not any(path.startswith("head/") for path in plan_for(folder, task).mapping)


def test_a_tensor_that_no_head_has_is_refused(tmp_path):
    def add(tensors):
        tensors["bert.encoder.layer.0.atention.self.query.weight"] = np.zeros([48, 48], "float32")

    folder = write_folder(tmp_path / "a", "bert", "ForQuestionAnswering", add)
    with pytest.raises(ValueError, match="not expected: 'bert.encoder.layer.0.atention"):
        lmzoo.load(folder, task="TextEmbedder")


@pytest.mark.parametrize("task", ["CausalLM", "Seq2SeqLM", "nonsense", "Task", 3])
def test_a_task_of_another_family_is_refused(task, tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "ForQuestionAnswering")
    message = rf"`task` must be one of MaskedLM, .* for model type bert. Received: task={task!r}"
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder, task=task)


def test_a_decoder_has_the_tasks_of_its_family(golden):
    assert type(lmzoo.load(golden, task="CausalLM")).__name__ == "CausalLM"
    known = "CausalLM, TextClassifier, TextEmbedder, TextRegressor"
    with pytest.raises(ValueError, match=f"must be one of {known} for model type gpt2. Received"):
        lmzoo.load(golden, task="QuestionAnswerer")


def test_an_encoder_of_our_own_layout_takes_a_fresh_head(tmp_path):
    tanh = lmzoo.models.BertBackbone(
        *(23, 1, 2, 8, 11), max_sequence_length=12, activation="tanh", pooler=True
    )
    lmzoo.tasks.MaskedLM(tanh).save_pretrained(tmp_path / "a")
    assert '"model_type": "lmzoo_bert"' in (tmp_path / "a" / "config.json").read_text()
    opened = open_as(tmp_path / "a", "TextClassifier", labels=LABELS)
    inputs = {"token_ids": np.arange(18).reshape(2, 9)}
    np.testing.assert_array_equal(
        opened.backbone(inputs)["pooled_output"], tanh(inputs)["pooled_output"]
    )
    opened.save_pretrained(tmp_path / "b")
    np.testing.assert_array_equal(lmzoo.load(tmp_path / "b")(inputs), opened(inputs))


def test_every_head_is_in_the_table_of_tasks():
    for model_type in FAMILIES:
        assert set(HEADS.values()) <= set(find_family(model_type).list_tasks())
