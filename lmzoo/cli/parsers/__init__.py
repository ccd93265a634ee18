"""The arguments of each command, by product. What a command does is in `commands`.

Nothing here imports TensorFlow.
"""

__all__ = []
