"""From text files to batches: files, documents, clean text, a token cache, examples, labels."""

from lmzoo.data.causal import causal_lm
from lmzoo.data.cleaning import Cleaning
from lmzoo.data.conll import read_conll, to_iob2
from lmzoo.data.corpus import Corpus, documents
from lmzoo.data.examples import CausalLMExamples
from lmzoo.data.folders import read_folders
from lmzoo.data.glue import read_glue
from lmzoo.data.lists import make_rows
from lmzoo.data.masked import masked_lm
from lmzoo.data.masked_examples import MaskedLMExamples
from lmzoo.data.mixing_rates import compute_rates
from lmzoo.data.mixtures import mix
from lmzoo.data.noise_spans import compute_span_lengths, make_noise_mask
from lmzoo.data.packing import pack
from lmzoo.data.prefix_lm import PrefixLMExamples, prefix_lm
from lmzoo.data.rows import Rows
from lmzoo.data.span_corruption import SpanCorruptionExamples, span_corruption
from lmzoo.data.splits import split_stream
from lmzoo.data.squad import read_squad
from lmzoo.data.tables import read_table
from lmzoo.data.token_stream import TokenStream, stream_tokens

__all__ = [
    "causal_lm",
    "CausalLMExamples",
    "Cleaning",
    "compute_rates",
    "compute_span_lengths",
    "Corpus",
    "documents",
    "make_noise_mask",
    "make_rows",
    "masked_lm",
    "MaskedLMExamples",
    "mix",
    "pack",
    "prefix_lm",
    "PrefixLMExamples",
    "read_conll",
    "read_folders",
    "read_glue",
    "read_squad",
    "read_table",
    "Rows",
    "span_corruption",
    "SpanCorruptionExamples",
    "stream_tokens",
    "split_stream",
    "to_iob2",
    "TokenStream",
]
