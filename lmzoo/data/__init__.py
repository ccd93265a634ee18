"""From text files to batches: files, documents, clean text, a token cache, examples, labels."""

from lmzoo.data.causal import causal_lm
from lmzoo.data.cleaning import Cleaning
from lmzoo.data.corpus import Corpus, documents
from lmzoo.data.examples import CausalLMExamples
from lmzoo.data.rows import Rows, make_rows
from lmzoo.data.splits import split_stream
from lmzoo.data.token_stream import TokenStream, stream_tokens

__all__ = [
    "causal_lm",
    "CausalLMExamples",
    "Cleaning",
    "Corpus",
    "documents",
    "make_rows",
    "Rows",
    "stream_tokens",
    "split_stream",
    "TokenStream",
]
