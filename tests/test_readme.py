"""What README.md shows is run as it stands."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def find_python_blocks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def run(code, folder, *flags):
    environment = {**os.environ, "LMZOO_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if "-I" not in flags:
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    child = subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return child.stdout


def test_the_quick_start_runs_and_what_it_exports_needs_no_lmzoo(tmp_path):
    quick_start, serving, _ = find_python_blocks()
    lines = [line for line in quick_start.splitlines() if line.strip()]
    assert len(lines) <= 25
    output = run(quick_start, tmp_path)
    assert "perplexity" in output
    assert "def main(" in output
    refuse = "import sys\nsys.modules['lmzoo'] = sys.modules['keras'] = None\n"
    assert "def main(" in run(refuse + serving, tmp_path, "-I")


def test_the_classifier_runs_and_is_exported(tmp_path):
    _, _, reading = find_python_blocks()
    assert "'label'" in run(reading, tmp_path)
    assert (tmp_path / "saved_models" / "films" / "1" / "saved_model.pb").is_file()
