"""The arguments of `fit`, `evaluate` and `predict`: whether they are raw text, and its form."""

import dataclasses

import numpy as np
import tensorflow as tf

from lmzoo.data import Rows

__all__ = [
    "FitOptions",
    "check_alone",
    "check_tokenizer",
    "holds_text",
    "is_raw",
    "name_columns",
    "raw_parts",
    "read_weight",
    "unwrap_label",
    "ints_to_floats",
    "to_float32",
]


@dataclasses.dataclass
class FitOptions:
    """The arguments of `fit` that depend on whether it trains on texts; see `TextInput.fit`."""

    sample_weight: list | None = None
    validation_data: object = None
    validation_split: float = 0.0
    validation_batch_size: int | None = None
    shuffle: bool = True
    initial_epoch: int = 0


_MAX = float(np.finfo("float32").max)


def holds_text(x):
    """Whether Rows, datasets, lists, arrays, tensors or specs hold text and not token ids."""
    if isinstance(x, Rows):
        return True
    if isinstance(x, tf.data.Dataset):
        x = x.element_spec
        x = x[0] if isinstance(x, tuple) else x
    if isinstance(x, dict):
        has_tokens = any(str(name).endswith("token_ids") for name in x)
        return not has_tokens and any(map(holds_text, x.values()))
    if hasattr(x, "dtype"):
        return x.dtype == tf.string or getattr(x.dtype, "kind", "") in tuple("OUST")
    if isinstance(x, list | tuple):
        # The first rows may be empty lists of words.
        return holds_text(next((part for part in x if not _is_empty(part)), None))
    return isinstance(x, str | bytes)


def _is_empty(part):
    return part is None or (isinstance(part, list | tuple) and not part)


def is_raw(x):
    """Whether the argument `x` of `fit` and its like is raw text, which must be encoded.

    Raises:
        TypeError: if it is a single str.
        ValueError: if it is an empty list.
    """
    if isinstance(x, str):
        raise TypeError(f"`x` must be a list of texts. Received: {x!r:.60}. Write [text].")
    if isinstance(x, list | tuple) and not x:
        raise ValueError(f"`x` must hold at least one text. Received: x={x!r}.")
    return holds_text(x)


def raw_parts(data):
    """The texts, labels and weights of `validation_data`, a tuple; None if it is not raw text.

    As in Keras, `[x, y]` means `(x, y)`. A list whose first element is a str, or a tuple of str, is
    `x` alone.
    """
    if isinstance(data, list) and len(data) in (2, 3):
        first = data[0] if isinstance(data[0], tuple) else ()
        if not any(isinstance(part, str | bytes) for part in [*data, *first]):
            data = tuple(data)
    parts = data if isinstance(data, tuple) and data else (data,)
    return parts if data is not None and is_raw(parts[0]) else None


def check_alone(data, label_column, y, sample_weight):
    """Refuses `y` and `sample_weight` beside Rows or a dataset, which hold their own.

    Args:
        data: Rows or tf.data.Dataset.
        label_column: str. The column of labels in Rows.
        y, sample_weight: arguments of `fit`.
    Raises:
        ValueError: if one is not None.
    """
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is None:
            continue
        if isinstance(data, Rows):
            column = label_column if name == "y" else "weight"
            kind, remedy = "Rows", f"Make it their column `{column}`."
        else:
            kind, remedy = "a dataset", "Let its batches be (x, y) or (x, y, sample_weight)."
        raise ValueError(
            f"`{name}` must be None beside {kind}, where it would not be read. Received: "
            f"{name}={value!r:.60}. {remedy}"
        )


def name_columns(x, names, num_needed=1):
    """dict of column to values: lists of `fit`, or tensors of a dataset.

    Args:
        x: a dict of columns, a tuple of them, or the first one alone.
        names: tuple of str. The columns of texts.
        num_needed: int. The number of columns that are required.
    Raises:
        TypeError: if pairs come as a list, or the first column comes alone where more are needed.
        ValueError: if the tuple has another length.
    """
    if isinstance(x, dict):
        return dict(x)
    forms = [f"a list of {names[0]}s"] if num_needed == 1 else []
    for count in range(max(num_needed, 2), len(names) + 1):
        plurals = ", ".join(f"{name}s" for name in names[:count])
        forms.append(f"a tuple of {count} lists, ({plurals})")
    rule = f"`x` must be {' or '.join(forms)}."
    if isinstance(x, tuple):
        if not num_needed <= len(x) <= len(names):
            raise ValueError(f"{rule} Received: a tuple of {len(x)}.")
        return dict(zip(names, x, strict=False))
    if num_needed > 1 or (isinstance(x, list) and isinstance(x[0], list | tuple)):
        found = f"that begins with {x[0]!r:.60}" if isinstance(x, list) else repr(x)[:60]
        raise TypeError(f"{rule} Received: a {type(x).__name__} {found}.")
    return {names[0]: x}


def unwrap_label(label):
    """The label itself from a list of one, the form of labels of shape (n, 1)."""
    return label[0] if isinstance(label, list) and len(label) == 1 else label


def read_weight(weight):
    """A weight as a float.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is not finite.
    """
    if not isinstance(weight, int | float):
        remedy = " Tables are read with `types`." if isinstance(weight, str) else ""
        raise TypeError(f"A weight must be a number. Received: {weight!r:.60}.{remedy}")
    return to_float32("A weight", weight)


def to_float32(name, number):
    """A number as a float; raises ValueError, with its name, if float32 does not hold it."""
    if not abs(number) <= _MAX:
        raise ValueError(
            f"{name} must be a finite number within float32, up to {_MAX:.3g}. Received: "
            f"{number!r:.60}."
        )
    return float(number)


def ints_to_floats(values):
    """Converts ints in nested lists to floats, so that a column may hold both; others stay."""
    if isinstance(values, list | tuple):
        return [ints_to_floats(value) for value in values]
    return float(values) if type(values) is int else values


def check_tokenizer(tokenizer):
    """Raises ValueError if a task that is to take texts has no tokenizer."""
    if tokenizer is None:
        raise ValueError(
            "A task must have a tokenizer to take texts. Received: tokenizer=None. "
            "Pass token batches, or make the task with a tokenizer."
        )
