"""Text to batches: files, rows of labelled text, and training objectives.

`corpus/` turns text files into one stream of token ids, `objectives/` turns it into training
examples (its docstring follows one dataset from file to batch), `rows/` reads labelled text.
All public names are listed here: readers (`read_table`, `read_squad`, ...) and `make_rows` return
`Rows`; `causal_lm`, `masked_lm`, `span_corruption` and `prefix_lm` return `tf.data.Dataset`s.
"""

from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.data.corpus.documents import Corpus, documents
from lmzoo.data.corpus.packing import pack
from lmzoo.data.corpus.splits import split_stream
from lmzoo.data.corpus.token_stream import stream_tokens
from lmzoo.data.objectives.causal_lm import causal_lm
from lmzoo.data.objectives.masked_lm import masked_lm
from lmzoo.data.objectives.mixing_rates import compute_rates
from lmzoo.data.objectives.mixtures import mix
from lmzoo.data.objectives.prefix_lm import PrefixLMExamples, prefix_lm
from lmzoo.data.objectives.span_corruption import SpanCorruptionExamples, span_corruption
from lmzoo.data.rows.conll import read_conll, to_iob2
from lmzoo.data.rows.folders import read_folders
from lmzoo.data.rows.glue import read_glue
from lmzoo.data.rows.in_memory import make_rows
from lmzoo.data.rows.rows import Rows
from lmzoo.data.rows.squad import read_squad
from lmzoo.data.rows.tables import read_table
from lmzoo.text_files.bounded_reading import ReadLimits

__all__ = [
    "causal_lm",
    "Cleaning",
    "compute_rates",
    "Corpus",
    "documents",
    "make_rows",
    "masked_lm",
    "mix",
    "pack",
    "prefix_lm",
    "PrefixLMExamples",
    "read_conll",
    "read_folders",
    "read_glue",
    "read_squad",
    "read_table",
    "ReadLimits",
    "Rows",
    "span_corruption",
    "SpanCorruptionExamples",
    "split_stream",
    "stream_tokens",
    "to_iob2",
]
