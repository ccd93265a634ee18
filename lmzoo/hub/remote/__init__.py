"""Models on the Hugging Face Hub: finding, downloading, reading headers by range.

Public: `lmzoo.hub.find_folder`.
"""

__all__ = []
