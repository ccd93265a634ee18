"""Accuracy, F1 and the Matthews correlation of predicted classes."""

import keras
from keras import ops

from lmzoo.metrics.weights import spread_weights

__all__ = ["F1", "Accuracy", "MatthewsCorrelation"]

AVERAGES = ("macro", "micro", "weighted", "binary", None)


@keras.saving.register_keras_serializable(package="lmzoo")
class Accuracy(keras.metrics.Metric):
    """Accuracy: the share of right predictions, weighted by the sample weights.

    For single-label examples it differs from Keras's `SparseCategoricalAccuracy` in one point.
    Keras takes the mean of each row first, so that a token of a short batch counts more than one
    of a long batch.

    Args:
        multi_label: bool. If True, an example has any number of labels. A label is predicted if
            its logit is above 0 (its probability above 0.5), and an example is right if all its
            labels are.
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the sums are float64.

    Example:
        >>> metric = Accuracy()
        >>> metric.update_state([1, 0], [[0.0, 2.0], [0.0, 1.0]])
        >>> float(metric.result())
        0.5

    Reference: `accuracy_score` of scikit-learn.
    """

    # Keras reads it where a callback's mode is "auto".
    _direction = "up"

    def __init__(self, multi_label=False, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.multi_label = multi_label
        self.total = self.add_weight(name="total", initializer="zeros", dtype="float64")
        self.count = self.add_weight(name="count", initializer="zeros", dtype="float64")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: int (B,) or (B, T); with `multi_label` 0 or 1, (B, C) or (B, T, C).
            y_pred: float (B, C) or (B, T, C), logits; or int like `y_true`, the predicted classes.
            sample_weight: (B, T), (B,) or None. 0 leaves an example out.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if keras.backend.is_int_dtype(y_pred.dtype) and not self.multi_label:
            is_right = ops.equal(ops.cast(y_true, y_pred.dtype), y_pred)
        elif self.multi_label:
            equal = ops.equal(ops.cast(y_true, "bool"), y_pred > 0)
            is_right = ops.all(equal, axis=-1)
        else:
            is_right = ops.equal(make_labels(y_true, y_pred), ops.argmax(y_pred, axis=-1))
        weights = spread_weights(sample_weight, is_right)
        self.total.assign_add(ops.sum(ops.where(is_right, weights, 0.0)))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return ops.cast(ops.divide_no_nan(self.total, self.count), self.dtype)

    def get_config(self):
        return {**super().get_config(), "multi_label": self.multi_label}


@keras.saving.register_keras_serializable(package="lmzoo")
class F1(keras.metrics.Metric):
    """F1: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), over all batches.

    A class that occurs neither in the labels nor in the predictions has 0, and is part of the mean.

    Args:
        num_classes: int. C, at least 2.
        average: "macro" (mean over the classes), "micro" (of the sums over the classes),
            "weighted" (mean weighted by the count of each class), "binary" (class 1 of two) or
            None (every class, float (C,)).
        multi_label: bool. If True, an example has any number of labels. A label is predicted if
            its logit is above 0 (its probability above 0.5).
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the counts are float64.
    Raises:
        TypeError: if `num_classes` is not an int.
        ValueError: if `num_classes` is below 2, or not 2 for "binary", or `average` is unknown.

    Example:
        >>> metric = F1(2, average=None)
        >>> metric.update_state([1, 0, 0], [[0.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
        >>> [round(float(score), 3) for score in metric.result()]
        [0.667, 0.667]

    Reference: `f1_score` of scikit-learn, with zero_division=0 and labels=range(C).
    """

    _direction = "up"

    def __init__(self, num_classes, average="macro", multi_label=False, name="f1", dtype=None):
        super().__init__(name=name, dtype=dtype)
        check_num_classes(num_classes)
        if average not in AVERAGES:
            raise ValueError(f"`average` must be one of {AVERAGES}. Received: average={average!r}.")
        if average == "binary" and (num_classes != 2 or multi_label):
            raise ValueError(
                "`average='binary'` must have two classes and one label an example. Received: "
                f"num_classes={num_classes}, multi_label={multi_label}."
            )
        self.num_classes = num_classes
        self.average = average
        self.multi_label = multi_label
        self.true_positives = self._add_counts("true_positives")
        self.false_positives = self._add_counts("false_positives")
        self.false_negatives = self._add_counts("false_negatives")

    def _add_counts(self, name):
        shape = (self.num_classes,)
        return self.add_weight(shape, initializer="zeros", dtype="float64", name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: int (B,) or (B, T), in 0..C-1 where it counts; with `multi_label` 0 or 1,
                (B, C) or (B, T, C).
            y_pred: float (B, C) or (B, T, C). Logits.
            sample_weight: (B, T), (B,) or None. 0 leaves an example out.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        check_last_axis(y_pred, self.num_classes)
        if self.multi_label:
            is_true = ops.cast(y_true, "bool")
            is_predicted = y_pred > 0
        else:
            is_true = make_one_hot(make_labels(y_true, y_pred), self.num_classes)
            is_predicted = make_one_hot(ops.argmax(y_pred, axis=-1), self.num_classes)
        # (B, C) or (B, T, C) -> (N, C)
        weights = ops.reshape(spread_weights(sample_weight, is_true[..., 0]), (-1, 1))
        is_true = ops.reshape(is_true, (-1, self.num_classes))
        is_predicted = ops.reshape(is_predicted, (-1, self.num_classes))

        def count(cells):
            return ops.sum(ops.where(cells, weights, 0.0), axis=0)

        self.true_positives.assign_add(count(is_true & is_predicted))
        self.false_positives.assign_add(count(~is_true & is_predicted))
        self.false_negatives.assign_add(count(is_true & ~is_predicted))

    def result(self):
        right, wrong, missed = self.true_positives, self.false_positives, self.false_negatives
        if self.average == "micro":
            right, wrong, missed = ops.sum(right), ops.sum(wrong), ops.sum(missed)
        scores = ops.divide_no_nan(2 * right, 2 * right + wrong + missed)
        if self.average == "macro":
            scores = ops.mean(scores)
        elif self.average == "weighted":
            support = right + missed
            scores = ops.divide_no_nan(ops.sum(scores * support), ops.sum(support))
        elif self.average == "binary":
            scores = scores[1]
        return ops.cast(scores, self.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "average": self.average,
            "multi_label": self.multi_label,
        }


@keras.saving.register_keras_serializable(package="lmzoo")
class MatthewsCorrelation(keras.metrics.Metric):
    """Matthews correlation coefficient of predicted and true classes.

    It is 1 if all predictions are right and near 0 for guesses. It is 0 if all labels, or all
    predictions, are of one class.

    Args:
        num_classes: int. C, at least 2.
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the counts are float64.
    Raises:
        TypeError: if `num_classes` is not an int.
        ValueError: if `num_classes` is below 2.

    Example:
        >>> metric = MatthewsCorrelation(2)
        >>> metric.update_state([1, 0], [[0.0, 2.0], [1.0, 0.0]])
        >>> float(metric.result())
        1.0

    Reference: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation
        coefficient"; `matthews_corrcoef` of scikit-learn.
    """

    _direction = "up"

    def __init__(self, num_classes, name="matthews_correlation", dtype=None):
        super().__init__(name=name, dtype=dtype)
        check_num_classes(num_classes)
        self.num_classes = num_classes
        # Rows are true classes, columns predicted ones.
        self.confusion = self.add_weight(
            (num_classes, num_classes), initializer="zeros", dtype="float64", name="confusion"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: int (B,) or (B, T), in 0..C-1 where it counts.
            y_pred: float (B, C) or (B, T, C). Logits.
            sample_weight: (B, T), (B,) or None. 0 leaves an example out.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        check_last_axis(y_pred, self.num_classes)
        labels = make_labels(y_true, y_pred)
        weights = ops.reshape(spread_weights(sample_weight, labels), (-1, 1))
        is_true = make_one_hot(ops.reshape(labels, (-1,)), self.num_classes)
        predicted = ops.reshape(ops.argmax(y_pred, axis=-1), (-1,))
        predicted = ops.cast(make_one_hot(predicted, self.num_classes), "float64")
        # (N, C), (N, C) -> (C, C)
        true = ops.where(is_true, weights, 0.0)
        self.confusion.assign_add(ops.matmul(ops.transpose(true), predicted))

    def result(self):
        true, predicted = ops.sum(self.confusion, axis=1), ops.sum(self.confusion, axis=0)
        right, count = ops.trace(self.confusion), ops.sum(self.confusion)
        covariance = right * count - ops.sum(true * predicted)
        true_variance = count**2 - ops.sum(true**2)
        predicted_variance = count**2 - ops.sum(predicted**2)
        scale = ops.sqrt(true_variance * predicted_variance)
        return ops.cast(ops.divide_no_nan(covariance, scale), self.dtype)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def make_labels(y_true, y_pred):
    """The labels as int32 in the shape of the logits without their last axis; (B, 1) becomes (B,).

    Raises:
        ValueError: if they have another shape, which might be broadcast silently.
    """
    labels = ops.cast(y_true, "int32")
    if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if len(labels.shape) != len(y_pred.shape) - 1:
        raise ValueError(
            "`y_true` must have a class index for each row of logits. Received: "
            f"y_true.shape={tuple(labels.shape)}, y_pred.shape={tuple(y_pred.shape)}."
        )
    return labels


def make_one_hot(labels, num_classes):
    """bool (..., C). A label outside 0..C-1, as at positions of weight 0, matches no class."""
    return ops.equal(ops.expand_dims(labels, -1), ops.arange(num_classes, dtype="int32"))


def check_num_classes(num_classes):
    """Raises TypeError or ValueError unless `num_classes` is an int of at least 2."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, int):
        raise TypeError(f"`num_classes` must be an int. Received: num_classes={num_classes!r}.")
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2. Received: num_classes={num_classes}.")


def check_last_axis(y_pred, num_classes):
    """Raises ValueError unless there is a logit for each class."""
    if y_pred.shape[-1] != num_classes:
        raise ValueError(
            f"`y_pred` must have a logit for each of {num_classes} classes. Received: "
            f"y_pred.shape={tuple(y_pred.shape)}."
        )
