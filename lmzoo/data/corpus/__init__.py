"""Plain text files to one stream of token ids: reading, cleaning, the token cache, index shuffle.

Public: `Cleaning`, `Corpus`, `documents`, `pack`, `split_stream`, `stream_tokens`, `TokenStream`.
"""

__all__ = []
