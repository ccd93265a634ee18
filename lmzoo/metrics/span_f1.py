"""F1 of spans as a Keras metric: the rules of `lmzoo.metrics.spans` as look-up tables."""

import keras
import numpy as np
from keras import ops

from lmzoo.metrics.spans import is_boundary, is_inside, parse_tag, score_counts
from lmzoo.metrics.weights import spread_weights

__all__ = ["SpanF1"]

AVERAGES = ("micro", "macro", None)


@keras.saving.register_keras_serializable(package="lmzoo")
class SpanF1(keras.metrics.Metric):
    """F1 of the spans that the predicted tags mark, as conlleval and seqeval count them.

    A predicted span is right if its first word, its last word and its type are.

    Args:
        labels: list of str. The tag of each class, such as ["O", "B-PER", "I-PER"].
        average: "micro" (of all spans), "macro" (mean over the types that are there or predicted)
            or None (every type in the order of the alphabet, float (K,)).
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the counts are float64.
    Raises:
        ValueError: if `labels` are no tags, or name one twice, or no type; or `average` is unknown.

    Example:
        >>> metric = SpanF1(["O", "B-PER", "I-PER"])
        >>> metric.update_state([[1, 2, 0]], [[[0, 1, 0], [0, 0, 1], [1, 0, 0]]])
        >>> float(metric.result())
        1.0

    Reference: see `lmzoo.metrics.span_scores`.
    """

    # Keras reads it where a callback's mode is "auto".
    _direction = "up"

    def __init__(self, labels, average="micro", name="span_f1", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if average not in AVERAGES:
            raise ValueError(f"`average` must be one of {AVERAGES}. Received: average={average!r}.")
        self.labels = check_labels(labels)
        self.average = average
        # One more tag, "outside", separates the texts.
        parsed = [parse_tag(tag) for tag in [*self.labels, "O"]]
        self.types = tuple(sorted({kind for _, kind in parsed if kind is not None}))
        self._outside = len(self.labels)
        self._boundaries = np.array([[is_boundary(a, b) for b in parsed] for a in parsed])
        self._insides = np.array([is_inside(tag) for tag in parsed])
        numbers = {kind: number for number, kind in enumerate(self.types)}
        self._type_numbers = np.array([numbers.get(kind, -1) for _, kind in parsed], "int32")
        # Rows: correct, true and predicted spans; columns: types.
        self.counts = self.add_weight(
            (3, len(self.types)), initializer="zeros", dtype="float64", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: int (B, T). Classes; anything where the mask is False.
            y_pred: float (B, T, C). Logits.
            sample_weight: (B, T) or None. A mask: what is not 0 counts, one position for each
                word. The others are taken out, so that the words on both sides are neighbours.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != len(self.labels):
            raise ValueError(
                f"`y_pred` must have a logit for each of {len(self.labels)} labels. Received: "
                f"y_pred.shape={tuple(y_pred.shape)}."
            )
        tags = ops.stack([ops.cast(y_true, "int32"), ops.argmax(y_pred, axis=-1)])
        if sample_weight is not None:
            mask = spread_weights(sample_weight, tags[0]) != 0
            tags = squeeze_out(tags, mask, self._outside)
        # (2, B, T) -> (2, B, T + 1) -> (2, N): an outside tag after each text keeps rows apart
        tags = ops.pad(tags, [[0, 0], [0, 0], [0, 1]], constant_values=self._outside)
        tags = ops.reshape(tags, (2, -1))
        self.counts.assign_add(ops.cast(self._count(tags), "float64"))

    def _count(self, tags):
        """Spans by type, int (3, K), of true and predicted tags, int (2, N) with `outside` last."""
        previous = ops.roll(tags, 1, axis=1)
        pairs = previous * (self._outside + 1) + tags
        boundaries = ops.take(self._boundaries.reshape(-1), pairs)
        starts = ops.logical_and(boundaries, ops.take(self._insides, tags))
        ends = ops.logical_and(boundaries, ops.take(self._insides, previous))
        ended_types = ops.take(self._type_numbers, previous)

        # Two spans that end together are one if they also began together: if no span of either
        # side began after the last place where one began on both. Places where a span begins
        # are numbered, and each number knows whether it is such a place.
        any_start = ops.cast(ops.any(starts, axis=0), "int32")
        numbers = ops.cumsum(any_start)
        size = tags.shape[1] if tags.shape[1] is not None else ops.shape(tags)[1]
        both_start = ops.cast(ops.all(starts, axis=0), "int32")
        began_together = ops.segment_sum(both_start, numbers, num_segments=size + 1)
        began_together = ops.take(began_together, numbers - any_start) > 0
        same_type = ended_types[0] == ended_types[1]
        correct = ops.all(ends, axis=0) & began_together & same_type

        spans = ops.stack([correct, ends[0], ends[1]])
        types = ops.stack([ended_types[0], ended_types[0], ended_types[1]])
        # (3, N) -> (3, N, K) -> (3, K)
        is_type = ops.expand_dims(types, -1) == np.arange(len(self.types), dtype="int32")
        return ops.sum(ops.cast(is_type & ops.expand_dims(spans, -1), "int32"), axis=1)

    def result(self):
        counts = ops.convert_to_tensor(self.counts)
        if self.average == "micro":
            counts = ops.sum(counts, axis=1)
        correct, found = counts[0], counts[1] + counts[2]
        scores = ops.divide_no_nan(2 * correct, found)
        if self.average == "macro":
            is_met = ops.cast(found > 0, "float64")
            scores = ops.divide_no_nan(ops.sum(scores), ops.sum(is_met))
        return ops.cast(scores, self.dtype)

    def scores(self):
        """The dict of `lmzoo.metrics.span_scores` for all that was added; not in a graph."""
        counts = ops.convert_to_numpy(self.counts).astype("int64").T.tolist()
        met = {kind: row for kind, row in zip(self.types, counts, strict=True) if any(row)}
        return score_counts(met)

    def get_config(self):
        return {**super().get_config(), "labels": list(self.labels), "average": self.average}


def squeeze_out(tags, mask, outside):
    """Moves what the mask (B, T) keeps of tags (2, B, T) to the left, and `outside` behind it."""
    length = ops.shape(mask)[1]
    places = ops.arange(length, dtype="int32")
    # All keys of a row differ, so that the order does not hang on a stable sort.
    order = ops.argsort(ops.where(mask, places, places + length), axis=1)
    tags = ops.where(mask, tags, outside)
    return ops.take_along_axis(tags, ops.expand_dims(order, 0), axis=2)


def check_labels(labels):
    """The labels as a list; raises ValueError unless they are different tags, one inside a span."""
    labels = list(labels)
    parsed = [parse_tag(tag) for tag in labels]
    if len(set(labels)) != len(labels) or not any(map(is_inside, parsed)):
        raise ValueError(
            "`labels` must be different tags, one of them inside a span. "
            f"Received: labels={labels}."
        )
    return labels
