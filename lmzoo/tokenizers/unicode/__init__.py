"""Character tables, NFC normalization and pre-tokenization of code points, in the graph.

Nothing here is public.
"""

__all__ = []
