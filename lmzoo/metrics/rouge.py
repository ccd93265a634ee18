"""ROUGE of summaries, as the package rouge-score computes it."""

import collections
import re

from lmzoo.metrics.porter import stem
from lmzoo.metrics.texts import check_tokens, list_references

__all__ = ["rouge"]

# As in rouge-score, a word is a run of ASCII letters and digits, and all else is a space.
WORD = re.compile(r"[a-z0-9]+")
# Each other letter or digit is a token of its own.
WORD_OR_CHARACTER = re.compile(r"[a-z0-9]+|[^\W_]")
# rouge-score stems only what is longer.
LONGEST_UNSTEMMED = 3


def rouge(predictions, references, use_stemmer=False, tokens="words"):
    """ROUGE-1, ROUGE-2 and ROUGE-L of summaries.

    The numbers are those of the package rouge-score. Texts are lowercased. A word is a run of ASCII
    letters and digits; all other characters separate words. So a text in Chinese has no words, and
    "naïve" has two. For such languages pass `tokens="characters"`.

    Args:
        predictions: list of str.
        references: list of str, or of lists of str, one for each prediction. Of several, the one
            with the best f1 counts, separately for each of the three scores.
        use_stemmer: bool. If True, English words of more than three letters are stemmed (Porter's
            algorithm, as NLTK has it).
        tokens: "words", or "characters" to take each letter and digit beyond ASCII as a word.
    Returns:
        dict with `rouge1` (unigrams), `rouge2` (bigrams) and `rougeL` (longest common
        subsequence). Each is a dict of `precision` (the share of the prediction), `recall` (that of
        the reference) and `f1`, 0 to 1, means over the texts; and `texts`, a list of such dicts of
        three, one for each text. Of no texts at all, the means are 0.
    Raises:
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, a prediction has no reference, or `tokens` is
            unknown.
    Example:
        >>> scores = rouge(["the cat sat"], ["The cat sat on the mat."])
        >>> scores["rouge1"]["precision"], scores["rouge1"]["recall"]
        (1.0, 0.5)

    Reference: Lin 2004, https://aclanthology.org/W04-1013; for the rules of words, the package
        rouge-score.
    """
    check_tokens(tokens)
    references = list_references(predictions, references)
    texts = {"rouge1": [], "rouge2": [], "rougeL": []}
    for prediction, entry in zip(predictions, references, strict=True):
        found = find_tokens(prediction, use_stemmer, tokens)
        wanted = [find_tokens(reference, use_stemmer, tokens) for reference in entry]
        for name, score in SCORES.items():
            texts[name].append(max((score(found, gold) for gold in wanted), key=by_f1))
    return {name: {**average(scores), "texts": scores} for name, scores in texts.items()}


def find_tokens(text, use_stemmer, tokens):
    """The tokens of a text, list of str, as `rouge` counts them."""
    words = (WORD if tokens == "words" else WORD_OR_CHARACTER).findall(text.lower())
    if use_stemmer:
        words = [stem(word) if len(word) > LONGEST_UNSTEMMED else word for word in words]
    return words


def score_ngrams(found, wanted, size):
    """ROUGE-N: the scores of the n-grams of `size` tokens that two lists share."""
    counts = [
        collections.Counter(zip(*(words[start:] for start in range(size)), strict=False))
        for words in (found, wanted)
    ]
    return make_score((counts[0] & counts[1]).total(), counts[0].total(), counts[1].total())


def score_longest(found, wanted):
    """ROUGE-L: the scores of the longest common subsequence of two lists."""
    return make_score(find_longest(found, wanted), len(found), len(wanted))


def find_longest(one, other):
    """The length of the longest common subsequence.

    A bit stands for each token of `one`; it is 0 where the sequence grows by that token. One
    addition carries a whole row of the usual table.

    Reference: Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    places = collections.defaultdict(int)
    for place, token in enumerate(one):
        places[token] |= 1 << place
    every = (1 << len(one)) - 1
    row = every
    for token in other:
        same = row & places[token]
        row = (row + same | row - same) & every
    return len(one) - row.bit_count()


def make_score(num_common, num_found, num_wanted):
    precision = num_common / num_found if num_found else 0.0
    recall = num_common / num_wanted if num_wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if num_common else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def average(scores):
    """The means of a list of scores, 0 if it is empty."""
    names = ("precision", "recall", "f1")
    return {name: sum(score[name] for score in scores) / max(len(scores), 1) for name in names}


def by_f1(score):
    return score["f1"]


SCORES = {
    "rouge1": lambda found, wanted: score_ngrams(found, wanted, 1),
    "rouge2": lambda found, wanted: score_ngrams(found, wanted, 2),
    "rougeL": score_longest,
}
