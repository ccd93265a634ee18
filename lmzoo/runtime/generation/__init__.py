"""Generation in NumPy: options, next-token selection, stop strings and the decode loop.

Public: `GenerationOptions`.
"""

from .options import GenerationOptions

__all__ = ["GenerationOptions"]
