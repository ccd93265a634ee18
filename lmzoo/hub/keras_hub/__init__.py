"""Conversion to and from KerasHub.

Public: `lmzoo.from_keras_hub`, `lmzoo.to_keras_hub`.
"""

__all__ = []
