"""Batches of rows as tensors; columns of lists become ragged tensors."""

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_at_least, check_initial_step, check_seed, describe_value
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.pipeline import step_dataset
from lmzoo.data.rows.column_types import ColumnType, column_type_of

__all__ = ["rows_dataset"]

_DTYPES = {str: tf.string, int: tf.int64, float: tf.float32}


def rows_dataset(
    rows, batch_size, seed, shuffle, initial_epoch, initial_step, drop_remainder, encode=None
):
    """Makes a dataset of rows; see `Rows.dataset`.

    Args:
        rows: Rows.
        batch_size: int.
        seed: int.
        shuffle: bool.
        initial_epoch: int.
        initial_step: int.
        drop_remainder: bool.
        encode: callable or None.
    Returns:
        tf.data.Dataset of dict of column to tensor or tf.RaggedTensor.
    Raises:
        TypeError, ValueError: as `Rows.dataset`.
    """
    check_at_least(1, batch_size=batch_size)
    check_initial_step(initial_epoch, initial_step)
    check_seed(seed)
    num_steps = len(rows) // batch_size if drop_remainder else -(-len(rows) // batch_size)
    if num_steps < 1:
        raise ValueError(
            "`batch_size` must not exceed the number of rows, of which there must be one. "
            f"Received: batch_size={batch_size}, {len(rows)} rows, drop_remainder={drop_remainder}."
        )
    types = _column_types(rows)

    def find_rows(step):
        epoch, step = divmod(int(step), num_steps)
        indices = np.arange(step * batch_size, min((step + 1) * batch_size, len(rows)))
        return shuffle_indices(indices, len(rows), seed, epoch) if shuffle else indices

    def fetch(step):
        return list(_arrays(rows, find_rows(step).tolist(), types))

    # A NumPy function cannot return a ragged tensor, so it returns values and lengths.
    def rebuild(arrays, step):
        arrays = iter(arrays)
        batch = {name: _tensor(column_type, arrays) for name, column_type in types.items()}
        return batch if encode is None else encode(batch, step)

    return step_dataset(
        fetch,
        _signature(types, batch_size if drop_remainder else None),
        num_steps=num_steps,
        initial_step=initial_epoch * num_steps + initial_step,
        advances=shuffle or encode is not None,
        encode=rebuild,
        find_samples=find_rows,
    )


def _column_types(rows):
    """Finds the type of each column: dict of column to ColumnType."""
    first = rows[0]
    types = {name: column_type_of(first[name]) for name in rows.columns}
    index = 1
    while unknown := [name for name, column_type in types.items() if column_type.item is None]:
        row = rows[index] if index < len(rows) else None
        for name in unknown:
            # A column with lists and other values is refused later, by the batch that has both.
            joined = types[name].join(column_type_of(row[name])) if row else None
            types[name] = joined or ColumnType(str, is_list=True)
        index += 1
    return types


def _signature(types, batch_size):
    specs = []
    for column_type in types.values():
        dtype = _DTYPES[column_type.item]
        if column_type.is_list:
            specs += [tf.TensorSpec((None,), dtype), tf.TensorSpec((batch_size,), tf.int64)]
        else:
            specs.append(tf.TensorSpec((batch_size,), dtype))
    return tuple(specs)


def _arrays(rows, indices, types):
    """Yields the values of each column; of a column of lists also the lengths."""
    batch = [rows[index] for index in indices]
    for name, column_type in types.items():
        values = [row[name] for row in batch]
        for index, value in zip(indices, values, strict=True):
            if column_type.join(found := column_type_of(value)) is None:
                raise TypeError(
                    f"{rows.place(index)}: `{name}` must hold values of one type. Received: "
                    f"{describe_value(value)}, which is {found}, where the first row has "
                    f"{column_type}. Convert them with `with_column`."
                )
        if column_type.is_list:
            yield _array([item for value in values for item in value], column_type.item)
            yield np.array([len(value) for value in values], dtype=np.int64)
        else:
            yield _array(values, column_type.item)


def _array(items, item_type):
    if item_type is str:
        # As objects: NumPy's own string dtype drops zero bytes at the end.
        return np.array([item.encode("utf-8") for item in items], dtype=object)
    return np.array(items, dtype=_DTYPES[item_type].as_numpy_dtype)


def _tensor(column_type, arrays):
    if not column_type.is_list:
        return next(arrays)
    values, lengths = next(arrays), next(arrays)
    # (total,), (B,) -> (B, None)
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
