import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.data.byte_tokenizer import ByteTokenizer

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def tokenizer():
    return ByteTokenizer()


@pytest.fixture
def write_documents(tmp_path):
    """Writes short documents as JSON lines: `write_documents(300)` gives the path."""

    def write(count):
        path = tmp_path / "a.jsonl"
        lines = [json.dumps({"text": f"document {number}, é"}) for number in range(count)]
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """No test reads or writes the user's own cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LMZOO_CACHE", str(folder))
    return folder


@pytest.fixture
def start_python(tmp_path):
    """Starts code in a fresh process that can import lmzoo and the tests' tokenizer."""

    def start(code, *arguments):
        paths = [str(ROOT), str(pathlib.Path(__file__).parent), *sys.path]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "TF_CPP_MIN_LOG_LEVEL": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.fixture
def run_python(start_python):
    """Runs code in a fresh process and returns what it printed."""

    def run(code, *arguments):
        with start_python(code, *arguments) as process:
            output, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
        return output, errors

    return run
