"""From text files to batches: files, documents, clean text, a token cache, examples, labels."""

from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.data.corpus.documents import Corpus, documents
from lmzoo.data.corpus.packing import pack
from lmzoo.data.corpus.splits import split_stream
from lmzoo.data.corpus.token_stream import TokenStream, stream_tokens
from lmzoo.data.objectives.causal_lm import causal_lm
from lmzoo.data.objectives.causal_lm_examples import CausalLMExamples
from lmzoo.data.objectives.masked_lm import masked_lm
from lmzoo.data.objectives.masked_lm_examples import MaskedLMExamples
from lmzoo.data.objectives.mixing_rates import compute_rates
from lmzoo.data.objectives.mixtures import mix
from lmzoo.data.objectives.noise_spans import compute_span_lengths, make_noise_mask
from lmzoo.data.objectives.prefix_lm import PrefixLMExamples, prefix_lm
from lmzoo.data.objectives.span_corruption import SpanCorruptionExamples, span_corruption
from lmzoo.data.rows.conll import read_conll, to_iob2
from lmzoo.data.rows.folders import read_folders
from lmzoo.data.rows.glue import read_glue
from lmzoo.data.rows.in_memory import make_rows
from lmzoo.data.rows.rows import Rows
from lmzoo.data.rows.squad import read_squad
from lmzoo.data.rows.tables import read_table

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
