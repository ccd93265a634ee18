"""What every backbone shares: the checks of its arguments, its config and its initializers."""

import inspect

import keras

from lmzoo.layers.checks import check_positive, check_rate, check_size

__all__ = ["Backbone", "check_arguments", "make_normal", "make_truncated_normal"]


class Backbone(keras.Model):
    """A model whose arguments are kept under their own names.

    A subclass sets an attribute for each argument of its `__init__`.
    """

    def get_config(self):
        arguments = inspect.signature(type(self).__init__).parameters
        own = {name: getattr(self, name) for name in arguments if name not in ("self", "kwargs")}
        return {**super().get_config(), **own}


def check_arguments(dropout, initializers, sizes):
    """Raises unless the arguments that no layer checks are in their ranges.

    Args:
        dropout: the rate.
        initializers: dict of what scales initial weights, under the arguments' names; each may be
            0, for a model whose weights are about to be loaded.
        sizes: dict of sizes, as for `check_size`; None is let through.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if a number is out of its range.
    """
    check_size(**sizes)
    check_positive(**{name: value for name, value in initializers.items() if value != 0})
    check_rate(dropout=dropout)


def make_normal(stddev):
    """A normal initializer; zeros for a deviation of 0, which takes no time."""
    if stddev == 0:
        return keras.initializers.Zeros()
    return keras.initializers.RandomNormal(stddev=stddev)


def make_truncated_normal(stddev):
    """As `make_normal`, with values drawn again beyond two standard deviations."""
    if stddev == 0:
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(stddev=stddev)
