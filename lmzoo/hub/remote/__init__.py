"""Models on the Hugging Face Hub: resolving a source, downloading, reading headers by range.

Errors of huggingface_hub become Python's own kinds. Public: `lmzoo.hub.find_folder`.
"""

__all__ = []
