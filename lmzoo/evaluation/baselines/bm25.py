"""BM25: search by words, weighted by how rare they are."""

import collections
import math
import re

import numpy as np

__all__ = ["BM25", "find_words"]

# A character of a script that writes without spaces is a word of its own.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


class BM25:
    """Ranks texts by the words that they share with a query.

    A text scores, for each word of the query,

        idf (k1 + 1) f / (f + k1 (1 - b + b length / mean length))

    with f how often the text has it and idf = ln(1 + (N - n + 0.5) / (n + 0.5)), where n of the N
    texts have the word. The 1 in it, which Lucene has too and the paper has not, keeps the weight
    of frequent words above 0.

    Args:
        k1: float. How much a second occurrence adds.
        b: float from 0 to 1. How much long texts are held back.

    Example:
        >>> score = BM25().make_scorer(["a red cat", "a blue dog"])
        >>> score(["Where is the cat?"])[0].argmax()
        np.int64(0)

    Reference: Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and
        beyond", equation 3.15.
    """

    prediction_kind = "rankings"

    def __init__(self, k1=1.2, b=0.75):
        for name, number, most in (("k1", k1, math.inf), ("b", b, 1)):
            if not 0 <= number <= most:
                raise ValueError(f"`{name}` must be from 0 to {most}. Received: {name}={number!r}.")
        self.k1, self.b = k1, b

    @classmethod
    def build(cls, task, rows=None, seed=0, verbose=True):
        """A baseline for an embedder. It learns nothing beside the texts that it searches."""
        return cls()

    def make_scorer(self, candidates):
        """Indexes texts.

        Args:
            candidates: list of str. N texts.
        Returns:
            callable: list of Q str -> float64 (Q, N).
        """
        counts = [collections.Counter(find_words(text)) for text in candidates]
        lengths = np.array([row.total() for row in counts], "float64")
        # Texts without any word have no mean length, and no word to score.
        penalty = self.k1 * (1 - self.b + self.b * lengths / max(lengths.mean(), 1e-12))
        found = collections.defaultdict(list)
        for number, row in enumerate(counts):
            for word, count in row.items():
                found[word].append((number, count))
        index = {}
        for word, pairs in found.items():
            numbers, frequencies = np.array(pairs).T
            rarity = math.log(1 + (len(counts) - len(pairs) + 0.5) / (len(pairs) + 0.5))
            gains = (self.k1 + 1) * frequencies / (frequencies + penalty[numbers])
            index[word] = numbers, rarity * gains

        def score(queries):
            scores = np.zeros([len(queries), len(counts)])
            for row, query in zip(scores, queries, strict=True):
                for word in find_words(query):
                    if word in index:
                        numbers, gains = index[word]
                        row[numbers] += gains
            return scores

        return score


def find_words(text):
    """The words of a text in lower case; each character of Chinese, Japanese and Korean is one."""
    return _WORD.findall(text.lower())
