"""The scripts that make the models of the zoo: each writes every form and the card, and goes on."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "zoo"
FILES = {"1/saved_model.pb", "README.md", "config.json", "figures.json", "model.safetensors"}
FILES |= {"model.tflite", "sample.json", "tokenizer_config.json"}
# What `lmzoo list` shows of each, and the rows of its card's table.
SCRIPTS = {
    "code-completer": ("bits_per_byte", ["code-completer", "Kneser-Ney", "LSTM, one epoch"]),
    "code-tagger": ("span_f1", ["code-tagger", "most frequent tag of the word"]),
    "docstring-classifier": (
        "accuracy",
        ["docstring-classifier", "TfidfClassifier", "most frequent subject"],
    ),
    "docstring-search": ("recall@1", ["docstring-search", "BM25"]),
    "number-translator": ("match_rate", ["number-translator", "LSTM", "word for word"]),
    "small-chat": ("match_rate", ["small-chat", "LSTM", "BM25"]),
}

# Runs a script twice, so that TensorFlow is imported once.
RUNNER = """
import runpy, sys

script, folder = sys.argv[1:]
sys.path.insert(0, script.rpartition("/")[0])
for _ in range(2):
    sys.argv = [script, "--smoke", "--folder", folder]
    runpy.run_path(script, run_name="__main__")
"""


def run_child(*arguments):
    child = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert child.returncode == 0, child.stdout + child.stderr
    return child


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in SCRIPTS])
def test_a_script_writes_the_model_in_every_form_and_trains_once(name, tmp_path):
    for package in ("sklearn", "litert_quantizer"):
        pytest.importorskip(package)
    script = FOLDER / f"{name.replace('-', '_')}.py"
    child = run_child("-c", RUNNER, script, tmp_path / "run")
    written = tmp_path / "run" / "written" / name
    found = {p.relative_to(written).as_posix() for p in written.rglob("*") if p.is_file()}
    assert found >= FILES
    metric, rows = SCRIPTS[name]
    figures = json.loads((written / "figures.json").read_text(encoding="utf-8"))
    assert figures["score"]["metric"] == metric and [*figures["evaluations"]] == rows
    # The second run finds the checkpoints of the first, trains nothing and finds the same.
    stages = list(tmp_path.rglob("spent.json"))
    steps = sum(json.loads(path.read_text())["steps"] for path in stages)
    assert figures["training"]["steps"] == steps > 0
    assert child.stderr.count("Going on after step") == len(stages)
    # What was stored is what transformers and a stranger's machine get.
    assert b"/tmp" not in (written / "README.md").read_bytes()
    assert str(tmp_path).encode() not in (written / "1" / "saved_model.pb").read_bytes()


TOTALS = """
import argparse, json, pathlib, sys

sys.path.insert(0, sys.argv[1])
import _zoo
from lmzoo.json_files import read_json, write_json

folder = pathlib.Path(sys.argv[2])
one = {"steps": 2, "seconds": 3.0, "processor_seconds": 5.0, "joules": 7.0, "source": "RAPL"}
for name, joules in (("a", 7.0), ("b", None)):
    (folder / name).mkdir()
    write_json(folder / name / _zoo.SPENT, {**one, "joules": joules})
a, b = folder / "a", folder / "b"
for stages in ([a], [a, a], [a, b]):
    print(json.dumps(_zoo.sum_spent(argparse.Namespace(stages=stages))))
"""


def test_what_stages_took_is_added_up_and_energy_is_known_of_all_or_none(tmp_path):
    lines = run_child("-c", TOTALS, FOLDER, tmp_path).stdout.splitlines()
    once, twice, unknown = map(json.loads, lines[-3:])
    assert once == {
        **{"steps": 2, "seconds": 3.0, "processor_seconds": 5.0},
        **{"joules": 7.0, "source": "RAPL"},
    }
    assert (twice["steps"], twice["joules"]) == (4, 14.0)
    assert (unknown["seconds"], unknown["joules"]) == (6.0, None)
