"""Text files to batches for a model that fills in missing spans, as T5 is pretrained."""

import functools

import numpy as np

from lmzoo.data.objectives.datasets import make_datasets
from lmzoo.data.objectives.noise_spans import NoiseSpans, compute_span_lengths, make_noise_mask
from lmzoo.data.objectives.seq2seq_examples import Seq2SeqExamples, check_tokens, describe_tokenizer

__all__ = ["SpanCorruptionExamples", "span_corruption"]


def span_corruption(
    files,
    tokenizer,
    sequence_length=512,
    batch_size=8,
    *,
    noise_density=0.15,
    mean_span_length=3.0,
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
    start_token_id=None,
):
    """Makes batches for a text-to-text model that is pretrained as T5 is, out of text files.

    The corpus is tokenized once, into a cache on the disk that later runs find again (those of
    `causal_lm` too). Documents follow one another, and example i is the i-th window of as many
    tokens as fill input and target once spans of it are hidden: 568 of them for an input of 512
    and a target of 114. In the input each span is a sentinel; the target has each sentinel with
    the tokens that it stands for. Both end with the end token, and no position is padded. Only
    what is left at the end of the corpus, less than one example, is dropped.

    Each epoch hides other spans. A batch depends on `seed` and on its epoch and step alone. As
    with `causal_lm`, one iteration is one epoch, the next iteration is the next epoch, and an
    iteration that is broken off counts for nothing.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines where the name ends
            in `.jsonl`; both may be gzipped (`.gz`).
        tokenizer: tokenizer with padding and end tokens and `sentinel_ids`, those of <extra_id_0>,
            <extra_id_1> and so on, as many as an example has spans.
        sequence_length: int. T, the positions of an input, at least 3. Where an example has one
            span, with the defaults below 29 positions, it always ends the window, as published.
        batch_size: int. B, the examples of a batch, over all replicas of a strategy. The
            examples that do not fill a batch are left out of an epoch (other ones each time);
            validation keeps them in a smaller last batch.
        noise_density: float in (0, 1). The share of a window that is hidden.
        mean_span_length: float. The mean length of a span in tokens, at least 1.
        seed: int. Decides the order of every epoch, what is hidden, and what is set aside.
        shuffle: bool. If False, every epoch has the order of the corpus.
        validation_split: float or None. If given, this share of the tokens is set aside, in
            whole documents (the tail of the corpus if there are too few). Its order and its spans
            are the same each time.
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
        start_token_id: int or None. What the decoder begins with, as the `start_token_id` of the
            `Seq2SeqLM` that is trained; None for the padding token, as there.
    Returns:
        tf.data.Dataset of `(inputs, labels, weights)` as `Seq2SeqLM` takes them, or a pair
        (training, validation) of them. Inputs are a dict of `encoder_token_ids` int32 (B, T),
        `encoder_padding_mask` bool (B, T), `decoder_token_ids` int32 (B, S), the labels behind
        the start token, and `decoder_padding_mask` bool (B, S); labels are int32 (B, S) and weights
        float32 (B, S). S is the second number of `compute_span_lengths`.
    Raises:
        TypeError: if `files`, `clean` or `seed` is something else.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty or not text, a JSON line not as it should be, a number
            out of its range, the tokenizer without one of the tokens or with too few sentinels, the
            start token not in its vocabulary, or the corpus too short.
        RuntimeError: if a file changes while it is read.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, sections 3.1.4 and 3.3.4.

    Example:
    >>> data = lmzoo.data.span_corruption("a.txt", tokenizer, sequence_length=32, batch_size=2)
    >>> inputs, labels, weights = next(iter(data))
    >>> inputs["encoder_token_ids"].shape, labels.shape
    (TensorShape([2, 32]), TensorShape([2, 8]))
    """
    noise = {"noise_density": noise_density, "mean_span_length": mean_span_length}
    length, _ = compute_span_lengths(sequence_length, **noise)
    find_sentinels(tokenizer, NoiseSpans.of(length, **noise).num_spans)
    check_tokens(tokenizer, start_token_id)
    return make_datasets(
        functools.partial(
            SpanCorruptionExamples, tokenizer=tokenizer, start_token_id=start_token_id, **noise
        ),
        files,
        tokenizer,
        {"fixed_noise": True},
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


class SpanCorruptionExamples(Seq2SeqExamples):
    """Windows of a token stream with hidden spans, each example found by its number.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens and `sentinel_ids`.
        sequence_length: int. T, at least 3.
        batch_size: int. B.
        noise_density: float in (0, 1).
        mean_span_length: float. At least 1.
        **options: as for `Seq2SeqExamples`.
    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if a number is out of its range, the tokenizer has too few sentinels, or the
            stream is too short for one example (or one batch, with `drop_remainder`).
    """

    def __init__(
        self,
        stream,
        tokenizer,
        sequence_length,
        batch_size,
        *,
        noise_density=0.15,
        mean_span_length=3.0,
        **options,
    ):
        length, targets_length = compute_span_lengths(
            sequence_length, noise_density, mean_span_length
        )
        super().__init__(
            stream,
            tokenizer,
            sequence_length,
            batch_size,
            window_size=length,
            targets_length=targets_length,
            num_draws=length - 2,
            **options,
        )
        self.noise_density = noise_density
        self.mean_span_length = mean_span_length
        spans = NoiseSpans.of(length, noise_density, mean_span_length)
        self._sentinel_ids = find_sentinels(tokenizer, spans.num_spans)

    def make_pairs(self, windows, noise):
        is_noise = make_noise_mask(
            self.window_size, self.noise_density, self.mean_span_length, noise
        )
        source = self._replace_runs(windows, is_noise)
        # A window begins with kept tokens, so the sentinel of a span stands before its tokens.
        target = self._replace_runs(windows, ~is_noise)
        return source, np.ones_like(source, bool), target, np.ones_like(target, bool)

    def _replace_runs(self, windows, mask):
        """Puts a sentinel in the place of each run of the mask: (B, W) -> (B, shorter)."""
        before = np.pad(mask, [[0, 0], [1, 0]])[:, :-1]
        starts = mask & ~before
        sentinels = self._sentinel_ids[np.maximum(np.cumsum(starts, axis=1) - 1, 0)]
        # Every row has as many runs, and as many tokens in them, as the others.
        return np.where(starts, sentinels, windows)[~mask | starts].reshape(len(windows), -1)


def find_sentinels(tokenizer, num_spans):
    """Returns a tokenizer's sentinels, int32 (n,), of which there must be one for each span.

    Raises:
        ValueError: if there are fewer, or one is not in the vocabulary or there twice.
    """
    sentinel_ids = np.asarray(getattr(tokenizer, "sentinel_ids", ()), dtype=np.int64)
    if len(sentinel_ids) < num_spans:
        raise ValueError(
            f"`tokenizer` must have a sentinel for each of {num_spans} spans. Received: "
            f"{describe_tokenizer(tokenizer, f'{len(sentinel_ids)} sentinel_ids')}. Train a "
            f"SentencePieceTokenizer with num_sentinels={num_spans}, or take shorter sequences."
        )
    is_known = (0 <= sentinel_ids) & (sentinel_ids < tokenizer.vocabulary_size)
    if not is_known.all() or len(np.unique(sentinel_ids)) < len(sentinel_ids):
        raise ValueError(
            "`tokenizer` must have sentinels that differ and are in its vocabulary. Received: "
            f"sentinel_ids from {sentinel_ids.min()} to {sentinel_ids.max()}, "
            f"{len(np.unique(sentinel_ids))} different ones of {len(sentinel_ids)}, "
            f"vocabulary_size={tokenizer.vocabulary_size}."
        )
    return sentinel_ids.astype(np.int32)
