"""The names of a task's labels, and the way from a label to its number."""

import numbers

import tensorflow as tf

__all__ = ["LabelSet"]


class LabelSet:
    """Labels that go by names or by numbers.

    Args:
        num_classes: int or None. C, at least 2; None to count `labels`.
        labels: list of str or None. A name for each number; None for "0", "1" and so on.
    Raises:
        TypeError: if `num_classes` is not an int or a label is not a str.
        ValueError: if there are less than two, `num_classes` is not the number of `labels`, or a
            name stands twice.
    """

    def __init__(self, num_classes=None, labels=None):
        if isinstance(labels, str):
            raise TypeError(f"`labels` must be a list of str. Received: labels={labels!r}.")
        if num_classes is not None and type(num_classes) is not int:
            raise TypeError(f"`num_classes` must be an int. Received: num_classes={num_classes!r}.")
        if labels is None and num_classes is None:
            raise ValueError(
                "`num_classes` or `labels` must be given. Received: num_classes=None, labels=None."
            )
        names = [str(index) for index in range(num_classes)] if labels is None else list(labels)
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"`labels` must be a list of str. Received: {name!r} in it.")
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
        """The number of a label given as name or number.

        Raises:
            TypeError: if it is neither a str nor an int.
            ValueError: if it is none of the labels.
        """
        if isinstance(label, str):
            if label in self._ids:
                return self._ids[label]
        elif isinstance(label, numbers.Integral):
            if 0 <= label < len(self.names):
                return int(label)
        else:
            raise TypeError(f"A label must be a name or a number. Received: {label!r:.60}.")
        raise ValueError(
            f"A label must be one of {_shorten(self.names)} or its number. Received: {label!r:.60}."
        )

    def to_ids(self, labels):
        """In the graph: the numbers of labels, string or int of any shape, checked at run time."""
        if labels.dtype == tf.string:
            with tf.init_scope():
                table = tf.lookup.StaticHashTable(
                    tf.lookup.KeyValueTensorInitializer(
                        tf.constant(self.names), tf.range(len(self.names))
                    ),
                    default_value=-1,
                )
            ids = table.lookup(labels)
        else:
            ids = tf.cast(labels, tf.int32)
        flat = ids.flat_values if isinstance(ids, tf.RaggedTensor) else ids
        known = tf.reduce_all((flat >= 0) & (flat < len(self.names)))
        message = f"A label must be one of {_shorten(self.names)} or its number. Received:"
        given = labels.flat_values if isinstance(labels, tf.RaggedTensor) else labels
        with tf.control_dependencies([tf.debugging.Assert(known, [message, given])]):
            return tf.identity(ids)


def _shorten(names):
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
