"""BLEU and chrF, as sacrebleu computes them."""

import importlib
import itertools
import numbers

from lmzoo.metrics.texts import list_references

__all__ = ["bleu", "chrf"]


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
    if tokenize not in metrics.BLEU.TOKENIZERS:
        raise ValueError(
            f"`tokenize` must be one of {sorted(metrics.BLEU.TOKENIZERS)}. Received: "
            f"tokenize={tokenize!r}."
        )
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
