"""BLEU and chrF, as sacrebleu computes them."""

import collections
import importlib
import itertools
import numbers

from lmzoo.metrics.texts import check_texts, list_references

__all__ = ["bleu", "chrf", "self_bleu", "summarize_bleu", "summarize_chrf"]

_MAX_ORDER = 4


def bleu(predictions, references, tokenize="13a", lowercase=False):
    """BLEU of translations: n-grams of one to four words shared with the references.

    It is computed by sacrebleu: `pip install lmzoo[metrics]`.

    Args:
        predictions: list of str, as a reader would get them: not tokenized.
        references: list of str, or of lists of str, one for each prediction.
        tokenize: str. How sacrebleu finds words: "13a" (that of mteval, for most languages), "zh"
            (Chinese, by characters), "char", "intl" or "none"; sacrebleu knows more.
        lowercase: bool. If True, case does not count.
    Returns:
        dict of float `bleu` (0 to 100, of all texts together), `precisions` (list of four, 0 to
        100), float `brevity_penalty` (0 to 1) and str `signature`, which a report should name. Of
        no texts at all, 0 and an empty signature.
    Raises:
        ImportError: if sacrebleu is not installed.
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, a prediction has no reference, or `tokenize` is
            unknown.
    Example:
        scores = lmzoo.metrics.bleu(["The cat sat on the mat."], ["The cat sat on the mat."])
        scores["bleu"]      # 100.0, up to rounding

    Reference: Papineni et al. 2002, https://aclanthology.org/P02-1040; Post 2018,
        https://aclanthology.org/W18-6319.
    """
    metrics = import_sacrebleu()
    _check_tokenize(metrics, tokenize)
    references = list_references(predictions, references)
    if not predictions:
        return {"bleu": 0.0, "precisions": [0.0] * 4, "brevity_penalty": 0.0, "signature": ""}
    metric = metrics.BLEU(tokenize=tokenize, lowercase=lowercase)
    score = metric.corpus_score(list(predictions), make_streams(references))
    return {
        "bleu": score.score,
        "precisions": list(score.precisions),
        "brevity_penalty": score.bp,
        "signature": str(metric.get_signature()),
    }


def chrf(predictions, references, word_order=0, lowercase=False):
    """chrF of translations: n-grams of one to six characters shared with the references.

    It is computed by sacrebleu: `pip install lmzoo[metrics]`. It needs no words, so it suits
    languages that do not separate them.

    Args:
        predictions: list of str.
        references: list of str, or of lists of str, one for each prediction. The best counts.
        word_order: int. 2 makes it chrF++, which counts words and pairs of them too.
        lowercase: bool. If True, case does not count.
    Returns:
        dict of float `chrf` (0 to 100, of all texts together) and str `signature`. Of no texts at
        all, 0 and an empty signature.
    Raises:
        ImportError: if sacrebleu is not installed.
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, a prediction has no reference, or `word_order`
            is no integer from 0 on.
    Example:
        scores = lmzoo.metrics.chrf(["我喜欢编程"], ["我很喜欢编程"])

    Reference: Popović 2015, https://aclanthology.org/W15-3049.
    """
    metrics = import_sacrebleu()
    if not isinstance(word_order, numbers.Integral) or word_order < 0:
        raise ValueError(
            f"`word_order` must be an integer of at least 0. Received: word_order={word_order!r}."
        )
    references = list_references(predictions, references)
    if not predictions:
        return {"chrf": 0.0, "signature": ""}
    metric = metrics.CHRF(word_order=word_order, lowercase=lowercase)
    score = metric.corpus_score(list(predictions), make_streams(references))
    return {"chrf": score.score, "signature": str(metric.get_signature())}


def summarize_bleu(predictions, references, tokenize="13a"):
    """What BLEU counts in each text, and the score of any sum of it, for resampling.

    Args:
        predictions, references, tokenize: as for `bleu`.
    Returns:
        (list of lists of int, callable): one list for each text, all of one length S; and numbers
        (S,) -> float, which gives the corpus's BLEU for the sum of all lists.
    Raises:
        ImportError, TypeError, ValueError: as `bleu`.
    """
    metrics = import_sacrebleu()
    _check_tokenize(metrics, tokenize)
    # It warns of what looks tokenized; whoever asks for a score warns once.
    return _summarize(metrics.BLEU(tokenize=tokenize, force=True), predictions, references)


