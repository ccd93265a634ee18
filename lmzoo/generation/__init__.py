"""Generation: from prompts to texts, for every generative task.

Public: `GenerationOptions`, the options of `generate`, `stream` and `export`. README.md in this
folder says how a call runs, file by file; `protocol.py` says what a task must have.
"""

from lmzoo.generation.options import GenerationOptions

__all__ = ["GenerationOptions"]
