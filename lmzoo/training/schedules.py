"""Learning rates that rise to a peak and fall again, over steps or tokens."""

import math
import numbers

import keras
from keras import ops

__all__ = ["WarmupCosine", "WarmupInverseSquareRoot", "WarmupLinear", "WarmupStableDecay"]


class _Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to `learning_rate` in `warmup` steps, then `fall` of a subclass.

    A subclass lists in `lengths` those of its arguments that count steps. With `tokens_per_step`
    they count tokens instead.
    """

    lengths = ("warmup",)

    def _set(self, learning_rate, tokens_per_step, **lengths):
        check = {"learning_rate": learning_rate, **lengths}
        if tokens_per_step is not None:
            check["tokens_per_step"] = tokens_per_step
        for name, value in check.items():
            if isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}.")
            lowest = 0 if name in ("warmup", "cooldown") else math.ulp(0.0)
            if not lowest <= value < math.inf:
                rule = "at least 0" if lowest == 0 else "above 0"
                raise ValueError(f"`{name}` must be finite and {rule}. Received: {name}={value!r}.")
        self.learning_rate = learning_rate
        self.tokens_per_step = tokens_per_step
        # Their own names, as arguments; in steps, as the formulas have them.
        vars(self).update(lengths)
        self._steps = {name: value / (tokens_per_step or 1) for name, value in lengths.items()}
        if "total" in lengths and not sum(lengths.values()) - lengths["total"] < lengths["total"]:
            others = " and ".join(f"`{name}`" for name in lengths if name != "total")
            received = ", ".join(f"{name}={value!r}" for name, value in lengths.items())
            raise ValueError(f"`total` must be more than {others} together. Received: {received}.")

    def __call__(self, step):
        step = ops.cast(step, "float32")
        share = self.fall(step)
        if self._steps["warmup"]:
            rise = (step + 1) / self._steps["warmup"]
            share = ops.where(step < self._steps["warmup"], ops.minimum(rise, 1.0), share)
        return self.learning_rate * share

    def _progress(self, step, first):
        """How much of the way from step `first` to the last one is done, from 0 to 1."""
        return ops.clip((step - first) / (self._steps["total"] - first), 0.0, 1.0)

    def get_config(self):
        names = ("learning_rate", *self.lengths, "tokens_per_step")
        return {name: getattr(self, name) for name in names}


class _WarmupToEnd(_Warmup):
    lengths = ("warmup", "total")

    def __init__(self, learning_rate, warmup, total, end_share=0.0, tokens_per_step=None):
        self._set(learning_rate, tokens_per_step, warmup=warmup, total=total)
        self.end_share = _check_share(end_share)

    def get_config(self):
        return {**super().get_config(), "end_share": self.end_share}


@keras.saving.register_keras_serializable(package="lmzoo")
class WarmupCosine(_WarmupToEnd):
    """A linear warm-up, then half a cosine down to a share of the peak.

    The first step has 1 / warmup of the peak, so that it is not lost.

    Args:
        learning_rate: float. The peak.
        warmup: int. The steps, or tokens, of the rise; 0 for none.
        total: int. The steps, or tokens, of the whole run. The rate stays what it is after it.
        end_share: float in [0, 1]. What is left of the peak at the end.
        tokens_per_step: int or None. B times T. If given, `warmup` and `total` count tokens.
    Raises:
        TypeError: if an argument is not a number.
        ValueError: if one is out of its range, or `total` is not above `warmup`.
    Reference: Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, section 3.
    Example:
        >>> schedule = WarmupCosine(1e-3, warmup=10, total=110)
        >>> [round(float(schedule(step)), 6) for step in (0, 9, 60, 110)]
        [0.0001, 0.001, 0.0005, 0.0]
    """

    def fall(self, step):
        progress = self._progress(step, self._steps["warmup"])
        share = 0.5 * (1 + ops.cos(math.pi * progress))
        return self.end_share + (1 - self.end_share) * share


@keras.saving.register_keras_serializable(package="lmzoo")
class WarmupLinear(_WarmupToEnd):
    """A linear warm-up, then a straight line down to a share of the peak.

    The arguments are those of `WarmupCosine`.

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.2.
    """

    def fall(self, step):
        progress = self._progress(step, self._steps["warmup"])
        return 1 - (1 - self.end_share) * progress


@keras.saving.register_keras_serializable(package="lmzoo")
class WarmupInverseSquareRoot(_Warmup):
    """A linear warm-up, then a fall with the square root of the step: no end has to be known.

    Args:
        learning_rate: float. The peak, which step `warmup` has.
        warmup: int, above 0. The steps, or tokens, of the rise.
        tokens_per_step: int or None. B times T. If given, `warmup` counts tokens.
    Raises:
        TypeError: if an argument is not a number.
        ValueError: if one is out of its range.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 5.3.
    """

    def __init__(self, learning_rate, warmup, tokens_per_step=None):
        self._set(learning_rate, tokens_per_step, warmup=warmup)
        if not warmup:
            raise ValueError(f"`warmup` must be above 0. Received: warmup={warmup!r}.")

    def fall(self, step):
        return ops.sqrt(self._steps["warmup"] / ops.maximum(step, self._steps["warmup"]))


@keras.saving.register_keras_serializable(package="lmzoo")
class WarmupStableDecay(_Warmup):
    """A linear warm-up, a constant rate, and a linear cooldown at the end (WSD).

    Args:
        learning_rate: float. The rate between warm-up and cooldown.
        warmup: int. The steps, or tokens, of the rise; 0 for none.
        total: int. The steps, or tokens, of the whole run.
        cooldown: int. The steps, or tokens, of the fall before the end; 0 for none.
        end_share: float in [0, 1]. What is left of the rate at the end.
        tokens_per_step: int or None. B times T. If given, the lengths count tokens.
    Raises:
        TypeError: if an argument is not a number.
        ValueError: if one is out of its range, or `total` is not above `warmup` and `cooldown`
            together.
    Reference: Hu et al. 2024, https://arxiv.org/abs/2404.06395, section 4.
    """

    lengths = ("warmup", "total", "cooldown")

    def __init__(self, learning_rate, warmup, total, cooldown, end_share=0.0, tokens_per_step=None):
        self._set(learning_rate, tokens_per_step, warmup=warmup, total=total, cooldown=cooldown)
        self.end_share = _check_share(end_share)

    def fall(self, step):
        if not self._steps["cooldown"]:
            return ops.ones_like(step)
        progress = self._progress(step, self._steps["total"] - self._steps["cooldown"])
        return 1 - (1 - self.end_share) * progress

    def get_config(self):
        return {**super().get_config(), "end_share": self.end_share}


def _check_share(end_share):
    if isinstance(end_share, bool) or not isinstance(end_share, numbers.Real):
        raise TypeError(f"`end_share` must be a number. Received: end_share={end_share!r}.")
    if not 0 <= end_share <= 1:
        raise ValueError(f"`end_share` must be in [0, 1]. Received: end_share={end_share!r}.")
    return end_share