def summarize_chrf(predictions, references, word_order=0):
    """As `summarize_bleu`, of chrF."""
    metrics = import_sacrebleu()
    return _summarize(metrics.CHRF(word_order=word_order), predictions, references)


def _summarize(metric, predictions, references):
    streams = make_streams(list_references(predictions, references))
    # Read in sacrebleu 2.6: its own tests of significance resample by these two.
    statistics = metric._extract_corpus_statistics(list(predictions), streams)
    # BLEU changes the list that it is given.
    return statistics, lambda sums: float(metric._compute_score_from_stats(list(sums)).score)


def self_bleu(texts, tokenize="13a"):
    """Self-BLEU, which is high where texts are alike: BLEU of each text against all the others.

    Each text's score is sacrebleu's BLEU of one sentence, with the other texts as references. All
    of them together take time in proportion to the texts, not to their square.

    Args:
        texts: list of str.
        tokenize: as for `bleu`.
    Returns:
        dict of float `self_bleu` (0 to 100, the mean over the texts; 0 of less than two) and
        `texts`, list of float.
    Raises:
        ImportError: if sacrebleu is not installed.
        TypeError: if `texts` is not a list of str.
        ValueError: if `tokenize` is unknown.
    Example:
        lmzoo.metrics.self_bleu(["the cat sat", "the cat sat"])["self_bleu"]  # 100.0

    Reference: Zhu et al. 2018, https://arxiv.org/abs/1802.01886. Its code smooths otherwise.
    """
    metrics = import_sacrebleu()
    _check_tokenize(metrics, tokenize)
    check_texts(texts, "texts")
    if len(texts) < 2:
        return {"self_bleu": 0.0, "texts": [0.0] * len(texts)}
    tokenizer = metrics.BLEU(tokenize=tokenize).tokenizer
    words = [tokenizer(text.rstrip()).split() for text in texts]
    counts = [_count_ngrams(row) for row in words]
    most = _find_most(counts)
    lengths = collections.Counter(len(row) for row in words)
    scores = []
    for index, (row, own) in enumerate(zip(words, counts, strict=True)):
        length = len(row)
        others = [other for other, count in lengths.items() if count > (other == length)]
        closest = min(others, key=lambda other, own=length: (abs(other - own), other))
        correct, total = [0] * _MAX_ORDER, [0] * _MAX_ORDER
        for ngram, count in own.items():
            first, holder, second = most[ngram]
            total[len(ngram) - 1] += count
            correct[len(ngram) - 1] += min(count, second if holder == index else first)
        score = metrics.BLEU.compute_bleu(
            correct, total, length, closest, smooth_method="exp", effective_order=True
        )
        scores.append(float(score.score))
    return {"self_bleu": sum(scores) / len(scores), "texts": scores}


def _count_ngrams(words):
    """How often each n-gram of one to four words is in a text."""
    return collections.Counter(
        tuple(words[start : start + n])
        for n in range(1, _MAX_ORDER + 1)
        for start in range(len(words) - n + 1)
    )


def _find_most(counts):
    """For each n-gram the highest count, the text that has it, and the highest of the others."""
    most = {}
    for index, row in enumerate(counts):
        for ngram, count in row.items():
            first, holder, second = most.get(ngram, (0, -1, 0))
            if count > first:
                most[ngram] = (count, index, first)
            else:
                most[ngram] = (first, holder, max(second, count))
    return most


def _check_tokenize(metrics, tokenize):
    if tokenize not in metrics.BLEU.TOKENIZERS:
        raise ValueError(
            f"`tokenize` must be one of {sorted(metrics.BLEU.TOKENIZERS)}. Received: "
            f"tokenize={tokenize!r}."
        )


def make_streams(references):
    """Lists of references, one for each text -> the first ones, the second ones and so on.

    sacrebleu takes them so, with None where a text has no more.
    """
    return [list(stream) for stream in itertools.zip_longest(*references)]


def import_sacrebleu():
    """Returns `sacrebleu.metrics`, which is loaded only when it is needed.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        return importlib.import_module("sacrebleu.metrics")
    except ImportError as error:
        raise ImportError(
            "BLEU and chrF must have sacrebleu to compute them. Received: no module "
            f"{error.name!r}. Run `pip install lmzoo[metrics]`."
        ) from error
