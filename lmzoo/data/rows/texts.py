"""Texts as callers pass them (lists, arrays, eager tensors of strings) as lists of str."""

import numpy as np
import tensorflow as tf

from lmzoo.runtime import prompts

__all__ = ["list_arrays", "list_texts"]


def list_arrays(values):
    """Converts eager tensors and arrays of strings to lists of str; returns anything else as it is.

    Args:
        values: anything. The values of a dict or tuple are converted one by one.
    Returns:
        lists of str, in which bytes that are not UTF-8 are lone surrogates, for the check of the
        column to find; NumPy arrays for tensors of numbers, lists for ragged tensors.
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
    """Returns texts as a list of str.

    Args:
        texts: list of str, or an array or an eager tensor of strings.
        name: str. The argument's name, for messages.
    Raises:
        TypeError: if they are no list, or one is not a str.
        ValueError: if one is not valid Unicode.
    """
    return prompts.list_texts(list_arrays(texts), name)
