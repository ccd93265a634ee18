"""Next-token prediction: text to packed batches without a padded position."""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_sizes
from lmzoo.data.corpus.splits import split_stream
from lmzoo.data.objectives.datasets import DatasetOptions, ReadOptions, build_datasets
from lmzoo.data.objectives.stream_examples import StreamExamples
from lmzoo.data.objectives.text_sources import open_stream
from lmzoo.keywords import takes_options

__all__ = ["CausalLMExamples", "causal_lm", "pack_texts"]


@takes_options(DatasetOptions)
def causal_lm(files, tokenizer, sequence_length, batch_size, *, document_mask=True, options):
    """Makes packed batches for a causal language model from text files of any size or from memory.

    Files are tokenized once, into a cache on the disk that later runs open. Documents are
    concatenated, an end token before each; or, where the tokenizer's prompts begin with a start
    token, as Llama's do, that one before and an end token behind each. Example i is the window of
    `sequence_length` + 1 ids that begins at i * `sequence_length`: the inputs are all but its last
    id, the labels all but its first. No position is padding, and every id but the first is a label
    exactly once. Only the rest of the corpus that does not fill an example is dropped.

    One iteration is one epoch, and the next iteration is the next epoch in another order, as
    `fit(data, epochs=2)` of Keras expects. For `fit` with `steps_per_epoch`, which reads one
    iterator over all epochs, pass `data.repeat()`. (Keras warns that it cannot shuffle a dataset
    unless `fit` gets `shuffle=False`.) An iteration that is not read to its end does not count:
    the next one starts where it started.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines: `.jsonl`, or `.json` whose
            first line is an object with `field`. Both may be gzipped (`.gz`). Or text in memory,
            where each text is a document: `Rows` with a column `field`, such as
            `make_rows(text=texts)`, or a finite tf.data.Dataset of strings.
        tokenizer: tokenizer with an end token.
        sequence_length: int. T, the positions of an example.
        batch_size: int. B, the examples of a batch, over all replicas of a strategy. Training
            drops the examples that do not fill the last batch (other ones in each epoch);
            validation has a smaller last batch.
        seed: int. Seed of the shuffle and of the choice of held-out documents.
        shuffle: bool. If False, every epoch has the order of the corpus.
        validation_split: float or None. If given, this share of the tokens is held out, in
            whole documents (the tail of the corpus if there are too few).
        document_mask: bool. If True, inputs have `document_ids`, with which attention stays inside
            a document.
        field: str. The key of the text in a JSON line.
        document_separator: str or None. The text between two documents of a text file; None
            takes each text file as one document.
        clean: Cleaning or None. How documents are cleaned.
        initial_epoch: int. The epoch that the first iteration gives.
        initial_step: int. The step of that epoch to start with, to continue a run. Skipped steps
            cost nothing. An iteration still has a full epoch's number of steps; its last ones
            belong to the next epoch.
        cache_dir: str, path or None. The folder of the cache. None takes `$LMZOO_CACHE`, then
            `lmzoo` in `$XDG_CACHE_HOME`, then `~/.cache/lmzoo`.
        verbose: bool. If False, no progress bar is shown. It is shown in a terminal only.
        limits: ReadLimits or None. The size of a JSON line and of a `.gz` file after decompression.
    Returns:
        tf.data.Dataset of `(inputs, labels)`, or a pair (training, validation) of them. Inputs
        are a dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T), all True, and with
        `document_mask` also `document_ids` int32 (B, T), the number of each token's document in
        its example, from 0. Labels are int32 (B, T).
    Raises:
        TypeError: if `files`, a text, `clean` or `seed` has another type.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty or not text, if a JSON line is not an object with a string
            under `field`, if a number is out of its range, if the tokenizer has no end token, or
            if the corpus is too short.
        RuntimeError: if a file changes while it is read.
    Example:
    >>> data = lmzoo.data.causal_lm("a.txt", tokenizer, sequence_length=8, batch_size=2)
    >>> inputs, labels = next(iter(data))
    >>> inputs["token_ids"].shape, labels.dtype
    (TensorShape([2, 8]), tf.int32)
    """
    sizes = check_sizes(sequence_length, batch_size)
    make_examples = functools.partial(CausalLMExamples, **sizes, document_mask=document_mask)
    return build_datasets(make_examples, files, tokenizer, options, add_start=True)


