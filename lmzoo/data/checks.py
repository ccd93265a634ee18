"""Refusing arguments that cannot work, in the same words for every dataset."""

import numbers

from lmzoo.text_files.checks import check_at_least, describe_value

__all__ = ["check_at_least", "check_initial_step", "check_seed", "check_sizes", "describe_value"]


def check_sizes(sequence_length, batch_size):
    """Refuses sizes that are not positive integers: ValueError. Returns them by their names."""
    sizes = {"sequence_length": sequence_length, "batch_size": batch_size}
    check_at_least(1, **sizes)
    return sizes


def check_initial_step(initial_epoch, initial_step):
    """Refuses a step that is not a pair of integers of at least 0: ValueError."""
    check_at_least(0, initial_epoch=initial_epoch, initial_step=initial_step)


def check_seed(seed):
    """Refuses a seed that is not an integer.

    Raises:
        TypeError: if it is not.
    """
    if not isinstance(seed, numbers.Integral):
        raise TypeError(f"`seed` must be an integer. Received: seed={seed!r}.")
