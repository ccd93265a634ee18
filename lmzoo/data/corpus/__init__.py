"""Documents to one stream of token ids: cleaning, chunks, token cache, splits, index shuffle.

Files are read by `lmzoo.text_files`. Public: `Cleaning`, `Corpus`, `documents`, `pack`,
`split_stream`, `stream_tokens`.
"""

__all__ = []
