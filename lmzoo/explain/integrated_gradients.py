"""Which tokens made a model decide: integrated gradients over the embeddings of a text."""

import typing
import warnings

import numpy as np
import tensorflow as tf

from lmzoo.explain.explained_scores import SCORES
from lmzoo.explain.tokens import group_words, read
from lmzoo.layers.checks import check_size
from lmzoo.layers.contexts import replace_embeddings

__all__ = ["BASELINES", "Attribution", "Word", "attribution"]

BASELINES = ("auto", "mask", "pad", "zero")
# What fits in a processor's memory beside the model: tokens of one backward pass.
_TOKENS_AT_ONCE = 2048
# The share of the difference that the paper calls enough, section 5.
_LARGEST_GAP, _GOOD_GAP = 0.05, 0.01
_MOST_DOUBLINGS = 3


def attribution(task, text, label=None, steps=50, *, pair=None, word=None, baseline="auto"):
    """Attributes a decision to the tokens of a text, by integrated gradients.

    The embeddings of the text's tokens move in a straight line from a baseline to what they are,
    while special tokens stay. Each token gets the part of the change of the score that its
    embedding makes. The parts add up to the whole change, but for `gap`.

    Args:
        task: a `TextClassifier`, `TextRegressor`, `TokenClassifier` or `CausalLM` with a tokenizer.
        text: str.
        label: what is explained; None for what the model decides. Of a classifier or tagger the
            name or the id of a class, whose logit is the score. Of a regressor the index of a
            target, None for the first. Of a `CausalLM` the next token, as a str or an id, whose
            log-probability is the score.
        steps: int. At how many points of the line gradients are computed at first. While over 1 %
            of the change is missing they are doubled, three times at most: scores may jump where
            the embeddings are nearly those of the baseline, whose norm is then small.
        pair: str or None. The second text of a classifier or regressor of pairs.
        word: int or None, for a `TokenClassifier`. The index of the word whose tag is explained,
            among the words of the text; None for the first one that is not tagged "O".
        baseline: what embeddings begin as: "mask" or "pad", those of the token of that name, "zero"
            for zeros, or "auto" for the first of these that the tokenizer has.
    Returns:
        Attribution. A warning says if its `gap` is over 5 % of the change.
    Raises:
        TypeError: if `task` is no such task, or an argument of another type.
        ValueError: if the text is empty or too long, there is no such label, word or token, or no
            tokenizer, or a gradient is not finite.
    Reference: Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365. The integral is a
        Gauss-Legendre quadrature, not a sum of equal steps: it takes fewer of them.

    Example:
        found = lmzoo.explain.attribution(classifier, "not a good film", label="bad")
        [(word.text, word.value) for word in found.words]
    """
    check_size(steps=steps)
    if baseline not in BASELINES:
        raise ValueError(
            f"`baseline` must be one of {', '.join(BASELINES)}. Received: {baseline!r:.60}."
        )
    kind = getattr(task, "prediction_kind", None)
    if kind not in SCORES:
        raise TypeError(
            "`task` must be a TextClassifier, TextRegressor, TokenClassifier or CausalLM. "
            f"Received: a {type(task).__name__}. `attention` takes other tasks too."
        )
    reading = read(task, text, pair)
    groups = group_words(reading.tokens, reading.texts)
    if word is not None and kind not in ("tags", "spans"):
        raise ValueError(f"`word` must be None for a {type(task).__name__}. Received: word={word}.")
    name, compute_score = SCORES[kind](task, reading, groups, label, word)
    baseline, table = _find_baseline(task, baseline)
    layer = task.backbone.token_embedding
    end = layer(reading.inputs["token_ids"])
    is_special = [token.part == "special" for token in reading.tokens]
    start = tf.where(tf.constant(is_special)[None, :, None], end, tf.cast(table(layer), end.dtype))
    before, after = (
        float(_evaluate(compute_score, layer, reading.inputs, one).numpy()[0])
        for one in (start, end)
    )
    change = (end - start).numpy().astype(np.float64)
    for doubling in range(_MOST_DOUBLINGS + 1):
        used = steps * 2**doubling
        gradient = _integrate(compute_score, layer, reading.inputs, start, end, used)
        # (1, T, D) -> (T,)
        values = (change * gradient).sum(axis=-1)[0]
        words = _make_words(reading, groups, values)
        about = (reading.texts, reading.tokens, values, words, name, baseline, after, before)
        found = Attribution(*about, steps=used)
        if not found.exceeds(_GOOD_GAP):
            break
    _check(found, text)
    return found


class Word(typing.NamedTuple):
    """A word of a text and what it contributes.

    Attributes:
        text: str.
        start, end: int. Where it is in its text.
        part: "text" or "pair".
        value: float. The sum of the values of its tokens.
    """

    text: str
    start: int
    end: int
    part: str
    value: float


