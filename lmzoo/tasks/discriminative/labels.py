"""The labels of a task: names and ids."""

import numbers

import tensorflow as tf

from lmzoo.text_files.checks import check_unicode

__all__ = ["LabelSet", "list_labels", "to_float_rows"]


class LabelSet:
    """The classes of a task, by name and by id.

    Args:
        num_classes: int or None. C, at least 2; None for the length of `labels`.
        labels: list of str or None. The names, by id; None for "0", "1" and so on.
    Raises:
        TypeError: if `num_classes` is not an int, `labels` is not a list or a label not a str.
        ValueError: if there are fewer than two, `num_classes` is not the number of `labels`, or a
            name is repeated.
    """

    def __init__(self, num_classes=None, labels=None):
        # The ids are the order, which a set does not have and a dict may contradict.
        if isinstance(labels, str | dict | set | frozenset):
            raise TypeError(f"`labels` must be a list of str. Received: labels={labels!r:.80}.")
        if num_classes is not None:
            num_classes = _check_number(num_classes)
        if labels is None and num_classes is None:
            raise ValueError(
                "`num_classes` or `labels` must be given. Received: num_classes=None, labels=None."
            )
        names = [str(index) for index in range(num_classes)] if labels is None else list(labels)
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"`labels` must be a list of str. Received: {name!r} in it.")
            check_unicode("labels", name)
        if num_classes not in (None, len(names)):
            raise ValueError(
                "`num_classes` must be the number of `labels`. Received: "
                f"num_classes={num_classes}, labels={names}."
            )
        if len(names) < 2:
            raise ValueError(
                f"`num_classes` must be at least 2. Received: num_classes={len(names)}."
            )
        if len(set(names)) < len(names):
            raise ValueError(f"`labels` must hold each name once. Received: labels={names}.")
        self.names = tuple(names)
        self._ids = {name: index for index, name in enumerate(names)}

    def __len__(self):
        return len(self.names)

    def to_id(self, label):
        """The id of a label given by name, by id or one-hot.

        Raises:
            TypeError: if it is neither a str nor a whole number.
            ValueError: if there is no such label.
        """
        if isinstance(label, list) and len(label) == len(self.names):
            label = _read_one_hot(label)
        if isinstance(label, float) and label.is_integer():
            label = int(label)
        if isinstance(label, str):
            if label in self._ids:
                return self._ids[label]
        elif isinstance(label, numbers.Integral):
            if 0 <= label < len(self.names):
                return int(label)
        else:
            raise TypeError(f"A label must be a name or an int. Received: {label!r:.60}.")
        raise ValueError(
            f"A label must be one of {_shorten(self.names)} or its number. Received: {label!r:.60}."
        )

    def to_ids(self, labels):
        """In the graph: the ids of labels.

        Args:
            labels: string, int or whole float of any shape, ragged or not.
        Returns:
            int32 of that shape.
        Raises:
            TypeError: if they are of another dtype.
            tf.errors.InvalidArgumentError: at run time, if there is no such label.
        """
        if labels.dtype != tf.string and not (labels.dtype.is_integer or labels.dtype.is_floating):
            raise TypeError(
                f"A label must be a name or an int. Received: dtype={labels.dtype.name}."
            )
        if isinstance(labels, tf.RaggedTensor):
            return labels.with_flat_values(self.to_ids(labels.flat_values))
        if labels.dtype == tf.string:
            # (..., 1), (C,) -> (..., C)
            is_name = tf.expand_dims(labels, -1) == tf.constant(self.names)
            ids = tf.argmax(is_name, axis=-1, output_type=tf.int32)
            ids = tf.where(tf.reduce_any(is_name, axis=-1), ids, -1)
        else:
            ids = labels
        known = (ids >= 0) & (ids < len(self.names))
        if labels.dtype.is_floating:
            known &= ids == tf.floor(ids)
        known = tf.reduce_all(known)
        message = f"A label must be one of {_shorten(self.names)} or its number. Received:"
        with tf.control_dependencies([tf.debugging.Assert(known, [message, labels])]):
            # A cast that has nothing to do would not wait for the check.
            return tf.identity(tf.cast(ids, tf.int32))


def to_float_rows(labels, size):
    """In the graph: rows of numbers, dense or ragged, as float32 (B, size).

    Raises:
        TypeError: if they are no numbers.
        ValueError or tf.errors.InvalidArgumentError: if a row has another length.
    """
    if not (labels.dtype.is_integer or labels.dtype.is_floating or labels.dtype.is_bool):
        raise TypeError(f"A label must be of numbers. Received: dtype={labels.dtype.name}.")
    if isinstance(labels, tf.RaggedTensor):
        message = f"A label must be of {size} numbers. Received, for the texts of a batch:"
        lengths = labels.row_lengths()
        fits = tf.debugging.Assert(tf.reduce_all(lengths == size), [message, lengths])
        with tf.control_dependencies([fits]):
            # (B * size,) -> (B, size)
            labels = tf.reshape(labels.flat_values, [-1, size])
    if not labels.shape.is_compatible_with([None, size]):
        raise ValueError(f"A label must be of {size} numbers. Received: shape={labels.shape}.")
    return tf.cast(tf.ensure_shape(labels, [None, size]), tf.float32)


def list_labels(result):
    """The labels of a text as list of dict of `label` str and `score` float, the best first.

    Args:
        result: dict of arrays: `labels` bytes (C,), the best first, and `scores` float (C,).
    """
    return [
        {"label": label.decode("utf-8"), "score": float(score)}
        for label, score in zip(result["labels"], result["scores"], strict=True)
    ]


def _read_one_hot(label):
    """The index of the 1 among zeros; the list itself where it is something else."""
    is_one_hot = set(map(type, label)) <= {int, float} and sorted(label) == [0] * (
        len(label) - 1
    ) + [1]
    return label.index(1) if is_one_hot else label


def _check_number(num_classes):
    if isinstance(num_classes, bool) or not isinstance(num_classes, numbers.Integral):
        raise TypeError(f"`num_classes` must be an int. Received: num_classes={num_classes!r}.")
    if num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2. Received: num_classes={num_classes}.")
    return int(num_classes)


def _shorten(names):
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
