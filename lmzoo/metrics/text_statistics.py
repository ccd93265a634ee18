"""Statistics of generated texts: exact matches, diversity and length."""

import collections
import numbers

from lmzoo.metrics.texts import check_texts, check_tokens, list_references, split_text

__all__ = ["distinct_n", "length_ratio", "match_rate"]


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
    if not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"`n` must be an integer of at least 1. Received: n={n!r}.")
    ngrams = collections.Counter()
    for text in texts:
        words = split_text(text, tokens)
        ngrams.update(zip(*(words[start:] for start in range(n)), strict=False))
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
    check_tokens(tokens)
    references = list_references(predictions, references)
    num_found = num_wanted = 0
    for prediction, entry in zip(predictions, references, strict=True):
        length = len(split_text(prediction, tokens))
        lengths = [len(split_text(reference, tokens)) for reference in entry]
        num_found += length
        num_wanted += min(lengths, key=lambda other: (abs(other - length), other))
    return num_found / num_wanted if num_wanted else 0.0
