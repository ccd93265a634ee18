"""Span corruption, the objective of T5: text to batches in which spans are corrupted."""

import functools

import numpy as np

from lmzoo.data.checks import check_sizes
from lmzoo.data.objectives.datasets import DatasetOptions, build_datasets
from lmzoo.data.objectives.noise_spans import NoiseSpans, compute_span_lengths, make_noise_mask
from lmzoo.data.objectives.seq2seq_examples import (
    PairSizes,
    Seq2SeqExamples,
    check_tokens,
    describe_tokenizer,
)
from lmzoo.keywords import takes_options

__all__ = ["SpanCorruptionExamples", "span_corruption"]


@takes_options(DatasetOptions)
def span_corruption(
    files,
    tokenizer,
    sequence_length=512,
    batch_size=8,
    *,
    noise_density=0.15,
    mean_span_length=3.0,
    start_token_id=None,
    options,
):
    """Makes batches for T5's pretraining objective (span corruption) from text files.

    The corpus is tokenized once, into a cache on the disk that later runs open (`causal_lm` uses
    the same). Documents are concatenated without EOS. Example i is the i-th window of as many
    tokens as fill input and target once spans of it are corrupted: 568 tokens for an input of 512
    and a target of 114. In the input a sentinel replaces each span; the target has each sentinel
    followed by the tokens of its span. Both end with the end token. No position is padding. Only
    the rest of the corpus that does not fill an example is dropped.

    Each epoch corrupts other spans. A batch depends on `seed`, its epoch and its step alone. As
    with `causal_lm`, one iteration is one epoch, and an iteration that is not read to its end does
    not count.

    Args:
        files, batch_size, shuffle, field, document_separator, clean, initial_epoch, initial_step,
            cache_dir, verbose, limits: as for `causal_lm`.
        tokenizer: tokenizer with padding and end tokens and `sentinel_ids`, those of <extra_id_0>,
            <extra_id_1> and so on, at least as many as an example has spans.
        sequence_length: int. T, the positions of an input, at least 3. An example with one span
            (with the defaults: below 29 positions) always ends with it, as in the original code.
        noise_density: float in (0, 1). The share of a window's tokens that is corrupted.
        mean_span_length: float. The mean length of a span in tokens, at least 1.
        seed: int. Seed of the shuffle, of the spans and of the choice of held-out documents.
        validation_split: float or None. As for `causal_lm`. The held-out part is not shuffled, and
            its spans are the same each time.
        start_token_id: int or None. The first decoder token, as the `start_token_id` of the
            `Seq2SeqLM` that is trained; None for the padding token, as there.
    Returns:
        tf.data.Dataset of `(inputs, labels, weights)` as `Seq2SeqLM` takes them, or a pair
        (training, validation) of them. Inputs are a dict of `encoder_token_ids` int32 (B, T),
        `encoder_padding_mask` bool (B, T), `decoder_token_ids` int32 (B, S), the labels shifted
        right by the start token, and `decoder_padding_mask` bool (B, S). Labels are int32
        (B, S), weights float32 (B, S). S is 114 for T = 512 with the defaults.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError, RuntimeError: as `causal_lm`.
            ValueError also if the tokenizer lacks one of the tokens or has too few sentinels, or
            if the start token is not in its vocabulary.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, sections 3.1.4 and 3.3.4.

    Example:
    >>> data = lmzoo.data.span_corruption("a.txt", tokenizer, sequence_length=32, batch_size=2)
    >>> inputs, labels, weights = next(iter(data))
    >>> inputs["encoder_token_ids"].shape, labels.shape
    (TensorShape([2, 32]), TensorShape([2, 8]))
    """
    sizes = check_sizes(sequence_length, batch_size)
    noise = {"noise_density": noise_density, "mean_span_length": mean_span_length}
    length, _ = compute_span_lengths(sequence_length, **noise)
    find_sentinels(tokenizer, NoiseSpans.of(length, **noise).num_spans)
    check_tokens(tokenizer, start_token_id)
    make_examples = functools.partial(
        SpanCorruptionExamples, tokenizer=tokenizer, start_token_id=start_token_id, **noise, **sizes
    )
    return build_datasets(make_examples, files, tokenizer, options)


class SpanCorruptionExamples(Seq2SeqExamples):
    """Windows of a token stream with corrupted spans; see `span_corruption`.

    Args:
        stream: TokenStream.
        tokenizer: tokenizer with padding and end tokens and `sentinel_ids`.
        sequence_length: int. T, at least 3.
        batch_size: int. B.
        noise_density: float in (0, 1).
        mean_span_length: float. At least 1.
        **options: `seed`, `shuffle`, `drop_remainder`, `fixed_noise` and `start_token_id`, as for
            `Seq2SeqExamples`.
    Raises:
        TypeError, ValueError: as `Seq2SeqExamples`. ValueError also if a number is out of its range
            or the tokenizer has too few sentinels.
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
        sizes = PairSizes(length, targets_length, num_draws=length - 2)
        super().__init__(stream, tokenizer, sequence_length, batch_size, sizes, **options)
        self.noise_density = noise_density
        self.mean_span_length = mean_span_length
        spans = NoiseSpans.of(length, noise_density, mean_span_length)
        self._sentinel_ids = find_sentinels(tokenizer, spans.num_spans)

    def make_pairs(self, windows, noise):
        is_noise = make_noise_mask(
            self.window_size, self.noise_density, self.mean_span_length, noise
        )
        source = self._replace_runs(windows, is_noise)
        # A window begins with kept tokens, so each sentinel precedes the tokens of its span.
        target = self._replace_runs(windows, ~is_noise)
        return source, np.ones_like(source, bool), target, np.ones_like(target, bool)

    def _replace_runs(self, windows, mask):
        """Replaces each run of True in the mask by a sentinel: (B, W) -> (B, shorter)."""
        before = np.pad(mask, [[0, 0], [1, 0]])[:, :-1]
        starts = mask & ~before
        sentinels = self._sentinel_ids[np.maximum(np.cumsum(starts, axis=1) - 1, 0)]
        # All rows have the same number of runs and of tokens in them, so the result is rectangular.
        return np.where(starts, sentinels, windows)[~mask | starts].reshape(len(windows), -1)


def find_sentinels(tokenizer, num_spans):
    """Returns a tokenizer's sentinel ids, int32 (n,), n at least `num_spans`.

    Raises:
        ValueError: if there are fewer, or one is not in the vocabulary or appears twice.
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
