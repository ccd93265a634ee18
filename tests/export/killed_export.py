"""An export that is killed midway."""

import os
import pathlib
import signal
import subprocess
import sys

import lmzoo


def export_and_die(code, folder):
    """Runs code that exports over an old artefact and kills itself: the old one must stay whole.

    Args:
        code: str. It finds the folder in `sys.argv[1]`.
        folder: pathlib.Path. Made here, with the old artefact in it.
    """
    folder.mkdir()
    (folder / "saved_model.pb").write_text("old")
    root = pathlib.Path(lmzoo.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", code, folder],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert (folder / "saved_model.pb").read_text() == "old"
    assert os.listdir(folder) == ["saved_model.pb"]