class Attribution:
    """What each token contributes to a score.

    Args: and attributes.
        texts: dict of part ("text" or "pair") to str.
        tokens: list of Token.
        values: float64 (T,). What each token contributes; 0 for special tokens.
        words: list of Word. The tokens of each word together, in the order of the text.
        label: str. What is explained: a label, a target or a token.
        baseline: "mask", "pad" or "zero".
        score, baseline_score: float. The score of the text and of the baseline.
        steps: int. At how many points gradients were computed.
    Attributes:
        gap: float. The sum of the values less `score - baseline_score`: the error of the integral,
            0 for one that is exact.
    """

    def __init__(self, texts, tokens, values, words, label, baseline, score, baseline_score, steps):
        self.texts = texts
        self.tokens = tokens
        self.values = values
        self.words = words
        self.label = label
        self.baseline = baseline
        self.score = score
        self.baseline_score = baseline_score
        self.steps = steps

    @property
    def gap(self):
        """float. See the class."""
        return float(self.values.sum()) - (self.score - self.baseline_score)

    def exceeds(self, share):
        """bool. Whether the gap is larger than this share of the change of the score."""
        # Beside it, what float32 rounds off scores that hardly change.
        return not abs(self.gap) <= share * abs(self.score - self.baseline_score) + 1e-3

    def top_words(self, count=10):
        """The words with the largest contributions, for or against: list of Word."""
        check_size(count=count)
        return sorted(self.words, key=lambda word: -abs(word.value))[:count]

    def to_dict(self):
        """The attribution as a dict that JSON holds."""
        return {
            "label": self.label,
            "score": self.score,
            "baseline": self.baseline,
            "baseline_score": self.baseline_score,
            "gap": self.gap,
            "steps": self.steps,
            "words": [word._asdict() for word in self.words],
            "tokens": [
                {**token._asdict(), "value": float(value)}
                for token, value in zip(self.tokens, self.values, strict=True)
            ],
        }


def _find_baseline(task, baseline):
    """The name of the baseline, and a function of the layer to its embeddings, broadcastable."""
    ids = {name: getattr(task.tokenizer, f"{name}_token_id", None) for name in ("mask", "pad")}
    if baseline == "auto":
        baseline = next((name for name in ids if ids[name] is not None), "zero")
    if baseline == "zero":
        return baseline, lambda layer: tf.zeros([1, 1, 1])
    if ids[baseline] is None:
        raise ValueError(
            f"`baseline` must be one that the tokenizer has. Received: {baseline!r}, where "
            f"{baseline}_token_id=None. 'zero' needs no token."
        )
    return baseline, lambda layer: layer(tf.constant([[ids[baseline]]]))


def _evaluate(compute_score, layer, inputs, embeddings):
    """Scores float (B,) of embeddings (B, T, D) in place of those of `inputs` (1, T)."""
    rows = embeddings.shape[0]
    inputs = {name: tf.repeat(value, rows, axis=0) for name, value in inputs.items()}
    with replace_embeddings(layer, embeddings):
        return compute_score(inputs)


def _integrate(compute_score, layer, inputs, start, end, steps):
    """The mean gradient over the line from start to end, float64 (1, T, D)."""
    points, shares = np.polynomial.legendre.leggauss(steps)
    points, shares = (points + 1) / 2, shares / 2
    size = max(1, _TOKENS_AT_ONCE // end.shape[1])
    # A sum in float32 at least, so that bfloat16 does not round the steps away.
    wide = tf.float64 if end.dtype == tf.float64 else tf.float32
    first, change = tf.cast(start, wide), tf.cast(end, wide) - tf.cast(start, wide)
    total = np.zeros(end.shape)
    for begin in range(0, steps, size):
        chosen = slice(begin, begin + size)
        places = tf.constant(points[chosen], wide)[:, None, None]
        embeddings = tf.cast(first + places * change, end.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(embeddings)
            scores = _evaluate(compute_score, layer, inputs, embeddings)
        gradients = tape.gradient(scores, embeddings).numpy().astype(np.float64)
        total += np.tensordot(shares[chosen], gradients, axes=1)[None]
    return total


def _make_words(reading, groups, values):
    words = []
    for group in groups:
        tokens = [reading.tokens[index] for index in group]
        start, end, part = tokens[0].start, max(token.end for token in tokens), tokens[0].part
        text = reading.texts.get(part, "")[start:end] if end > start >= 0 else tokens[0].text
        words.append(Word(text, start, end, part, float(values[group].sum())))
    return words


def _check(found, text):
    if not np.isfinite(found.values).all() or not np.isfinite(found.gap):
        raise ValueError(
            "Gradients must be finite. Received: NaN or infinity for the text "
            f"{text!r:.60}. The weights of the model have probably diverged in training."
        )
    if found.exceeds(_LARGEST_GAP):
        warnings.warn(
            f"The attributions add up to {found.values.sum():.4g} where the score changes by "
            f"{found.score - found.baseline_score:.4g}: more than {found.steps} points are "
            "needed. Give more `steps`.",
            stacklevel=3,
        )
