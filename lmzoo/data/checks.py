"""Refusing numbers that cannot work, in the same words for every dataset."""

import numbers

__all__ = ["check_seed", "check_sizes", "check_initial_step"]


def check_sizes(sequence_length, batch_size):
    """Refuses sizes that are not positive integers.

    Raises:
        ValueError: if one is not.
    """
    for name, size in (("sequence_length", sequence_length), ("batch_size", batch_size)):
        if not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(
                f"`{name}` must be an integer of at least 1. Received: {name}={size!r}."
            )


def check_initial_step(initial_epoch, initial_step):
    """Refuses a place to begin that is not a pair of integers from 0 on.

    Raises:
        ValueError: if it is not.
    """
    for name, start in (("initial_epoch", initial_epoch), ("initial_step", initial_step)):
        if not isinstance(start, numbers.Integral) or start < 0:
            raise ValueError(
                f"`{name}` must be an integer of at least 0. Received: {name}={start!r}."
            )


def check_seed(seed):
    """Refuses a seed that is not an integer.

    Raises:
        TypeError: if it is not.
    """
    if not isinstance(seed, numbers.Integral):
        raise TypeError(f"`seed` must be an integer. Received: seed={seed!r}.")
