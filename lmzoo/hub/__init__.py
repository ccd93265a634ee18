"""Hugging Face's layout: opening it, writing it, and saying what it holds.

The names are imported at their first use: `describe` needs no TensorFlow.
"""

import importlib

__all__ = ["describe", "from_keras_hub", "load", "save_pretrained", "to_keras_hub"]

_HOMES = {
    "describe": "lmzoo.hub.describing",
    "from_keras_hub": "lmzoo.hub.keras_hub",
    "load": "lmzoo.hub.loading",
    "save_pretrained": "lmzoo.hub.saving",
    "to_keras_hub": "lmzoo.hub.keras_hub",
}


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lmzoo.hub' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
