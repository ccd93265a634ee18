"""Text files to batches for a model that predicts the next token, without one padded position."""

import functools

from lmzoo.data.objectives.causal_lm_examples import CausalLMExamples
from lmzoo.data.objectives.datasets import make_datasets

__all__ = ["causal_lm"]


def causal_lm(
    files,
    tokenizer,
    sequence_length,
    batch_size,
    *,
    seed=0,
    shuffle=True,
    validation_split=None,
    document_mask=True,
    field="text",
    document_separator=None,
    clean=None,
    initial_epoch=0,
    initial_step=0,
    cache_dir=None,
    verbose=True,
):
    """Makes batches for a causal language model out of text files of any size.

    The corpus is tokenized once, into a cache on the disk that later runs find again. Every
    document is the end-of-text token and then its tokens, and all follow one another. Example i
    is the window of `sequence_length` + 1 ids that begins at i * `sequence_length`: inputs are
    all but the last of them, labels all but the first. So every position is a real one and
    every id but the first is a label once; only what is left at the end of the corpus, less
    than one example, is dropped.

    One iteration is one epoch, and the next iteration is the next epoch in another order. That is
    what `fit(data, epochs=2)` of Keras wants. For `fit` with `steps_per_epoch`, which Keras takes
    from one iterator, there is `data.repeat()`: epoch after epoch without an end. (Keras warns
    that it cannot shuffle a dataset unless `fit` is told `shuffle=False`.) An iteration that is
    broken off counts for nothing: the next one begins where it began.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines where the name ends
            in `.jsonl`; both may be gzipped (`.gz`).
        tokenizer: tokenizer with an end token.
        sequence_length: int. T, the positions of an example.
        batch_size: int. B, the examples of a batch, over all replicas of a strategy. The
            examples that do not fill a batch are left out of an epoch (other ones each time);
            validation keeps them in a smaller last batch.
        seed: int. Decides the order of every epoch, and what is set aside.
        shuffle: bool. If False, every epoch has the order of the corpus.
        validation_split: float or None. If given, this share of the tokens is set aside, in
            whole documents (the tail of the corpus if there are too few).
        document_mask: bool. If True, inputs tell the documents of an example apart.
        field: str. The key of the text in a JSON line.
        document_separator: str or None. If given, what stands between two documents of a text
            file; None takes each text file as one document.
        clean: Cleaning or None.
        initial_epoch: int. The epoch that the first iteration gives.
        initial_step: int. The step in it to begin with, to go on where a run stopped. The
            steps before cost nothing. An iteration still has a full epoch's number of steps,
            the last of them out of the epoch that follows.
        cache_dir: str, path or None. Where the tokens are kept. None takes `$LMZOO_CACHE`, then
            `lmzoo` in `$XDG_CACHE_HOME`, then `~/.cache/lmzoo`.
        verbose: bool. If False, no progress is shown. Without a terminal none is shown anyway.
    Returns:
        tf.data.Dataset of `(inputs, labels)`, or a pair (training, validation) of them. Inputs
        are a dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T), always True, and with
        `document_mask` also `document_ids` int32 (B, T), which counts the documents of an
        example from 0. Labels are int32 (B, T).
    Raises:
        TypeError: if `files`, `clean` or `seed` is something else.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty or not text, a JSON line not as it should be, a number
            out of its range, the tokenizer without an end token, or the corpus too short.
        RuntimeError: if a file changes while it is read.
    Example:
    >>> data = lmzoo.data.causal_lm("a.txt", tokenizer, sequence_length=8, batch_size=2)
    >>> inputs, labels = next(iter(data))
    >>> inputs["token_ids"].shape, labels.dtype
    (TensorShape([2, 8]), tf.int32)
    """
    return make_datasets(
        functools.partial(CausalLMExamples, document_mask=document_mask),
        files,
        tokenizer,
        sequence_length=sequence_length,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        validation_split=validation_split,
        field=field,
        document_separator=document_separator,
        clean=clean,
        initial_epoch=initial_epoch,
        initial_step=initial_step,
        cache_dir=cache_dir,
        verbose=verbose,
    )
