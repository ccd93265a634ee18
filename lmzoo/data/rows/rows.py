"""Labelled text: rows that are read by index, each when it is asked for."""

import operator

import numpy as np

from lmzoo.data.checks import check_seed, describe_value
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.corpus.splits import check_validation_split
from lmzoo.data.rows.batches import rows_dataset
from lmzoo.data.rows.column_types import plain_value

__all__ = ["Rows"]

# The shuffle of the split. No epoch has this number, so the split and the epochs are independent.
_SPLIT_EPOCH = -1


class Rows:
    """An immutable sequence of labelled texts; a row is read when it is asked for.

    `make_rows` and the readers (`read_table`, `read_folders`, `read_glue`, `read_conll`,
    `read_squad`) return Rows. A row is a dict of column to str, int, float or a list of these.

    Args:
        source: object with `columns` (tuple of str), `__len__()`, `row(index)` -> a new dict, and
            `place(index)` -> str. Both may be called from several threads at once.
        indices: int array (n,) or None. The rows of the source to take; None is all.
        functions: tuple of (str, callable). Computed columns, in this order.
    Example:
    >>> rows = lmzoo.data.make_rows(text=["good", "bad"], label=[1, 0])
    >>> len(rows), rows[-1]
    (2, {'text': 'bad', 'label': 0})
    >>> rows.with_column("length", lambda row: len(row["text"]))[0]
    {'text': 'good', 'label': 1, 'length': 4}
    """

    def __init__(self, source, indices=None, functions=()):
        self._source = source
        self._indices = indices
        self._functions = functions

    @property
    def columns(self):
        """tuple of str. The names of the columns."""
        return tuple(dict.fromkeys([*self._source.columns, *(name for name, _ in self._functions)]))

    def __len__(self):
        return len(self._source if self._indices is None else self._indices)

    def __getitem__(self, index):
        number = self._number(index)
        row = self._source.row(number)
        for name, function in self._functions:
            try:
                row[name] = plain_value(function(row))
            except (ValueError, TypeError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{self._source.place(number)}: {error}") from error
        return row

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __repr__(self):
        return f"Rows({len(self)} rows, columns={self.columns})"

    def place(self, index):
        """Returns where a row comes from, for a message.

        Args:
            index: int. May be negative.
        Returns:
            str, such as "train.tsv:17" or "index 16".
        Raises:
            IndexError: if there is no such row.
        """
        return self._source.place(self._number(index))

    def with_column(self, name, function):
        """Adds a column that is computed from the others, or replaces one.

        Args:
            name: str.
            function: callable. Takes a row (dict), returns the value. It is called each time a
                row is read, possibly from several threads. The message of a ValueError or
                TypeError that it raises gets the row's place in front.
        Returns:
            Rows. The original stays as it is.
        Raises:
            TypeError: if `name` is no string or `function` cannot be called.
        """
        if not isinstance(name, str) or not name:
            raise TypeError(f"`name` must be a string that is not empty. Received: name={name!r}.")
        if not callable(function):
            raise TypeError(f"`function` must be callable. Received: function={function!r}.")
        return Rows(self._source, self._indices, (*self._functions, (name, function)))

    def select(self, indices):
        """Returns the rows at some indices, in this order. Nothing is copied.

        Args:
            indices: list or array of int. May be negative and may repeat.
        Returns:
            Rows.
        Raises:
            TypeError: if `indices` are not integers.
            IndexError: if there is no such row.
        """
        indices = np.asarray(indices)
        if indices.ndim != 1 or (indices.size and not np.issubdtype(indices.dtype, np.integer)):
            raise TypeError(
                "`indices` must be a list of integers. Received: "
                f"indices={describe_value(indices.tolist())}."
            )
        indices = indices.astype(np.int64)
        outside = (indices < -len(self)) | (indices >= len(self))
        if outside.any():
            raise IndexError(
                f"`indices` must be below the number of rows, {len(self)}. Received: "
                f"{indices[outside][0]}."
            )
        indices = np.where(indices < 0, indices + len(self), indices)
        return Rows(
            self._source,
            indices if self._indices is None else self._indices[indices],
            self._functions,
        )

    def split(self, validation_split, seed=0):
        """Splits the rows into a training and a validation part.

        The split depends on the number of rows and on `seed` alone. Both parts keep the order of
        the rows.

        Args:
            validation_split: float. The share of the rows that is held out, between 0 and 1.
            seed: int. Another seed holds other rows out.
        Returns:
            (Rows, Rows): training, held out.
        Raises:
            TypeError: if `seed` is not an integer.
            ValueError: if `validation_split` is not between 0 and 1, or if a side would be empty.
        """
        check_validation_split(validation_split)
        check_seed(seed)
        num_held_out = round(len(self) * validation_split)
        if not 0 < num_held_out < len(self):
            raise ValueError(
                "`validation_split` must leave rows on both sides. Received: validation_split="
                f"{validation_split} of {len(self)} rows."
            )
        held_out = np.zeros(len(self), dtype=bool)
        held_out[shuffle_indices(np.arange(num_held_out), len(self), seed, _SPLIT_EPOCH)] = True
        return self.select(np.flatnonzero(~held_out)), self.select(np.flatnonzero(held_out))

    def dataset(
        self,
        batch_size,
        *,
        seed=0,
        shuffle=True,
        initial_epoch=0,
        initial_step=0,
        drop_remainder=False,
        encode=None,
    ):
        """Returns the rows as a shuffled `tf.data.Dataset` of batches.

        One iteration is one epoch, and the next iteration is the next epoch in another order. A
        batch is a pure function of its number, so a run continues at any step without reading the
        rows before it. An iteration that is not read to its end does not count.

        Strings become string tensors (B,), integers and bools int64 (B,), floats float32
        (B,); a list becomes a row of a tf.RaggedTensor (B, None) of these, with int64 splits.
        The type of a column is that of the first row; if that has an empty list, of the first list
        that is not empty; if all are empty, they are lists of strings.

        Args:
            batch_size: int. B, over all replicas of a strategy.
            seed: int. Seed of the shuffle.
            shuffle: bool. If False, every epoch has the order of the rows.
            initial_epoch: int. The epoch that the first iteration gives.
            initial_step: int. The step of that epoch to start with. An iteration still has a full
                epoch's number of steps; its last ones belong to the next epoch.
            drop_remainder: bool. If False, an epoch ends with a smaller batch if the rows do not
                fill it.
            encode: callable or None. Takes a batch and its step, int64 (), as tensors in a graph,
                and returns what the dataset yields instead. Steps are counted across epochs.
        Returns:
            tf.data.Dataset of dict of column to tensor, or of what `encode` returns.
        Raises:
            TypeError: if `seed` is not an integer.
            ValueError: if a number is out of its range, or if there is no row (or no full batch,
                with `drop_remainder`). While it is read, TensorFlow turns an error in a row, for
                example a string where the first row has a number, into an
                `InvalidArgumentError`, whose message names the row's place.
        """
        return rows_dataset(
            self, batch_size, seed, shuffle, initial_epoch, initial_step, drop_remainder, encode
        )

    def _number(self, index):
        """The index of a row in the source."""
        try:
            number = operator.index(index)
        except TypeError:
            raise TypeError(
                f"`index` must be an integer. Received: index={index!r}. For several rows there "
                "is `select`."
            ) from None
        if not -len(self) <= number < len(self):
            raise IndexError(
                f"`index` must be below the number of rows, {len(self)}. Received: index={number}."
            )
        number %= len(self)
        return number if self._indices is None else int(self._indices[number])
