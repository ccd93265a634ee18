"""Gradient accumulation: a batch in parts, with the gradient of the whole."""

import keras
import tensorflow as tf

from lmzoo.keras_seams import get_loss_tracker
from lmzoo.tasks.losses import count_terms, sum_over_replicas

__all__ = ["accumulated_train_step"]


def accumulated_train_step(task, data, num_parts):
    """One step of training whose batch is computed in parts, one after the other.

    Each part weighs as much as the terms (tokens, rows) that its loss is a mean of. So the gradient
    is that of the whole batch, however tokens are spread over its rows, and the optimizer makes one
    step. Memory is that of one part and one gradient. A loss that compares the rows of a batch, as
    that of a `TextEmbedder` with negatives, compares those of a part.

    Args:
        task: a compiled task of `lmzoo.tasks`.
        data: the batch of one replica, as `keras.Model.train_step` takes it, with B rows.
        num_parts: int, n. Each part has ceil(B / n) rows, the last ones fewer or none.
    Returns:
        dict of name to number: the logs of the step.
    """
    rows = tf.shape(tf.nest.flatten(data)[0])[0]
    size = tf.maximum(1, -(-rows // num_parts))
    _, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    own = count_terms(task.loss, y, sample_weight)
    total, num_replicas = (None, 1) if own is None else sum_over_replicas(own)
    weights = task.trainable_weights
    without_gradient, reported = set(), set()

    def add_part(start, loss, gradients):
        part = tf.nest.map_structure(lambda values: values[start : start + size], data)
        part_loss, part_gradients, logs = _compute_part(task, part, weights, total, num_replicas)
        reported.update(logs)
        for index, gradient in enumerate(part_gradients):
            if gradient is None:
                without_gradient.add(index)
        sums = [
            whole if one is None else whole + tf.cast(tf.convert_to_tensor(one), whole.dtype)
            for whole, one in zip(gradients, part_gradients, strict=True)
        ]
        return start + size, loss + part_loss, sums

    zeros = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
    _, loss, gradients = tf.while_loop(
        lambda start, *_: start < rows,
        add_part,
        (tf.constant(0), tf.constant(0.0), zeros),
        parallel_iterations=1,
    )
    tracker = get_loss_tracker(task)
    if total is not None:
        tracker.set_next_weight(total / num_replicas)
    tracker.update_state(loss * num_replicas, sample_weight=rows)
    gradients = [
        None if index in without_gradient else gradient for index, gradient in enumerate(gradients)
    ]
    task.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    results = task.get_metrics_result()
    # A task may report some of its metrics alone.
    return {name: value for name, value in results.items() if name in reported}


def _compute_part(task, part, weights, total, num_replicas):
    """A part's share of the loss of the batch, float32 scalar; its gradients; the metrics."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(part)
    with tf.GradientTape() as tape:
        predictions = task(x, training=True)
        # Without the weighing by replicas of `Task.compute_loss`, which is done here.
        loss = task.compute_batch_loss(x, y, predictions, sample_weight, training=True)
        if total is not None:
            own = count_terms(task.loss, y, sample_weight)
            loss *= tf.cast(num_replicas * tf.math.divide_no_nan(own, total), loss.dtype)
        scaled = task.optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, weights)
    logs = task.compute_metrics(x, y, predictions, sample_weight=sample_weight)
    return tf.cast(loss, tf.float32), gradients, logs
