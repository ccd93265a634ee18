"""Tuning: a search over models, with keras-tuner.

`HyperTask` is a model of keras-tuner's for every task, `search` follows a recipe of a search
(`schema.py`), each trial in a process of its own (`trials/trial_process.py`). The README says more.
Both need keras-tuner: `pip install lmzoo[tune]`.
"""

import importlib

from lmzoo.tuning.driver import Search, check_extra, search

__all__ = ["HyperTask", "Search", "search"]


def __getattr__(name):
    if name == "HyperTask":
        check_extra()
        return importlib.import_module("lmzoo.tuning.hyper_task").HyperTask
    raise AttributeError(f"module 'lmzoo.tuning' has no attribute {name!r}")
