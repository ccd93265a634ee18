"""Lists of texts as callers give them: lists, arrays and eager tensors of strings."""

import numpy as np
import tensorflow as tf

from lmzoo.data.rows.column_types import plain_value

__all__ = ["list_arrays", "list_texts"]


def list_arrays(values):
    """Eager tensors and arrays of strings as lists of str; what is none of these stays.

    Args:
        values: anything; in a dict or a tuple each one by itself.
    Returns:
        lists of str, where each byte that is not UTF-8 is a lone surrogate, so that the check of a
        column names its place; NumPy arrays for tensors of numbers, lists for ragged ones.
    """
    if isinstance(values, dict):
        return {name: list_arrays(value) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple(list_arrays(value) for value in values)
    if isinstance(values, tf.RaggedTensor):
        return _decode(values.to_list())
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "OUST":
        return _decode(values.tolist())
    return values


def _decode(values):
    if isinstance(values, list):
        return [_decode(value) for value in values]
    return values.decode("utf-8", "surrogateescape") if isinstance(values, bytes) else values


def list_texts(texts, name="texts"):
    """The texts as a list.

    Args:
        texts: list of str, or an array or an eager tensor of strings.
        name: str. What messages call them.
    Raises:
        TypeError: if one is not a str, or there is no list.
        ValueError: if one is not valid Unicode.
    """
    texts = list_arrays(texts)
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"`{name}` must be a string or a list of strings. Received: {name}={texts!r:.60}."
        )
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: "
                f"{text!r:.60} at index {index}."
            )
        try:
            plain_value(text)
        except ValueError as error:
            raise ValueError(f"`{name}`, index {index}: {error}") from error
    return texts
