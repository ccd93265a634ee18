"""How distributions are built: with all tests, and with the trained models inside the package."""

import pathlib

from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

__all__ = ["BuildWithModels", "SourceDistribution"]

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


class BuildWithModels(build_py):
    """The package with the trained models as `lmzoo/saved_models/`; a checkout has them beside it.

    What else was exported to `saved_models/` stays out: a trained model has a `figures.json`.
    """

    def run(self):
        super().run()
        for source, target in self._list_models():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode=True):
        outputs = super().get_outputs(include_bytecode)
        return [*outputs, *(str(target) for _, target in self._list_models())]

    def _list_models(self):
        if self.editable_mode:
            return []
        folders = [path.parent for path in pathlib.Path("saved_models").glob("*/figures.json")]
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return [(path, pathlib.Path(self.build_lib, "lmzoo", path)) for path in paths]
