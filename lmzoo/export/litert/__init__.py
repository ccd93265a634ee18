"""Files for LiteRT: .tflite of any task, .litertlm of a decoder.

A task becomes functions (`signatures.py`), these a .tflite (`conversion.py`), which is quantized
and gets a manifest (`manifest.py`, of `lmzoo.runtime`) and a tokenizer. `export.py` has the one
public function.
"""

from lmzoo.export.litert.export import export_litert

__all__ = ["export_litert"]
