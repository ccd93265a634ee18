"""The recipes of the examples run, one after the other, with few steps of tiny models."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "recipes"
SMALL = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16}
# Runs recipes in one process, so that TensorFlow is imported once.
RUNNER = """
import json, sys
import lmzoo
from lmzoo.runs import read_recipe

small, *paths = sys.argv[1:]
for path in paths:
    sections = {"data": {"sequence_length": 64, "batch_size": 4}, "validation": {"steps": 2}}
    sections |= {"checkpoints": {"every_seconds": 1000}}
    recipe = read_recipe(path)
    if "model.backbone" in recipe:
        sizes = json.loads(small)
        if "num_key_value_heads" in recipe["model.backbone_options"]:
            sizes |= {"num_key_value_heads": 1, "intermediate_dim": 32}
        sections |= {"model": {"backbone_options": sizes}, "tokenizer": {"vocabulary_size": 600}}
    steps = {"steps": 2} if "training.steps" in recipe else {"epochs": 1}
    if "epochs" in steps:
        sections["data"]["batch_size"] = 64
    run = lmzoo.train(path, training=steps, **sections)
    print(json.dumps([path, run.report, sorted(each.name for each in run.folder.iterdir())]))
"""


def run(folder, *names):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "LMZOO_CACHE": str(folder / "cache"),
    }
    write = [sys.executable, str(FOLDER / "write_text.py"), "--smoke"]
    subprocess.run(write, cwd=folder, env=environment, check=True, capture_output=True)
    paths = [str(FOLDER / f"{name}.toml") for name in names]
    child = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(SMALL), *paths],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return [json.loads(line) for line in child.stdout.splitlines() if line.startswith("[")]


@pytest.mark.slow
def test_each_recipe_trains_on_text_that_needs_no_download(tmp_path):
    pytest.importorskip("sentencepiece")
    families = ("bert", "gpt", "t5", "rotary")
    names = [f"{verb}_{family}" for family in families for verb in ("pretrain", "finetune")]
    recipes = sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert sorted(names) == [name for name in recipes if not name.startswith("tune")]
    results = run(tmp_path, *names)
    assert len(results) == len(names)
    for path, report, files in results:
        assert report["loss"] > 0 and report["validation"]["val_loss"] > 0, path
        assert {"config.json", "metrics.jsonl", "model", "report.json"} <= set(files)
    assert "saved_model" in results[1][2] and "saved_model" in results[2][2]
    # The search has the pretrained BERT among its choices.
    pytest.importorskip("keras_tuner")
    report = search(tmp_path, "tune_bert", "search.max_trials=3", "training.epochs=1")
    assert len(report["trials"]) == 3 and report["failed"] == 0
    assert (tmp_path / "runs" / "tune_bert" / "best" / "config.json").exists()


def search(folder, name, *overrides):
    """The report of `lmzoo tune`."""
    child = subprocess.run(
        [sys.executable, "-m", "lmzoo.cli", "tune", str(FOLDER / f"{name}.toml"), "--json"]
        + [part for override in overrides for part in ("--set", override)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout)
