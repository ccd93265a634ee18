"""What README.md shows is run as it stands."""

import ast
import inspect
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def find_python_blocks(page="README.md"):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def run_alone(code, folder):
    """What code prints in a process that sees neither this folder nor the user's packages."""
    child = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return child.stdout


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """The working directory, with the cache below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_quick_start_runs_and_what_it_exports_needs_no_lmzoo(empty_folder, capsys):
    quick_start, serving, *_ = find_python_blocks()
    lines = [line for line in quick_start.splitlines() if line.strip()]
    assert len(lines) <= 25
    exec(compile(quick_start, "README.md", "exec"), {})
    output = capsys.readouterr().out
    assert "perplexity" in output
    assert "def main(" in output
    refuse = "import sys\nsys.modules['lmzoo'] = sys.modules['keras'] = None\n"
    assert "def main(" in run_alone(refuse + serving, empty_folder)


def test_the_classifier_learns_what_it_is_shown_and_is_exported(empty_folder, capsys):
    _, _, reading = find_python_blocks()
    exec(compile(reading, "README.md", "exec"), {})
    found = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert [one["label"] for one in found] == ["good", "bad"]
    assert all(one["score"] > 0.9 for one in found)
    assert (empty_folder / "saved_models" / "films" / "1" / "saved_model.pb").is_file()


def test_what_opens_models_of_others_is_called_with_arguments_that_exist():
    import lmzoo
    from lmzoo.tasks.task import Task

    known = {"load": lmzoo.load, "to_keras_hub": lmzoo.to_keras_hub}
    known |= {"save_pretrained": Task.save_pretrained}
    opening, found = find_python_blocks("lmzoo/hub/README.md")[0], []
    for call in ast.walk(ast.parse(opening)):
        if isinstance(call, ast.Call):
            found.append(call.func.attr)
            values = [ast.literal_eval(value) for value in call.args if found[-1] == "load"]
            values = values or [None] * len(call.args)
            before = [None] if found[-1] == "save_pretrained" else []
            options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            inspect.signature(known[found[-1]]).bind(*before, *values, **options)
            for name in (name for name in values if name and "://" not in name):
                assert name in lmzoo.zoo.names()
    assert found.count("load") == 3 and {*found} == {*known}
