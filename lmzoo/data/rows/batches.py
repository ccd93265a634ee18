"""From rows to batches of tensors, ragged where the rows hold lists."""

import numbers

import numpy as np
import tensorflow as tf

from lmzoo.data.checks import check_initial_step, check_seed
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.pipeline import step_dataset
from lmzoo.data.rows.column_types import ColumnType, column_type_of, describe_value

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
    if not isinstance(batch_size, numbers.Integral) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be an integer of at least 1. Received: batch_size={batch_size!r}."
        )
    check_initial_step(initial_epoch, initial_step)
    check_seed(seed)
    num_steps = len(rows) // batch_size if drop_remainder else -(-len(rows) // batch_size)
    if num_steps < 1:
        raise ValueError(
            "`batch_size` must not exceed the number of rows, of which there must be one. "
            f"Received: batch_size={batch_size}, {len(rows)} rows, drop_remainder={drop_remainder}."
        )
    kinds = _column_kinds(rows)

    def fetch(step):
        epoch, step = divmod(int(step), num_steps)
        indices = np.arange(step * batch_size, min((step + 1) * batch_size, len(rows)))
        if shuffle:
            indices = shuffle_indices(indices, len(rows), seed, epoch)
        return list(_arrays(rows, indices.tolist(), kinds))

    # A NumPy function gives no ragged tensors, so they travel as two flat ones.
    def rebuild(arrays, step):
        arrays = iter(arrays)
        batch = {name: _tensor(kind, arrays) for name, kind in kinds.items()}
        return batch if encode is None else encode(batch, step)

    return step_dataset(
        fetch,
        _signature(kinds, batch_size if drop_remainder else None),
        num_steps=num_steps,
        initial_step=initial_epoch * num_steps + initial_step,
        advances=shuffle or encode is not None,
        encode=rebuild,
    )


def _column_kinds(rows):
    """Says what each column holds: dict of column to ColumnType."""
    first = rows[0]
    kinds = {name: column_type_of(first[name]) for name in rows.columns}
    index = 1
    while unknown := [name for name, kind in kinds.items() if kind.item is None]:
        row = rows[index] if index < len(rows) else None
        for name in unknown:
            # A list beside something else is for the batch that has both to refuse.
            joined = kinds[name].join(column_type_of(row[name])) if row else None
            kinds[name] = joined or ColumnType(str, is_list=True)
        index += 1
    return kinds


def _signature(kinds, batch_size):
    specs = []
    for kind in kinds.values():
        dtype = _DTYPES[kind.item]
        if kind.is_list:
            specs += [tf.TensorSpec((None,), dtype), tf.TensorSpec((batch_size,), tf.int64)]
        else:
            specs.append(tf.TensorSpec((batch_size,), dtype))
    return tuple(specs)


def _arrays(rows, indices, kinds):
    """Yields for each column its values, and for a column of lists also their lengths."""
    batch = [rows[index] for index in indices]
    for name, kind in kinds.items():
        values = [row[name] for row in batch]
        for index, value in zip(indices, values, strict=True):
            if kind.join(found := column_type_of(value)) is None:
                raise TypeError(
                    f"{rows.place(index)}: `{name}` must hold one kind of value. Received: "
                    f"{describe_value(value)}, which is {found}, where the first row has {kind}. "
                    "Convert them with `with_column`."
                )
        if kind.is_list:
            yield _array([item for value in values for item in value], kind.item)
            yield np.array([len(value) for value in values], dtype=np.int64)
        else:
            yield _array(values, kind.item)


def _array(items, kind):
    if kind is str:
        # As objects: NumPy's own strings would lose zero bytes at the end.
        return np.array([item.encode("utf-8") for item in items], dtype=object)
    return np.array(items, dtype=_DTYPES[kind].as_numpy_dtype)


def _tensor(kind, arrays):
    if not kind.is_list:
        return next(arrays)
    values, lengths = next(arrays), next(arrays)
    # (total,), (B,) -> (B, None)
    return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
