"""The source distribution, built as pip and build tools build it."""

import pathlib
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).parents[1]
BUILD = "import setuptools.build_meta as backend; backend.build_sdist('dist')"


def test_the_source_distribution_has_all_tests_and_what_they_read(tmp_path):
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", ".*_cache", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    child = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=copy, capture_output=True, text=True, timeout=200
    )
    assert child.returncode == 0, child.stderr[-2000:]
    [packed] = (copy / "dist").iterdir()
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("lmzoo", "tests", "examples"):
        wanted = {
            path.relative_to(copy).as_posix()
            for path in (copy / folder).rglob("*")
            if path.is_file()
        }
        assert sorted(wanted - names) == []
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= names
