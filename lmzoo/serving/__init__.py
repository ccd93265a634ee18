"""Serving exported models and model folders over HTTP, for a laptop, a test or a small service.

`options.py` has the limits, `http/` the paths, `models/` what is served and when it is swapped,
and `worker/` the process that runs TensorFlow. README.md in this folder says how to use it.
Public: `ServeOptions`, `serve`.
"""

from lmzoo.serving.options import ServeOptions
from lmzoo.serving.server import serve

__all__ = ["ServeOptions", "serve"]
