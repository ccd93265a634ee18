"""Hugging Face's layout: finding it, opening it, writing it, and saying what it holds.

The names are imported at their first use: only `load` and `save_pretrained` need TensorFlow.
"""

import importlib

__all__ = [
    "describe",
    "find_folder",
    "from_keras_hub",
    "load",
    "read_outline",
    "save_pretrained",
    "to_keras_hub",
    "verify",
]

_HOMES = {
    "describe": "lmzoo.hub.describing",
    "find_folder": "lmzoo.hub.remote.sources",
    "from_keras_hub": "lmzoo.hub.keras_hub.conversion",
    "load": "lmzoo.hub.loading",
    "read_outline": "lmzoo.hub.outlines",
    "save_pretrained": "lmzoo.hub.saving",
    "to_keras_hub": "lmzoo.hub.keras_hub.conversion",
    "verify": "lmzoo.hub.verifying",
}


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lmzoo.hub' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
