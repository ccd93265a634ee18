"""The distributions, built as pip and build tools build them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FIND = """
import json, lmzoo
from lmzoo.hub import find_folder
print(json.dumps({name: str(find_folder(name)) for name in lmzoo.hub.trained.list_trained()}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository, with a model in it that is nobody's but the user's."""
    copy = tmp_path_factory.mktemp("distributions") / "copy"
    ignored = shutil.ignore_patterns(
        ".git", "__pycache__", "*.egg-info", ".*_cache", "dist", "runs"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "saved_models" / "own-export" / "1").mkdir(parents=True)
    (copy / "saved_models" / "own-export" / "1" / "saved_model.pb").touch()
    return copy


def build(copy, kind):
    code = f"import setuptools.build_meta as backend; backend.build_{kind}('dist-{kind}')"
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, timeout=200
    )
    assert child.returncode == 0, child.stderr[-2000:]
    [packed] = (copy / f"dist-{kind}").iterdir()
    return packed


def test_the_source_distribution_has_all_tests_and_what_they_read(copy):
    with tarfile.open(build(copy, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("lmzoo", "tests", "examples", "saved_models"):
        wanted = {
            path.relative_to(copy).as_posix()
            for path in (copy / folder).rglob("*")
            if path.is_file()
        }
        assert sorted(wanted - names) == []
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_what_is_installed_finds_the_trained_models_by_name(copy, tmp_path):
    with zipfile.ZipFile(build(copy, "wheel")) as archive:
        archive.extractall(tmp_path)
    figures = ROOT.glob("saved_models/*/figures.json")
    wanted = {path.parent.name for path in figures}
    child = subprocess.run(
        [sys.executable, "-c", FIND],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    installed = tmp_path / "lmzoo" / "saved_models"
    assert json.loads(child.stdout) == {name: str(installed / name) for name in wanted}
    for name in wanted:
        for path in (ROOT / "saved_models" / name).rglob("*"):
            if path.is_file():
                copied = installed / path.relative_to(ROOT / "saved_models")
                assert copied.read_bytes() == path.read_bytes()
    assert not (installed / "own-export").exists()
