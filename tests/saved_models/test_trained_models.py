"""The trained models that come with lmzoo: each opens in every form and scores what its card says.

The sample lies beside a model, so that the figures do not depend on the library of this Python.
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from lmzoo import zoo
from lmzoo.cli import main
from lmzoo.hub.trained import list_trained
from tests.cli.child import run_child
from tests.export.graph_files import list_unrestored

ROOT = pathlib.Path(__file__).parents[2]
MODELS = list_trained()
MAX_BYTES, MAX_BYTES_TOGETHER = 6_000_000, 40_000_000

# The SavedModels first, with TensorFlow alone; then what lmzoo opens, and the lines of each card
# that its figures make.
CHILD = """
import json, pathlib, sys

sys.path.insert(0, sys.argv[1])
import _forms
folders = [pathlib.Path(folder) for folder in sys.argv[2:]]
found = {each.name: {"saved_model": _forms.score_form(each, "saved_model")} for each in folders}
alone = "lmzoo" not in sys.modules
import _publishing
for folder in folders:
    for form in ("model", "tflite"):
        found[folder.name][form] = _forms.score_form(folder, form)
    figures, card = _forms.read_json(folder / "figures.json"), (folder / "README.md").read_text()
    wanted = _publishing.table_of(figures["evaluations"])
    wanted += [_publishing.sample_of(figures["sample"])]
    wanted += _publishing.training_of(folder.name, figures)
    found[folder.name]["missing"] = [line for line in wanted if line not in card.splitlines()]
print(json.dumps([alone, found]))
"""


# One by default; each of the others takes seconds more.
QUICK = "code-tagger"
EACH = [
    pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow, id=name) for name in MODELS
]


@pytest.fixture(scope="module")
def found(request):
    """What a process of its own finds: for each model its scores by form, and missing lines."""
    asked = {item.callspec.params["name"] for item in request.session.items if is_scored(item)}
    folders = [str(ROOT / "saved_models" / name) for name in sorted(asked)]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(ROOT / "examples" / "zoo"), *folders],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=400,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    alone, found = json.loads(child.stdout.splitlines()[-1])
    assert alone, "A SavedModel must open with TensorFlow alone."
    return found


def is_scored(item):
    """Whether a test that was collected is one of these, for one model."""
    return item.path == pathlib.Path(__file__) and "found" in item.fixturenames


def read_figures(name):
    return json.loads((ROOT / "saved_models" / name / "figures.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EACH)
def test_each_form_scores_on_the_sample_what_the_card_says(name, found):
    sample = read_figures(name)["sample"]
    for form in ("model", "saved_model", "tflite"):
        # A few rows of a hundred may turn, as processors round differently in eight bits.
        assert found[name][form] == pytest.approx(sample[form], abs=0.02), form
        # Eight bits cost little beside the model.
        assert sample[form] > sample["model"] - 0.05


@pytest.mark.parametrize("name", EACH)
def test_the_card_says_what_was_measured(name, found):
    assert found[name]["missing"] == []
    figures, entry = read_figures(name), zoo.find_entry(name)
    own, *baselines = figures["evaluations"].values()
    assert baselines, "A score must stand beside a baseline's."
    score = figures["score"]
    assert own[score["metric"]] == [score["value"], score["low"], score["high"]]
    assert score["low"] <= score["value"] <= score["high"]
    assert entry.score == score and entry.task == figures["task"]


@pytest.mark.parametrize("name", MODELS)
def test_tensorflow_serving_fills_the_variables_that_it_reads(name):
    assert list_unrestored(ROOT / "saved_models" / name / "1") == []


@pytest.mark.parametrize("name", EACH)
def test_a_session_with_the_graph_alone_passes_the_self_test(name):
    """As TensorFlow Serving loads it, by its functions that restore variables and fill tables."""
    # Its import registers the ops of SentencePiece.
    importlib.import_module("tensorflow_text")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        folder = str(ROOT / "saved_models" / name / "1")
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        assert session.run(loaded.signature_def["self_test"].outputs["passed"].name)


def test_the_models_are_small():
    sizes = {name: model.num_bytes for name, model in MODELS.items()}
    assert all(size <= MAX_BYTES for size in sizes.values()), sizes
    assert sum(sizes.values()) <= MAX_BYTES_TOGETHER


def test_the_list_shows_size_and_score_without_tensorflow():
    code, modules, child = run_child("list")
    assert code == 0 and "tensorflow" not in modules
    for name, model in MODELS.items():
        [line] = [line for line in child.stdout.splitlines() if line.startswith(f"{name} ")]
        score = model.score
        assert f"{score['metric']} {score['value']:.3f} ({score['low']:.3f} to " in line
        assert f" {model.num_bytes / 1e6:.1f} MB " in line and line.endswith(model.note)


def test_info_shows_the_score_and_run_takes_the_name(capsys):
    name = "code-tagger"
    assert main(["info", name]) == 0
    printed = capsys.readouterr().out
    assert f"span_f1 {MODELS[name].score['value']:.3f}" in printed and "psf-2.0" in printed
    assert main(["run", name, "import os  # files", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    kinds = {span["text"]: span["label"] for span in row["result"]}
    assert kinds["import"] == "KEYWORD" and kinds["os"] == "NAME"


def test_the_page_names_every_model():
    page = (ROOT / "saved_models" / "README.md").read_text(encoding="utf-8")
    for name, model in MODELS.items():
        score = model.score
        shown = (
            f"{score['metric']} {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
        )
        [row] = [line for line in page.splitlines() if line.startswith(f"| [{name}]({name}/")]
        assert shown in row and f"{model.num_bytes / 1e6:.1f} MB" in row
