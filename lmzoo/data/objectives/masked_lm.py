"""Text files to batches for a model that guesses hidden tokens."""

import functools

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.packing import count_text_tokens
from lmzoo.data.objectives.datasets import make_datasets
from lmzoo.data.objectives.masked_lm_examples import MaskedLMExamples
from lmzoo.data.objectives.masking import Masking

__all__ = ["masked_lm"]


def masked_lm(
    files,
    tokenizer,
    sequence_length=128,
    batch_size=32,
    *,
    mask_rate=0.15,
    whole_word=False,
    seed=0,
    shuffle=True,
    validation_split=None,
    field="text",
    document_separator=None,
    clean=None,
    initial_epoch=0,
    initial_step=0,
    cache_dir=None,
    verbose=True,
):
    """Makes batches for a masked language model out of text files of any size.

    The corpus is tokenized once, into a cache on the disk that later runs find again (those of
    `causal_lm` too). Documents follow one another, an end token before each. Example i is the i-th
    window of `sequence_length` - 2 tokens, between a start and an end token: so every position is
    a real one, and only what is left at the end of the corpus, less than one example, is dropped.

    Some tokens of each example are hidden, in every epoch other ones. A batch depends on `seed`
    and on its epoch and step alone. As with `causal_lm`, one iteration is one epoch, the next
    iteration is the next epoch, and an iteration that is broken off counts for nothing.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines where the name ends
            in `.jsonl`; both may be gzipped (`.gz`).
        tokenizer: tokenizer with start, end and mask tokens.
        sequence_length: int. T, the positions of an example, at least 3.
        batch_size: int. B, the examples of a batch, over all replicas of a strategy. The
            examples that do not fill a batch are left out of an epoch (other ones each time);
            validation keeps them in a smaller last batch.
        mask_rate: float in (0, 1). The share of an example's ordinary tokens to predict. Of them
            80 % become the mask, 10 % another token and 10 % stay.
        whole_word: bool. Whether all pieces of a word are hidden together.
        seed: int. Decides the order of every epoch, what is hidden, and what is set aside.
        shuffle: bool. If False, every epoch has the order of the corpus.
        validation_split: float or None. If given, this share of the tokens is set aside, in
            whole documents (the tail of the corpus if there are too few). Its order and its hidden
            tokens are the same each time.
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
        tf.data.Dataset of `(inputs, labels, weights)`, or a pair (training, validation) of them.
        Inputs are a dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T), always True,
        `segment_ids` int32 (B, T), always 0, and `mask_positions` int32 (B, P), the places to
        predict. Labels are int32 (B, P), what stood there, and weights float32 (B, P), 1, or 0
        where a row has less than P. P is the same in all batches; with `whole_word` it is that of
        the batch's own.
    Raises:
        TypeError: if `files`, `clean` or `seed` is something else.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty or not text, a JSON line not as it should be, a number
            out of its range, the tokenizer without one of the tokens, or the corpus too short.
        RuntimeError: if a file changes while it is read.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1, for the masks; Liu
        et al. 2019, https://arxiv.org/abs/1907.11692, section 4, for hiding other tokens in every
        epoch and for windows over the borders of documents (FULL-SENTENCES; there they are of
        whole sentences).
    Example:
    >>> data = lmzoo.data.masked_lm("a.txt", tokenizer, sequence_length=16, batch_size=2)
    >>> inputs, labels, weights = next(iter(data))
    >>> inputs["token_ids"].shape, labels.shape
    (TensorShape([2, 16]), TensorShape([2, 2]))
    """
    check_sizes(sequence_length, batch_size)
    count_text_tokens(tokenizer, sequence_length, num_texts=1)
    masking = {"tokenizer": tokenizer, "mask_rate": mask_rate, "whole_word": whole_word}
    Masking(**masking)
    return make_datasets(
        functools.partial(MaskedLMExamples, **masking),
        files,
        tokenizer,
        {"fixed_masks": True},
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
