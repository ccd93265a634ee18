"""One dimension of a search space: a fixed value, choices, or a range."""

import dataclasses
import math

__all__ = ["Dimension", "read_dimension"]

_RANGE_KEYS = ("min", "max", "step", "log")
# A stepped range of more values than this is no list of choices any more.
_MAX_VALUES = 1000


@dataclasses.dataclass(frozen=True)
class Dimension:
    """What a hyperparameter may be.

    Args:
        name: str.
        choices: tuple of values of one type; empty for a range without steps.
        low, high: float or int. The ends of a range, both included.
        log: bool. Whether the range is sampled by its logarithm.
    """

    name: str
    choices: tuple = ()
    low: float | None = None
    high: float | None = None
    log: bool = False

    @property
    def is_fixed(self):
        """bool. Whether there is one value alone."""
        return len(self.choices) == 1 or (not self.choices and self.low == self.high)

    @property
    def fixed(self):
        """The only value, where `is_fixed`."""
        return self.choices[0] if self.choices else self.low

    @property
    def samples(self):
        """tuple. All choices, or the two ends of a range: what checks look at."""
        return self.choices or (self.low, self.high)

    def keep(self, may_stay):
        """The dimension with those of its choices for which a function says True."""
        return dataclasses.replace(self, choices=tuple(filter(may_stay, self.choices)))

    def declare(self, hp, name=None):
        """Registers the dimension with keras-tuner.

        Args:
            hp: keras_tuner.HyperParameters.
            name: str or None. Another name.
        Returns:
            The value in `hp`; None where a condition around it does not hold. A fixed dimension is
            not registered.
        """
        if self.is_fixed:
            return self.fixed
        name = name or self.name
        if self.choices:
            return hp.Choice(name, list(self.choices))
        sampling = "log" if self.log else "linear"
        make = hp.Int if isinstance(self.low, int) else hp.Float
        return make(name, self.low, self.high, sampling=sampling)

    def describe(self):
        """str, for people."""
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        return f"{self.low} to {self.high}" + (", by its logarithm" if self.log else "")


def read_dimension(name, value):
    """A dimension as it is written in Python or in TOML.

    Args:
        name: str.
        value: a str or a number for a fixed value; a list of them for choices; a tuple of two
            numbers for a range; or a dict with `min` and `max` and, optionally, `step` (the
            difference of neighbours, or with `log` their ratio) and `log` (bool).
    Returns:
        Dimension.
    Raises:
        TypeError: if a value is neither a str nor a number, or choices differ in type.
        ValueError: if there are no choices, one is there twice, or a range has no values.
    Example:
        >>> read_dimension("learning_rate", {"min": 1e-5, "max": 1e-3, "log": True}).describe()
        '1e-05 to 0.001, by its logarithm'
        >>> read_dimension("hidden_dim", {"min": 64, "max": 256, "step": 64}).choices
        (64, 128, 192, 256)
    """
    if isinstance(value, Dimension):
        return value
    if isinstance(value, dict):
        return _read_range(name, value)
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                f"`{name}` must be a range of two numbers. Received: {value!r:.80}. Write choices "
                "as a list."
            )
        return _read_range(name, {"min": value[0], "max": value[1]})
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"`{name}` must have at least one choice. Received: [].")
    if any(isinstance(each, float) for each in values):
        values = [float(each) if type(each) is int else each for each in values]
    for each in values:
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            raise TypeError(
                f"`{name}` must have choices that are strings or numbers. Received: {each!r:.80}."
            )
    if len({type(each) for each in values}) > 1:
        raise TypeError(f"`{name}` must have choices of one type. Received: {value!r:.80}.")
    if len(set(values)) < len(values):
        raise ValueError(f"`{name}` must have each choice once. Received: {value!r:.80}.")
    return Dimension(name, tuple(values))


def _read_range(name, table):
    unknown = [key for key in table if key not in _RANGE_KEYS]
    if unknown or not {"min", "max"} <= table.keys():
        raise ValueError(
            f"`{name}` must be a range with `min`, `max` and, optionally, `step` and `log`. "
            f"Received: {table!r:.100}."
        )
    low, high, step = table["min"], table["max"], table.get("step")
    log = table.get("log", False)
    for key, number in (("min", low), ("max", high), ("step", step)):
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if (number is not None or key != "step") and not (is_number and math.isfinite(number)):
            raise TypeError(f"`{name}.{key}` must be a number. Received: {number!r:.60}.")
    if not isinstance(log, bool):
        raise TypeError(f"`{name}.log` must be true or false. Received: {log!r:.60}.")
    if not low <= high:
        raise ValueError(f"`{name}.min` must not exceed `max`. Received: {low!r} and {high!r}.")
    if log and not low > 0:
        raise ValueError(f"`{name}.min` must be above 0 with `log`. Received: {low!r}.")
    if any(isinstance(each, float) for each in (low, high, step)):
        low, high = float(low), float(high)
    if step is None:
        return Dimension(name, low=low, high=high, log=log)
    if not (step > 1 if log else step > 0):
        rule = "above 1 with `log`" if log else "above 0"
        raise ValueError(f"`{name}.step` must be {rule}. Received: {step!r}.")
    return Dimension(name, _list_steps(name, low, high, step, log))


def _list_steps(name, low, high, step, log):
    values, value = [], low
    # Sums of decimal fractions miss the end by their rounding.
    while value <= high * (1 + 1e-9 * (high > 0)):
        values.append(value)
        count = len(values)
        value = low * step**count if log else low + count * step
        if count > _MAX_VALUES:
            raise ValueError(
                f"`{name}.step` must leave at most {_MAX_VALUES} values. Received: step={step!r}."
            )
    return tuple(round(each, 12) if isinstance(each, float) else each for each in values)
