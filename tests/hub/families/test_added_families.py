"""XLM-RoBERTa, MPNet, ELECTRA and ModernBERT against transformers, with every head.

tests/golden/make_bert_golden.py has written what transformers computes.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.hub.saving import make_config
from lmzoo.hub.tensor_mapping import split_variables
from tests.golden.projections import project
from tests.hub import golden_encoders as golden

every_family = pytest.mark.parametrize("family", golden.ADDED)
every_head = pytest.mark.parametrize("head", golden.HEADS)


@pytest.fixture(scope="module")
def expected_of():
    found = {}

    def read(family):
        if family not in found:
            found[family] = golden.read_expected(family)
        return found[family]

    return read


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """opened(family, head): the folder and the task in float64; no test changes it."""
    found = {}

    def load(family, head):
        if (family, head) not in found:
            folder = golden.write_folder(tmp_path_factory.mktemp("added"), family, head)
            found[family, head] = folder, lmzoo.load(folder, "float64")
        return found[family, head]

    return load


def make_inputs(expected, pattern):
    names = [name for name in ("token_ids", "segment_ids") if name in expected]
    return {name: expected[name] for name in names} | {"padding_mask": expected[f"{pattern}/mask"]}


@every_family
@every_head
def test_logits_are_those_of_transformers(opened, expected_of, family, head):
    expected, (_, task) = expected_of(family), opened(family, head)
    assert type(task).__name__ == golden.HEADS[head]
    for pattern in golden.PATTERNS:
        inputs, mask = make_inputs(expected, pattern), expected[f"{pattern}/mask"]
        if head == "Model":
            outputs = task.backbone(inputs)
            got, wanted = outputs["sequence_output"].numpy(), expected[f"{pattern}/hidden"][-1]
            if f"{pattern}/pooled" in expected:
                pooled = outputs["pooled_output"]
                np.testing.assert_allclose(pooled, expected[f"{pattern}/pooled"], atol=1e-10)
        else:
            got, wanted = task(inputs).numpy(), expected[f"{pattern}/{head}/logits"]
        if got.ndim == 3:
            got, wanted = got[mask], wanted[mask]
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10, err_msg=pattern)


@every_family
@pytest.mark.parametrize("head", ["ForMaskedLM", "ForSequenceClassification"])
def test_every_gradient_is_that_of_transformers(opened, expected_of, family, head):
    expected, (_, task) = expected_of(family), opened(family, head)
    spec = make_config(task)[1]
    variables = variables_by_path(task.backbone, task.head)
    values = {path: variables[path].value for path in spec.mapping}
    mask = expected["middle/mask"]
    with tf.GradientTape() as tape:
        logits = task(make_inputs(expected, "middle"))
        labels = expected["labels"]
        if head == "ForMaskedLM":
            counts = mask & (expected["token_labels"] >= 0)
            logits, labels = logits[counts], expected["token_labels"][counts]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_mean(losses)
    assert loss.numpy() == pytest.approx(expected[f"middle/{head}/loss"], abs=1e-9)
    gradients = tape.gradient(loss, values)
    gradients = split_variables(
        spec.mapping, lambda path: tf.convert_to_tensor(gradients[path]).numpy()
    )
    assert sorted(gradients) == sorted(golden.read_folder(family, head)[1])
    wanted = expected[f"middle/{head}/gradients"]
    np.testing.assert_allclose(project(gradients), wanted, rtol=0, atol=1e-9)


@pytest.mark.quick("Model-*", "ForMaskedLM-*")
@every_family
@every_head
def test_what_is_saved_is_what_was_read(opened, family, head, tmp_path):
    folder, _ = opened(family, head)
    task = lmzoo.load(folder)
    task.save_pretrained(tmp_path / "a")
    wanted = (folder / "model.safetensors").read_bytes()
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == wanted
    ours, theirs = (
        json.loads((each / "config.json").read_text(encoding="utf-8"))
        for each in (tmp_path / "a", folder)
    )
    assert ours["model_type"] == theirs["model_type"]
    assert ours["architectures"] == theirs["architectures"]
    # Where they have None, the rate of the hidden states is meant, and no tokenizer lies here.
    left_out = {"dtype", "classifier_dropout"} | {name for name in ours if name.endswith("_id")}
    known = set(ours) & set(theirs) - left_out
    assert {name: ours[name] for name in known} == {name: theirs[name] for name in known}
    again = lmzoo.load(tmp_path / "a")
    assert {**again.backbone.get_config(), "name": 0} == {**task.backbone.get_config(), "name": 0}
    assert lmzoo.hub.verify(tmp_path / "a")["passed"]


# The files of the other heads are those of transformers too, as the test of their bytes says.
@every_family
@pytest.mark.parametrize(
    "head", [pytest.param(h, marks=[pytest.mark.slow] * (h != "ForMaskedLM")) for h in golden.HEADS]
)
def test_transformers_opens_what_is_saved(opened, expected_of, family, head, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    lmzoo.load(opened(family, head)[0]).save_pretrained(tmp_path / "a")
    kind = getattr(transformers, golden.ADDED[family] + head)
    model, report = kind.from_pretrained(tmp_path / "a", output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[key], key
    with torch.no_grad():
        output = model.eval()(torch.from_numpy(expected_of(family)["token_ids"]))
    assert torch.isfinite(output[0]).all()
