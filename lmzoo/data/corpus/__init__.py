"""Text files to one stream of token ids: bounded reading, cleaning, token cache, index shuffle.

Public: `Cleaning`, `Corpus`, `documents`, `pack`, `ReadLimits`, `split_stream`, `stream_tokens`.
"""

__all__ = []
