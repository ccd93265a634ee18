"""The tasks of exported files, with the methods and results of `lmzoo.tasks`.

Public: `Task` and, below it, a class for each kind; `open_task` takes the one that a file names.
"""

from .opening import load
from .task import Task

__all__ = ["Task", "load"]
