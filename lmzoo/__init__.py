"""Language models for Keras: from text files to one file that takes text and gives text.

The names below stand in the order of the flow. Each is imported at its first use, so that
`import lmzoo` and `lmzoo --help` do not wait for TensorFlow. Once Keras is imported, it can open
.keras files of lmzoo's classes: see `lmzoo/startup.py`.
"""

import importlib

from lmzoo.startup import watch_imports

__version__ = "0.1.0"

__all__ = [
    "tokenizers",
    "data",
    "layers",
    "models",
    "generation",
    "metrics",
    "tasks",
    "hub",
    "training",
    "export",
    "runs",
    "explain",
    "tuning",
    "evaluation",
    "serving",
    "zoo",
    "load",
    "from_keras_hub",
    "to_keras_hub",
    "train",
    "evaluate",
]

_FUNCTIONS = dict.fromkeys(("load", "from_keras_hub", "to_keras_hub"), "lmzoo.hub")
_FUNCTIONS |= {"train": "lmzoo.runs", "evaluate": "lmzoo.evaluation"}


watch_imports()


def __getattr__(name):
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in __all__:
        return importlib.import_module(f"lmzoo.{name}")
    raise AttributeError(f"module 'lmzoo' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
