"""Loss scaling for float16, right with replicas and bounded from below."""

import keras
import tensorflow as tf
from keras import ops

from lmzoo.keras_seams import LossScaleSeams, receive_sums, sum_gradients

__all__ = ["LossScaleOptimizer"]


@keras.saving.register_keras_serializable(package="lmzoo")
class LossScaleOptimizer(LossScaleSeams, keras.optimizers.LossScaleOptimizer):
    """Scales the loss so that gradients in float16 do not underflow.

    It differs from `keras.optimizers.LossScaleOptimizer` in three ways. Gradients are summed over
    the replicas before it looks for infinities, so that all replicas skip a step of which one
    overflows. The scale has a floor. Steps that are skipped are counted, and too many in a row are
    an error.

    Args:
        inner_optimizer: keras.optimizers.Optimizer, which updates the weights.
        initial_scale: float. The scale of the first step.
        dynamic_growth_steps: int. After so many finite steps in a row the scale is doubled.
        min_scale: float, above 0. The scale is not halved below it.
        max_skipped_in_a_row: int, at least 1. The step after so many skipped ones raises.
        name: str or None.
    Attributes:
        skipped_steps: int variable. All steps that were skipped.
        skipped_in_a_row: int variable. Those since the last update.
    Raises:
        ValueError: if an argument is out of its range.
    Reference: Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740, section 3.2.
    """

    def __init__(
        self,
        inner_optimizer,
        initial_scale=2.0**15,
        dynamic_growth_steps=2000,
        min_scale=1.0,
        max_skipped_in_a_row=20,
        name=None,
        **kwargs,
    ):
        if not 0 < min_scale <= initial_scale:
            raise ValueError(
                "`min_scale` must be above 0 and at most `initial_scale`. Received: "
                f"min_scale={min_scale!r}, initial_scale={initial_scale!r}."
            )
        if max_skipped_in_a_row < 1:
            raise ValueError(
                "`max_skipped_in_a_row` must be at least 1. Received: "
                f"max_skipped_in_a_row={max_skipped_in_a_row!r}."
            )
        super().__init__(inner_optimizer, initial_scale, dynamic_growth_steps, name, **kwargs)
        self.min_scale = min_scale
        self.max_skipped_in_a_row = max_skipped_in_a_row
        receive_sums(inner_optimizer)

    def build(self, variables):
        if not self.built:
            self.skipped_steps, self.skipped_in_a_row = (
                self.add_variable((), dtype="int", initializer="zeros", name=name)
                for name in ("skipped_steps", "skipped_in_a_row")
            )
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        super().apply(sum_gradients(grads)[0], trainable_variables)

    def skip(self):
        """Halves the scale down to its floor, counts, and raises after too many."""
        self.step_counter.assign(0)
        self.dynamic_scale.assign(ops.maximum(self.dynamic_scale * 0.5, self.min_scale))
        self.skipped_steps.assign_add(1)
        self.skipped_in_a_row.assign_add(1)
        tf.debugging.assert_less_equal(
            ops.cast(self.skipped_in_a_row, "int32"),
            self.max_skipped_in_a_row,
            f"Gradients must be finite. More than {self.max_skipped_in_a_row} steps in a row were "
            "skipped: weights, data or the loss hold NaN or infinity, or float16 is too narrow for "
            "this model. Train it in mixed_bfloat16.",
        )

    def note_update(self):
        """Counts anew after a step that updated the weights."""
        self.skipped_in_a_row.assign(0)

    def get_config(self):
        return {
            **super().get_config(),
            "min_scale": self.min_scale,
            "max_skipped_in_a_row": self.max_skipped_in_a_row,
        }
