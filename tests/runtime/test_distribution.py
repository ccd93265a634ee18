"""The room as a distribution of its own, and as a room that needs no TensorFlow."""

import configparser
import json
import os
import pathlib
import subprocess
import sys
import venv

import pytest

import lmzoo
from tests.runtime.making_files import make_manifest, make_task_file
from tests.speed import scale_limit

ROOT = pathlib.Path(lmzoo.__file__).parent
ROOM = ROOT / "runtime"
# Whatever is imported of these is an error, as if it were not installed.
REFUSE = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tensorflow_text", "torch", "jax"):
            raise ImportError(f"{name} is not for this process")
sys.meta_path.insert(0, Refuse())
"""


def run(code, *arguments, python=sys.executable, folder=ROOT.parent, timeout=120):
    # A checkout that is on the path would be found by the other Python too.
    hidden = () if python == sys.executable else ("PYTHONPATH",)
    child = subprocess.run(
        [python, "-c", REFUSE + code, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={name: value for name, value in os.environ.items() if name not in hidden},
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return json.loads(child.stdout.splitlines()[-1])


def test_the_distribution_lists_each_package_and_asks_for_what_the_extra_asks_for():
    own, whole = configparser.ConfigParser(), configparser.ConfigParser()
    own.read(ROOM / "setup.cfg", encoding="utf-8")
    whole.read(ROOT.parent / "setup.cfg", encoding="utf-8")
    folders = {path.parent.relative_to(ROOM) for path in ROOM.rglob("__init__.py")}
    packages = {".".join(["lmzoo_runtime", *folder.parts]) for folder in folders}
    assert set(own["options"]["packages"].split()) == packages
    assert own["metadata"]["version"] == whole["metadata"]["version"] == lmzoo.__version__
    extra = whole.get("options.extras_require", "runtime", raw=True).splitlines()
    extra = {line for line in extra if line and not line.startswith("#")}
    assert set(own["options"]["install_requires"].split("\n")) - {"", "numpy"} == extra


def test_importing_the_room_imports_nothing_heavy_and_takes_no_time():
    code = """
import json, sys, time
import numpy
start = time.perf_counter()
from lmzoo import runtime
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(name.split(".")[0] for name in sys.modules)]))
"""
    seconds, modules = run(code)
    assert not {"ai_edge_litert", "tokenizers", "sentencepiece"} & set(modules)
    assert seconds < scale_limit(0.3)


def test_a_file_is_opened_and_refused_without_tensorflow(tmp_path):
    (tmp_path / "a.tflite").write_bytes(make_task_file(make_manifest(tokenizer=None)))
    code = """
import json
from lmzoo import runtime
try:
    runtime.load(sys.argv[1])
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert "must have `input_pos`" in run(code, tmp_path / "a.tflite")


def build(tmp_path):
    """A virtual environment with the distribution: its Python."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    copy = tmp_path / "runtime"
    # Built of a copy, so that nothing is left in the checkout.
    subprocess.run(["cp", "-r", str(ROOM), str(copy)], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "-q", str(copy)],
        check=True,
        timeout=900,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    return python


@pytest.mark.slow
def test_the_distribution_runs_a_file_where_there_is_no_tensorflow(tmp_path):
    from tests.export.tiny_lm import TEXT, make_task

    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT * 20]), 280)
    lm = make_task(tokenizer)
    lm.export(tmp_path / "lm.tflite", prefill_lengths=(8,), verbose=False)
    options = {"max_new_tokens": 8, "temperature": 1.0, "seed": 1}
    code = """
import importlib.util, json
import lmzoo_runtime as runtime
model = runtime.load(sys.argv[1])
text = model.generate("the cat", **json.loads(sys.argv[2]))
sys.meta_path.remove(next(each for each in sys.meta_path if isinstance(each, Refuse)))
others = [name for name in ("tensorflow", "keras", "lmzoo") if importlib.util.find_spec(name)]
print(json.dumps([text, others]))
"""
    python = build(tmp_path)
    text, others = run(
        code, tmp_path / "lm.tflite", json.dumps(options), python=python, folder=tmp_path
    )
    assert text == lm.generate("the cat", jit_compile=False, **options)
    assert not others
