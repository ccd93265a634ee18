"""Optimizers whose gradient is the same on one device and on many."""

import numbers

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmzoo.keras_seams import OptimizerSeams
from lmzoo.tracing import trace_once

__all__ = ["Adafactor", "AdamW", "Lion", "Muon"]

# From this size on a compiled update saves more in a hundred steps than its compilation takes.
_MIN_COMPILED_PARAMETERS = 20_000_000


class _Summed(OptimizerSeams):
    """What the optimizers of this file have in common, before a class of Keras.

    Gradients are made dense and summed over the replicas of a strategy. Then they are clipped, and
    weights are decayed and updated.

    Args:
        jit_compile: bool or "auto". Whether XLA compiles the whole update as one function. "auto"
            is True for at least 20 million parameters on one device.
        layer_decay: float in (0, 1] or None. A factor on the learning rate, and so on the weight
            decay, for each layer below the head: n from the top, a block has layer_decay ** n of
            the learning rate, and the embeddings have one factor more than the lowest block. Only
            in a task, whose `fit` says where a weight is.
        *args, **kwargs: those of the class of Keras.
    Attributes:
        gradient_norm: float32 variable. The global norm of the last gradient, before clipping.
        bad_replica: float32 variable. The first replica whose last gradient was not finite, counted
            from 1; 0 if there is none, or one replica alone.
    Raises:
        TypeError: if `jit_compile` is neither a bool nor "auto", or `layer_decay` is no number.
        ValueError: if `layer_decay` is out of its range or used without a task, or
            `gradient_accumulation_steps` is given.
    Reference: Clark et al. 2020, https://arxiv.org/abs/2003.10555, appendix B, for `layer_decay`.
    """

    _scales = None

    def __init__(self, *args, jit_compile="auto", layer_decay=None, **kwargs):
        if jit_compile not in (True, False, "auto"):
            raise TypeError(
                f'`jit_compile` must be a bool or "auto". Received: jit_compile={jit_compile!r}.'
            )
        if steps := kwargs.get("gradient_accumulation_steps"):
            raise ValueError(
                "`gradient_accumulation_steps` must be given to `compile`, which weighs the parts "
                f"of a batch by their tokens. Received: gradient_accumulation_steps={steps!r}."
            )
        if layer_decay is not None:
            if isinstance(layer_decay, bool) or not isinstance(layer_decay, numbers.Real):
                raise TypeError(
                    "`layer_decay` must be a number or None. Received: "
                    f"layer_decay={layer_decay!r}."
                )
            if not 0 < layer_decay <= 1:
                raise ValueError(
                    f"`layer_decay` must be in (0, 1]. Received: layer_decay={layer_decay!r}."
                )
        super().__init__(*args, **kwargs)
        self.jit_compile = jit_compile
        self.layer_decay = layer_decay
        vars(self)["_compiled"] = {}

    def set_layers(self, distances):
        """Tells how far from the top each weight is; `lmzoo.tasks.Task.fit` calls it.

        Args:
            distances: dict of id of a variable to int. Others are at the top, 0.
        """
        decay = self.layer_decay
        vars(self)["_scales"] = {key: decay**distance for key, distance in distances.items()}

    def group_by_scale(self, variables):
        """(factor on the learning rate, indices, variables) of those that have the same factor."""
        groups = {}
        for index, variable in enumerate(variables):
            scale = self._scales.get(id(variable), 1.0) if self._scales else 1.0
            groups.setdefault(scale, []).append(index)
        return [
            (scale, indices, [variables[index] for index in indices])
            for scale, indices in groups.items()
        ]

    def build(self, variables):
        if self.layer_decay is not None and self._scales is None:
            raise ValueError(
                "`layer_decay` must be used in a task, which knows the layers of its weights. "
                f"Received: layer_decay={self.layer_decay} in an optimizer without one."
            )
        if not self.built:
            for name in ("gradient_norm", "bad_replica"):
                added = self.add_variable(
                    (), dtype="float32", aggregation="only_first_replica", name=name
                )
                setattr(self, name, added)
        super().build(variables)

    def decays(self, variable):
        """Whether a variable may be decayed: matrices are, biases, scales and shifts are not."""
        return len(variable.shape) >= 2

    def measure_gradients(self, gradients):
        squares = [ops.sum(ops.square(ops.cast(one, "float32"))) for one in gradients]
        self.gradient_norm.assign(ops.sqrt(sum(squares)))

    def update_variables(self, update, gradients, variables):
        """Runs `update(gradients, variables)`, compiled by XLA where that was chosen."""
        if not self.compiles(variables):
            return update(gradients, variables)
        # A trace for each set of variables: some may have no gradient in another loss.
        key = tuple(id(variable) for variable in variables)
        if key not in self._compiled:
            variables = list(variables)
            self._compiled[key] = trace_once(
                lambda gradients: update(list(gradients), variables), jit_compile=True
            )
        self._compiled[key](tuple(gradients))

    def compiles(self, variables):
        """Whether XLA compiles the update of these variables."""
        if self.jit_compile != "auto":
            return self.jit_compile
        size = sum(int(np.prod(variable.shape)) for variable in variables)
        return size >= _MIN_COMPILED_PARAMETERS and not tf.distribute.has_strategy()

    def get_config(self):
        names = ("jit_compile", "layer_decay")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="lmzoo")
class AdamW(_Summed, keras.optimizers.AdamW):
    """Adam with decoupled weight decay, of matrices alone.

    The arguments are those of `keras.optimizers.AdamW`, `jit_compile` and `layer_decay`.
    `jit_compile` is a bool, or "auto" for True with at least 20 million parameters on one device.
    `layer_decay` is a factor on the learning rate for each layer below the head. Under a strategy,
    gradients are summed over the replicas before `clipnorm`, `global_clipnorm` or `clipvalue` clips
    them.

    Reference: Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101.
    Example:
        >>> optimizer = lmzoo.training.AdamW(1e-3, weight_decay=0.1, global_clipnorm=1.0)
        >>> optimizer.jit_compile
        'auto'
    """


@keras.saving.register_keras_serializable(package="lmzoo")
class Adafactor(_Summed, keras.optimizers.Adafactor):
    """Adaptive learning rates from factored second moments: memory of n + m for an n x m matrix.

    The arguments are those of `keras.optimizers.Adafactor`, with `jit_compile` and `layer_decay`,
    see `AdamW`.

    Reference: Shazeer and Stern 2018, https://arxiv.org/abs/1804.04235.
    """


@keras.saving.register_keras_serializable(package="lmzoo")
class Lion(_Summed, keras.optimizers.Lion):
    """The sign of an interpolated momentum, with decoupled weight decay of matrices alone.

    The arguments are those of `keras.optimizers.Lion`, with `jit_compile` and `layer_decay`, see
    `AdamW`.

    Reference: Chen et al. 2023, https://arxiv.org/abs/2302.06675.
    """


@keras.saving.register_keras_serializable(package="lmzoo")
class Muon(_Summed, keras.optimizers.Muon):
    """Momentum, orthogonalized for matrices; AdamW for embeddings and vectors.

    The arguments are those of `keras.optimizers.Muon`, with `jit_compile` and `layer_decay`, see
    `AdamW`.

    Reference: Jordan et al. 2024, https://github.com/KellerJordan/Muon; Liu et al. 2025,
        https://arxiv.org/abs/2502.16982.
    """
