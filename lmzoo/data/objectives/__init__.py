"""Training objectives over a token stream: causal, masked, span corruption, prefix, mixtures.

How `causal_lm(files, tokenizer, ...)` makes batches; the other three differ in step 4 alone:

1. `DatasetOptions` (datasets.py) checks the options that all four share before a file is read.
2. `open_stream` (text_sources.py) tokenizes the text into a `TokenStream`: one array of token ids,
   an end token before each document. Of files, `Corpus` (corpus/documents.py) finds and cleans the
   documents and `stream_tokens` (corpus/token_stream.py) caches their tokens on the disk. `Rows`
   and datasets of strings are tokenized into memory.
3. `split_stream` (corpus/splits.py) holds whole documents out if `validation_split` is given.
4. `CausalLMExamples` splits the stream into windows of `sequence_length` + 1 tokens. Batch s of
   epoch e is a pure function of (seed, e, s): `shuffle_indices` (corpus/index_shuffle.py) permutes
   the numbers of the windows, `make_batch` turns the windows into inputs and labels.
5. `step_dataset` (pipeline.py) wraps that function as a `tf.data.Dataset`.

Public: `causal_lm`, `masked_lm`, `span_corruption`, `prefix_lm`; `mix` and what it takes,
`SpanCorruptionExamples`, `PrefixLMExamples` and `compute_rates`.
"""

__all__ = []
