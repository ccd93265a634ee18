"""Where a model looks: the attention weights of every layer and head over the tokens of a text."""

import base64
import numbers
import typing

import numpy as np

from lmzoo.explain.tokens import read
from lmzoo.layers.checks import check_size
from lmzoo.layers.contexts import record_attention

__all__ = ["Attention", "Pair", "attention", "collect_weights"]

# The stacks of each kind of backbone, in the order of `list_block_stacks`.
_STACKS = {"encoder": ("encoder",), "decoder": ("decoder",)}
_STACKS["encoder_decoder"] = ("encoder", "decoder")


def attention(task, text, pair=None, target=None, max_new_tokens=32, max_tokens=None):
    """Computes the attention weights of a model over a text.

    Args:
        task: a task of `lmzoo.tasks` with a tokenizer, quantized or not.
        text: str. For a `CausalLM` the prompt, for a `Seq2SeqLM` the source, for a
            `QuestionAnswerer` the question.
        pair: str or None. The second text of a classifier or regressor of pairs, or the context of
            a question.
        target: str or None. The continuation of a prompt, with which it is read as one text; or
            the target of a `Seq2SeqLM`, None for the one that it generates.
        max_new_tokens: int. The longest target that a `Seq2SeqLM` generates.
        max_tokens: int or None. The most tokens of a text, as the weights grow with their square;
            None for what the model reads at once.
    Returns:
        Attention.
    Raises:
        TypeError: if `task` is no task of `lmzoo.tasks`, or a text not a str.
        ValueError: if a text is empty, longer than the model reads at once, or one that the task
            does not read; if there is no tokenizer, the model has no attention layers, or a weight
            is not finite.
    Reference: Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473, section 5.2.2, who showed
        weights so. That a weight is large does not say that the output depends on it: Jain and
        Wallace 2019, https://arxiv.org/abs/1902.10186. See `attribution` for that.

    Example:
        found = lmzoo.explain.attention(classifier, "not a good film")
        found.weights["encoder"].shape  # (layers, heads, T, T)
        found.top_pairs(3)
    """
    reading = read(task, text, pair, target, max_new_tokens, max_tokens)
    weights = {name: value[:, 0] for name, value in collect_weights(task, reading.inputs).items()}
    for value in weights.values():
        if not np.isfinite(value).all():
            raise ValueError(
                "Attention weights must be finite. Received: NaN or infinity for the text "
                f"{text!r:.60}. The weights of the model have probably diverged in training."
            )
    return Attention(reading.tokens, reading.target_tokens, weights)


def collect_weights(task, inputs):
    """The attention weights of a token batch.

    Args:
        task: a task of `lmzoo.tasks`.
        inputs: dict of tensors, as the backbone takes them.
    Returns:
        dict of float32 arrays (layers, B, N, T, S): "encoder", "decoder" and "cross", as far as
        the backbone has them and computes them for this task. Keys that are masked have 0.
    Raises:
        ValueError: if the backbone has no attention layers of `lmzoo.layers`.
    """
    backbone = task.backbone
    with record_attention() as records:
        if task.is_generative:
            backbone(inputs, training=False)
        else:
            backbone.compute_hidden(inputs, training=False)
    stacks = getattr(backbone, "list_block_stacks", list)()
    layers = {}
    for kind, blocks in zip(_STACKS.get(backbone.kind, ()), stacks, strict=False):
        layers[kind] = [getattr(block, "self_attention", None) for block in blocks]
        if kind == "decoder" and "encoder" in layers:
            layers["cross"] = [block.cross_attention for block in blocks]
    found = {
        kind: np.stack([np.asarray(records[id(layer)], np.float32) for layer in some])
        for kind, some in layers.items()
        if some and all(id(layer) in records for layer in some)
    }
    if not found:
        raise ValueError(
            "`task` must have attention layers of lmzoo.layers. Received: a "
            f"{type(task).__name__} on a {type(backbone).__name__}, which has none."
        )
    return found


class Pair(typing.NamedTuple):
    """How much a token looks at another: two `Token` and a weight."""

    query: typing.Any
    key: typing.Any
    weight: float


