"""Statistics of generated texts: exact matches, diversity and length."""

import collections
import numbers

from lmzoo.metrics.texts import check_texts, check_tokens, list_references, split_text

__all__ = [
    "count_lengths",
    "distinct_n",
    "length_ratio",
    "match_rate",
    "repetition_rate",
    "repetition_rates",
]


def match_rate(predictions, references):
    """The share of texts that equal a reference, apart from spaces at both ends.

    Case and punctuation count. For answers to questions, `squad_scores` ignores them.

    Args:
        predictions: list of str.
        references: list of str, or of lists of str, one for each prediction.
    Returns:
        float, 0 to 1; 0 of no texts at all.
    Raises:
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, or a prediction has no reference.
    Example:
        >>> match_rate(["21 ", "twenty"], ["21", ["20", "Twenty"]])
        0.5
    """
    references = list_references(predictions, references)
    matches = [
        prediction.strip() in {reference.strip() for reference in entry}
        for prediction, entry in zip(predictions, references, strict=True)
    ]
    return sum(matches) / max(len(matches), 1)


def distinct_n(texts, n, tokens="words"):
    """Diversity of texts, "distinct-n": the number of different n-grams divided by that of all.

    No n-gram crosses from one text into the next. The number falls as texts grow, so compare only
    texts of about the same size.

    Args:
        texts: list of str.
        n: int. Tokens in an n-gram, at least 1.
        tokens: "words" (what spaces separate) or "characters" (all but spaces).
    Returns:
        float, 0 to 1; 0 where there is no n-gram.
    Raises:
        TypeError: if `texts` is not a list of str.
        ValueError: if `n` is not positive or `tokens` is unknown.
    Example:
        >>> distinct_n(["a b a b", "a c"], 2)
        0.75

    Reference: Li et al. 2016, https://arxiv.org/abs/1510.03055, section 5.
    """
    check_texts(texts, "texts")
    check_tokens(tokens)
    _check_n(n)
    ngrams = collections.Counter()
    for text in texts:
        ngrams.update(_list_ngrams(split_text(text, tokens), n))
    return len(ngrams) / max(ngrams.total(), 1)


def length_ratio(predictions, references, tokens="words"):
    """Length ratio: the tokens of all texts, divided by those of all references.

    Args:
        predictions: list of str.
        references: list of str, or of lists of str, one for each prediction. Of several, the one
            closest in length counts; of two equally close, the shorter.
        tokens: "words" (what spaces separate) or "characters" (all but spaces).
    Returns:
        float; 0 where the references have no tokens.
    Raises:
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, a prediction has no reference, or `tokens` is
            unknown.
    Example:
        >>> length_ratio(["a b c"], [["a b c d", "x"]])
        0.75
    """
    found, wanted = count_lengths(predictions, references, tokens)
    return sum(found) / sum(wanted) if sum(wanted) else 0.0


def count_lengths(predictions, references, tokens="words"):
    """The tokens of each text and of the reference that counts for it, as `length_ratio` has them.

    Returns:
        (list of int, list of int).
    """
    check_tokens(tokens)
    references = list_references(predictions, references)
    found, wanted = [], []
    for prediction, entry in zip(predictions, references, strict=True):
        length = len(split_text(prediction, tokens))
        lengths = [len(split_text(reference, tokens)) for reference in entry]
        found.append(length)
        wanted.append(min(lengths, key=lambda other, own=length: (abs(other - own), other)))
    return found, wanted


def repetition_rate(texts, n=4, tokens="words"):
    """Repetition rate of texts: the share of a text's n-grams that stood earlier in it.

    Args:
        texts: list of str.
        n: int. Tokens in an n-gram, at least 1.
        tokens: "words" (what spaces separate) or "characters" (all but spaces).
    Returns:
        float, 0 to 1: the mean over the texts, where a text without n-grams has 0.
    Raises:
        TypeError: if `texts` is not a list of str.
        ValueError: if `n` is not positive or `tokens` is unknown.
    Example:
        >>> repetition_rate(["a b a b a b", "a b c"], n=2)
        0.3

    Reference: seq-rep-n of Welleck et al. 2019, https://arxiv.org/abs/1908.04319, section 6.
    """
    rates = repetition_rates(texts, n, tokens)
    return sum(rates) / max(len(rates), 1)


def repetition_rates(texts, n=4, tokens="words"):
    """The repetition rate of each text, list of float; see `repetition_rate`."""
    check_texts(texts, "texts")
    check_tokens(tokens)
    _check_n(n)
    rates = []
    for text in texts:
        ngrams = _list_ngrams(split_text(text, tokens), n)
        rates.append(1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0)
    return rates


def _list_ngrams(words, n):
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _check_n(n):
    if not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"`n` must be an integer of at least 1. Received: n={n!r}.")
