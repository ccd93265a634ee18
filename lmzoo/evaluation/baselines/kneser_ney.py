"""An n-gram language model with interpolated Kneser-Ney smoothing."""

import numpy as np
import tensorflow as tf

from lmzoo.data.progress import progress_bar
from lmzoo.data.rows.texts import list_texts
from lmzoo.layers.checks import check_size

__all__ = ["KneserNeyLM"]

# The discount where no n-gram of an order was seen once, or none twice, and none can be estimated.
_USUAL_DISCOUNT = 0.5


class KneserNeyLM:
    """Interpolated Kneser-Ney: counts of n-grams, discounted and mixed with those of shorter ones.

    The probability of a token after a context of k tokens is

        (c - D) / C + (D N / C) p(token after the last k - 1 tokens)

    with c the count of the context with the token, C the sum of these counts, N how many different
    tokens were seen after it, and D a discount for each order. In all orders but the highest, the
    count of an n-gram is how many different tokens were seen before it; one that begins a document
    has its plain count, as nothing can stand before it. Below the unigrams all tokens are equally
    probable, so that none has a probability of 0. An unseen context gives the probability of the
    next shorter one.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        order: int. The tokens of the longest n-grams, n.
        max_sequence_length: int or None. Where documents are cut into windows when they are scored,
            so that they can be compared with those of another model; None for nowhere. Windows
            change a score only if they are shorter than `order`.
    Raises:
        TypeError, ValueError: if a number is not an int of at least 1.

    Example:
        baseline = KneserNeyLM(lm.tokenizer).fit(texts)
        print(lmzoo.evaluate(baseline, {"text": held_out_texts}))

    Reference: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; Chen and
        Goodman 1999, "An empirical study of smoothing techniques for language modeling", section
        3, for the interpolated form and D = n1 / (n1 + 2 n2).
    """

    prediction_kind = "likelihoods"

    def __init__(self, tokenizer, order=5, max_sequence_length=None):
        check_size(order=order, max_sequence_length=max_sequence_length)
        self.tokenizer = tokenizer
        self.order = order
        self.max_sequence_length = max_sequence_length
        self._levels = None

    @classmethod
    def build(cls, task, rows, seed=0, verbose=True):
        """A baseline for a language model, fitted on rows with a column `text`."""
        baseline = cls(task.tokenizer, max_sequence_length=task.max_sequence_length)
        return baseline.fit([row["text"] for row in rows], verbose)

    def fit(self, texts, verbose=True):
        """Counts the n-grams of texts, each a document.

        Args:
            texts: list of str.
            verbose: bool. Whether a terminal shows progress.
        Returns:
            KneserNeyLM, itself.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if there is no token.
        """
        start, parts, offsets = self.tokenizer.start_token_id, [], []
        texts = list_texts(texts)
        with progress_bar("Counting n-grams", len(texts), verbose) as advance:
            for text in texts:
                ids = self.tokenizer.tokenize(tf.constant([text])).numpy()[0]
                parts.append(np.concatenate([[start], np.asarray(ids, "int64")]))
                offsets.append(np.arange(len(parts[-1])))
                advance(1)
        if sum(map(len, parts)) == len(parts):
            raise ValueError("`texts` must hold a token. Received: none.")
        self._levels = self._count(np.concatenate(parts), np.concatenate(offsets))
        return self

    def _count(self, ids, offsets):
        """A `_Level` for each length of context, from 0 on."""
        contexts, levels = _Contexts(), []
        # Each position behind a start is one of an n-gram's last token.
        ends = np.flatnonzero(offsets > 0)
        numbers = np.zeros(len(ends), "int64")
        grams = []
        for length in range(self.order):
            if length:
                is_there = offsets[ends] >= length
                ends, numbers = ends[is_there], numbers[is_there]
                if not len(ends):
                    break
                numbers = contexts.extend(ids[ends - length], numbers)
            # Where a document begins, nothing can stand before the n-gram.
            grams.append((numbers * self._size + ids[ends], offsets[ends] == length))
        for length, (keys, is_first) in enumerate(grams):
            if length + 1 == len(grams):
                found, counts = np.unique(keys, return_counts=True)
            else:
                # One for each longer n-gram that ends in it, and the plain count at a start.
                longer = np.unique(grams[length + 1][0])
                shorter = self._shorten(longer, contexts.parents[length])
                found, counts = np.unique(
                    np.concatenate([shorter, keys[is_first]]), return_counts=True
                )
            levels.append(_Level(found, counts, contexts.sizes[length], self._size))
        self._contexts = contexts
        return levels

    def _shorten(self, keys, parents):
        """Keys of n-grams without their first token."""
        return parents[keys // self._size] * self._size + keys % self._size

    @property
    def _size(self):
        return self.tokenizer.vocabulary_size

    def score_windows(self, windows):
        """Scores the tokens of windows; see `lmzoo.evaluation.scoring.list_windows`.

        Args:
            windows: list of (list of int, list of int): what stands before, and what is scored.
        Returns:
            list of float64 arrays, the log-probabilities of the scored tokens.
        Raises:
            ValueError: if it was not fitted.
        """
        if self._levels is None:
            raise ValueError("`fit` must come before a text is scored. Received: no n-grams.")
        whole = [np.concatenate(pair).astype("int64") for pair in windows]
        ids = np.concatenate(whole)
        begins = np.cumsum([0, *map(len, whole)])
        ends = np.concatenate(
            [
                np.arange(begin + len(before), begin + len(before) + len(scored))
                for begin, (before, scored) in zip(begins, windows, strict=False)
            ]
        )
        offsets = np.concatenate([np.arange(len(row)) for row in whole])[ends]
        log_probs = np.log(self._compute(ids, ends, offsets))
        return np.split(log_probs, np.cumsum([len(scored) for _, scored in windows])[:-1])

    def _compute(self, ids, ends, offsets):
        """The probability of the token at each end, float64 (n,)."""
        probabilities = np.full(len(ends), 1 / self._size)
        numbers = np.zeros(len(ends), "int64")
        open_ends = np.arange(len(ends))
        for length, level in enumerate(self._levels):
            if length:
                open_ends = open_ends[offsets[open_ends] >= length]
                before = ids[ends[open_ends] - length]
                found = self._contexts.find(length, before, numbers[open_ends])
                numbers[open_ends] = found
                # What was not seen is not seen with more before it.
                open_ends = open_ends[found >= 0]
            contexts = numbers[open_ends]
            probabilities[open_ends] = level.interpolate(
                contexts, ids[ends[open_ends]], probabilities[open_ends]
            )
        return probabilities

    def predict(self, context):
        """The distribution of the next token.

        Args:
            context: list of int, beginning with the tokenizer's start token at a document's start.
        Returns:
            float64 (V,), which sums to 1.
        """
        windows = [(list(context), [token]) for token in range(self._size)]
        return np.exp(np.concatenate(self.score_windows(windows)))


class _Contexts:
    """Numbers for contexts of each length, by the first token and the number of the rest.

    Attributes:
        sizes: list of int. How many contexts of each length there are.
        parents: list of int arrays. For each context of length k + 1 the number of its last k
            tokens.
    """

    def __init__(self):
        self.sizes, self.parents, self._keys = [1], [], [None]

    def extend(self, tokens, numbers):
        """Numbers of contexts that are one token longer, int (n,)."""
        size = self.sizes[-1]
        keys, found = np.unique(tokens * size + numbers, return_inverse=True)
        self._keys.append(keys)
        self.parents.append(keys % size)
        self.sizes.append(len(keys))
        return found

    def find(self, length, tokens, numbers):
        """As `extend`, of contexts that may be unknown, which have -1."""
        keys, wanted = self._keys[length], tokens * self.sizes[length - 1] + numbers
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[places] == wanted, places, -1)


class _Level:
    """The n-grams of one order.

    Args:
        keys: int64 (G,), sorted: number of the context times V, plus the token.
        counts: int (G,), at least 1.
        num_contexts: int.
        size: int. V.
    """

    def __init__(self, keys, counts, num_contexts, size):
        self._keys, self._counts, self._size = keys, counts.astype("float64"), size
        once, twice = np.sum(counts == 1), np.sum(counts == 2)
        self.discount = once / (once + 2 * twice) if once and twice else _USUAL_DISCOUNT
        contexts = keys // size
        self._totals = np.bincount(contexts, self._counts, num_contexts)
        self._num_kinds = np.bincount(contexts, minlength=num_contexts)

    def interpolate(self, contexts, tokens, lower):
        """Probabilities of tokens after contexts, from those after shorter ones, float64 (n,)."""
        wanted = contexts * self._size + tokens
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        counts = np.where(self._keys[places] == wanted, self._counts[places], 0.0)
        totals = self._totals[contexts]
        kept = np.maximum(counts - self.discount, 0.0)
        return (kept + self.discount * self._num_kinds[contexts] * lower) / totals