class Attention:
    """The attention weights of a text.

    Args: and attributes.
        tokens: list of Token. Those of the encoder, or of a decoder alone.
        target_tokens: list of Token, or None. Those that the decoder beside an encoder reads.
        weights: dict of float32 arrays (layers, heads, T, S): "encoder" or "decoder", and for an
            encoder-decoder both and "cross", the decoder's attention to the source. Each row sums
            to 1. T counts the tokens that look, S those that are looked at.
    """

    def __init__(self, tokens, target_tokens, weights):
        self.tokens = tokens
        self.target_tokens = target_tokens
        self.weights = weights

    @property
    def kinds(self):
        """tuple of str. The keys of `weights`."""
        return tuple(self.weights)

    def list_queries(self, kind=None):
        """The tokens that look: list of Token, T."""
        kind = self.check_kind(kind)
        is_target = kind != "encoder" and self.target_tokens is not None
        return self.target_tokens if is_target else self.tokens

    def list_keys(self, kind=None):
        """The tokens that are looked at: list of Token, S."""
        kind = self.check_kind(kind)
        return self.tokens if kind == "cross" else self.list_queries(kind)

    def average(self, kind=None, layer=None, head=None):
        """The weights of one head, or the mean over heads or layers.

        Args:
            kind: str or None. A key of `weights`; None for "cross" where there is one, or else the
                only one.
            layer, head: int or None. Negative ones count from the end. None for the mean.
        Returns:
            float32 (T, S).
        Raises:
            TypeError: if `layer` or `head` is no int.
            ValueError: if there is no such kind, layer or head.
        """
        weights = self.weights[self.check_kind(kind)]
        # The heads first, so that the layers are axis 0 for both.
        for axis, name, index in ((1, "head", head), (0, "layer", layer)):
            if index is None:
                weights = weights.mean(axis=axis)
            else:
                weights = weights.take(check_index(name, index, weights.shape[axis]), axis=axis)
        return weights

    def rollout(self, kind=None):
        """Attention rollout: how much of each token's state comes from each token of the text.

        The weights of all heads are averaged, and mixed with the residual path in equal shares.
        The product over all layers follows a token's state back to the embeddings.

        Args:
            kind: "encoder", "decoder" or None for the only one, or else the encoder's.
        Returns:
            float32 (T, T). Each row sums to 1.
        Raises:
            ValueError: if there is no such kind, or it is "cross", where no residual path leads
                from the keys to the queries.
        Reference: Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928, section 3.
        """
        kind = self.kinds[0] if kind is None else self.check_kind(kind)
        if kind == "cross":
            raise ValueError("`kind` must be 'encoder' or 'decoder'. Received: kind='cross'.")
        layers = self.weights[kind].astype(np.float64).mean(axis=1)
        identity = np.eye(layers.shape[-1])
        total = identity
        for weights in layers:
            mixed = 0.5 * weights + 0.5 * identity
            total = mixed / mixed.sum(axis=-1, keepdims=True) @ total
        return total.astype(np.float32)

    def top_pairs(self, count=10, kind=None, layer=None, head=None, special=False):
        """The pairs of tokens with the largest weights.

        Args:
            count: int. How many at most.
            kind, layer, head: as for `average`.
            special: bool. Whether special tokens count too.
        Returns:
            list of Pair, the largest weight first. A token that looks at itself is left out.
        Raises:
            TypeError, ValueError: as `average`, or if `count` is no positive int.
        """
        check_size(count=count)
        weights = self.average(kind, layer, head)
        queries, keys = self.list_queries(kind), self.list_keys(kind)
        pairs = [
            Pair(query, key, float(weights[row, column]))
            for row, query in enumerate(queries)
            for column, key in enumerate(keys)
            if (queries is not keys or row != column)
            and (special or "special" not in (query.part, key.part))
        ]
        return sorted(pairs, key=lambda pair: -pair.weight)[:count]

    def check_kind(self, kind):
        """A key of `weights`: `kind` itself, or for None the one that is meant.

        Raises:
            ValueError: if there is no such kind.
        """
        if kind is None:
            return "cross" if "cross" in self.weights else self.kinds[0]
        if kind not in self.weights:
            known = ", ".join(map(repr, self.kinds))
            raise ValueError(f"`kind` must be one of {known}. Received: kind={kind!r:.60}.")
        return kind

    def to_dict(self, layer=None):
        """What the pages read: a dict that JSON holds, with weights in 255ths.

        Args:
            layer: int or None. The only layer to write; None for all.
        Returns:
            dict of `tokens` and `target_tokens`, lists of [text, start, end, part], and `kinds`, a
            list of dicts with `name`, `shape` (layers, heads, T, S), `weights`, `rollout` or None,
            both bytes in base64, and `first_layer`, the number of the first layer in `weights`.
        """
        kinds = []
        for name, weights in self.weights.items():
            first = 0
            if layer is not None:
                first = check_index("layer", layer, len(weights))
                weights = weights[first : first + 1]
            kinds.append(
                {
                    "name": name,
                    "shape": list(weights.shape),
                    "first_layer": first,
                    "weights": _to_base64(weights),
                    "rollout": None if name == "cross" else _to_base64(self.rollout(name)),
                }
            )
        target = None if self.target_tokens is None else [list(one) for one in self.target_tokens]
        return {
            "tokens": [list(one) for one in self.tokens],
            "target_tokens": target,
            "kinds": kinds,
        }


def check_index(name, index, size):
    """An index from 0 to size - 1, of one that may be negative.

    Raises:
        TypeError: if it is no int.
        ValueError: if it is out of range.
    """
    if isinstance(index, bool) or not isinstance(index, numbers.Integral):
        raise TypeError(f"`{name}` must be an int or None. Received: {name}={index!r:.60}.")
    if not -size <= index < size:
        raise ValueError(f"`{name}` must be from {-size} to {size - 1}. Received: {name}={index}.")
    return int(index) % size


def _to_base64(weights):
    return base64.b64encode(np.rint(255 * weights).astype(np.uint8).tobytes()).decode("ascii")
