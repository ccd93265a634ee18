"""Runs: a model trained by a recipe, from text files to the report.

`schema.py` has the keys of a recipe in one table, `driver.py` follows one through the package, and
the README shows one on one device and on many. Public are `train`, `check` and `read_recipe`.
"""

from lmzoo.runs.driver import TrainedRun, check, train
from lmzoo.runs.recipe import Recipe, read_recipe

__all__ = ["Recipe", "TrainedRun", "check", "read_recipe", "train"]
