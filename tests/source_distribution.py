"""How the source distribution is built: setuptools alone would take some of the tests only."""

import pathlib

from setuptools.command.sdist import sdist

__all__ = ["SourceDistribution"]

# The package with its pages, the tests, and what they read.
FOLDERS = ("lmzoo", "tests", "examples", "saved_models")


class SourceDistribution(sdist):
    """A source distribution with all tests and all that they read."""

    def make_release_tree(self, base_dir, files):
        """Copies the files to the folder that is packed.

        Args:
            base_dir: str. The folder.
            files: list of str. What setuptools has found.
        """
        found = {
            path.as_posix()
            for folder in FOLDERS
            for path in pathlib.Path(folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        super().make_release_tree(base_dir, sorted({*files, *found}))
