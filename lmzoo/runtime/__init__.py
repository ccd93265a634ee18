"""Runs exported files (.tflite, .litertlm) with neither TensorFlow nor Keras.

It stands alone: no module of another room is imported, and its own are imported relatively, so that
the same folder is the package `lmzoo_runtime` of a distribution without TensorFlow; see README.md.
"""

from .container import ModelFile, open_model_file
from .manifest import Manifest, TokenizerSpec
from .tasks import load

__all__ = ["Manifest", "ModelFile", "TokenizerSpec", "load", "open_model_file"]