def pack_texts(
    texts,
    tokenizer,
    max_sequence_length,
    batch_size,
    *,
    shuffle=True,
    validation_split=None,
    validation_batch_size=None,
):
    """Packs texts that fit in memory, without leaving out a token: what `CausalLM.fit` learns.

    As in `causal_lm`, examples are windows of the concatenated documents. The last window and the
    last batch may be smaller, and every text ends with an end token.

    Args:
        texts: list of str, Rows with a column `text`, or a tf.data.Dataset of strings; or a list of
            pathlib.Path, whose tokens are cached on the disk.
        tokenizer: tokenizer with an end token.
        max_sequence_length: int. The longest example; shorter if there are fewer tokens.
        batch_size: int. B.
        shuffle: bool.
        validation_split: float or None. The share of the tokens to hold out, in whole texts.
        validation_batch_size: int or None. None for `batch_size`.
    Returns:
        CausalLMExamples with weights; with `validation_split` a pair (training, validation).
    Raises:
        TypeError, ValueError: as `causal_lm`.
    """
    is_text = not _are_paths(texts)
    stream = open_stream(texts, tokenizer, ReadOptions(verbose=False), is_text, add_start=True)

    def make(stream, batch_size, shuffle):
        return CausalLMExamples(
            stream,
            max(1, min(max_sequence_length, len(stream) - 1)),
            batch_size,
            shuffle=shuffle,
            drop_remainder=False,
            keep_rest=True,
        )

    if validation_split is None:
        return make(stream, batch_size, shuffle)
    training, held_out = split_stream(stream, validation_split)
    validation = make(held_out, validation_batch_size or batch_size, False)
    return make(training, batch_size, shuffle), validation


def _are_paths(texts):
    """Whether texts are files: a pathlib.Path is a file, a str is a text."""
    if isinstance(texts, pathlib.PurePath):
        return True
    if not isinstance(texts, list | tuple):
        return False
    are_paths = [isinstance(text, pathlib.PurePath) for text in texts]
    if any(are_paths) and not all(are_paths):
        raise TypeError(
            "Texts must be all str or all pathlib.Path, which is a file. Received: both."
        )
    return any(are_paths)


class CausalLMExamples(StreamExamples):
    """Windows of `sequence_length` + 1 tokens; labels are the inputs shifted by one.

    Args:
        stream: TokenStream.
        sequence_length: int. T.
        batch_size: int. B.
        document_mask: bool. If True, inputs have `document_ids`.
        keep_rest: bool. If True, the tokens at the end that do not fill an example are one more
            example with padding, and batches have weights, 0 on padding.
        **options: `seed`, `shuffle` and `drop_remainder`, as for `StreamExamples`.
    Raises:
        TypeError, ValueError: as `StreamExamples`.
    """

    def __init__(
        self, stream, sequence_length, batch_size, *, document_mask=True, keep_rest=False, **options
    ):
        check_sizes(sequence_length, batch_size)
        self.document_mask = document_mask
        self.keep_rest = keep_rest
        super().__init__(
            stream,
            sequence_length,
            batch_size,
            window_size=sequence_length + 1,
            stride=sequence_length,
            keep_rest=keep_rest,
            **options,
        )

    def make_batch(self, epoch, step, indices):
        windows, mask = self.find_windows(epoch, indices)
        # (B, T + 1) -> (B, T), (B, T)
        token_ids, labels = windows[:, :-1], windows[:, 1:]
        inputs = {"token_ids": token_ids, "padding_mask": mask[:, :-1]}
        if self.document_mask:
            # Tokenized text never holds this token, so each one marks the start of a document.
            starts = token_ids == self.stream.first_token_id
            starts[:, 0] = False
            inputs["document_ids"] = np.cumsum(starts, axis=1, dtype=np.int32)
        if self.keep_rest:
            return inputs, labels, mask[:, 1:].astype(np.float32)
        return inputs, labels

    def batch_signature(self, batch_size):
        shape = (batch_size, self.sequence_length)
        inputs = {
            "token_ids": tf.TensorSpec(shape, tf.int32),
            "padding_mask": tf.TensorSpec(shape, tf.bool),
        }
        if self.document_mask:
            inputs["document_ids"] = tf.TensorSpec(shape, tf.int32)
        labels = tf.TensorSpec(shape, tf.int32)
        if self.keep_rest:
            return inputs, labels, tf.TensorSpec(shape, tf.float32)
        return inputs, labels
