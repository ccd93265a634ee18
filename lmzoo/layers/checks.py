"""The arguments of layers: checks, with the same messages everywhere, and what configs hold."""

import collections.abc
import inspect
import math

import keras
import numpy as np

__all__ = [
    "check_choice",
    "check_even",
    "check_inputs",
    "check_length",
    "check_positive",
    "check_rate",
    "check_size",
    "list_arguments",
]

# What other libraries call the inputs of a model.
_OTHER_NAMES = {
    "input_ids": "token_ids",
    "attention_mask": "padding_mask",
    "token_type_ids": "segment_ids",
    "decoder_input_ids": "decoder_token_ids",
    "decoder_attention_mask": "decoder_padding_mask",
}


def check_size(least=1, /, **sizes):
    """Raises unless every size is a whole number of at least `least`.

    Args:
        least: int.
        **sizes: the arguments under their own names; None is let through.
    Raises:
        TypeError: if one is not an int.
        ValueError: if one is below `least`.
    """
    rule = "positive" if least == 1 else f"at least {least}"
    for name, size in sizes.items():
        if size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"`{name}` must be an int. Received: {name}={size!r}.")
        if size < least:
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={size}.")


def check_choice(choices, **values):
    """Raises ValueError unless every value is one of the choices, which are str."""
    for name, value in values.items():
        if value not in choices:
            raise ValueError(
                f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value!r:.80}."
            )


def check_positive(**values):
    """Raises ValueError unless every value is a finite number above 0; None is let through."""
    for name, value in values.items():
        if value is not None and not (_is_number(value) and 0 < value < math.inf):
            raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}.")


def check_rate(**rates):
    """Raises ValueError unless every rate is at least 0 and below 1."""
    for name, rate in rates.items():
        if not (_is_number(rate) and 0 <= rate < 1):
            raise ValueError(f"`{name}` must be in [0, 1). Received: {name}={rate!r}.")


def check_even(**sizes):
    """Raises ValueError if a size is odd."""
    for name, size in sizes.items():
        if size % 2:
            raise ValueError(f"`{name}` must be even. Received: {name}={size}.")


def check_length(length, max_sequence_length):
    """Raises ValueError if a length is known and more than there are positions."""
    if length is not None and length > max_sequence_length:
        raise ValueError(
            "The sequence must not be longer than `max_sequence_length`. Received: "
            f"length={length}, max_sequence_length={max_sequence_length}. Truncate the input."
        )


def _is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def check_inputs(inputs, required, known=()):
    """Raises TypeError or ValueError unless a model's inputs are a dict with the right names.

    Args:
        inputs: what a model was called on.
        required: tuple of str. The names that must be there.
        known: the names that may be there. Other names pass, but those of other libraries.
    """
    names = " and ".join(f"`{name}`" for name in required)
    if not isinstance(inputs, collections.abc.Mapping):
        raise TypeError(f"`inputs` must be a dict with {names}. Received: {type(inputs).__name__}.")
    for name in inputs:
        ours = _OTHER_NAMES.get(name)
        if ours is not None:
            ours = next((own for own in (ours, f"encoder_{ours}") if own in known), ours)
            raise ValueError(
                f"`inputs` must name its entries as this library does. Received: {name}. "
                f"Rename it to `{ours}`."
            )
    for name in required:
        if name not in inputs:
            raise ValueError(
                f"`inputs` must have {names}. Received: {', '.join(inputs)}, without `{name}`."
            )


def list_arguments(layer, owner):
    """The arguments of a layer as its config holds them.

    Args:
        layer: keras.layers.Layer. It has each argument as an attribute of the same name.
        owner: the class of the layer, or a base class, whose `__init__` has the arguments.
    Returns:
        dict of name -> value, with initializers in their serialized form.
    """
    arguments = {}
    for name, parameter in inspect.signature(owner.__init__).parameters.items():
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            value = getattr(layer, name)
            is_initializer = isinstance(value, keras.initializers.Initializer)
            arguments[name] = keras.initializers.serialize(value) if is_initializer else value
    return arguments
