"""The private parts of Keras and TensorFlow that lmzoo overrides or reads, each with its reason.

They were read in Keras 3.15.1 and TensorFlow 2.21.0. `tests/test_keras_seams.py` has a test for
each, which says in words what upstream changed when it fails. No other module may use a private
name of Keras; `tests/test_house.py` looks for them.
"""

import keras

__all__ = [
    "KERNEL",
    "LossScaleSeams",
    "OptimizerSeams",
    "TrainerSeams",
    "build_metrics",
    "correct_optimizer",
    "forget_fit_start",
    "get_loss_tracker",
    "holds_averages",
    "list_averages",
    "list_called_graphs",
    "list_layers",
    "name_missing_logs",
    "receive_sums",
    "replace_weight",
    "set_input_shapes",
    "set_loss_tracker",
    "set_monitor_direction",
    "start_fit_at",
    "sum_gradients",
    "unwrap_quantize",
    "write_fingerprint",
]


# The attribute in which `keras.layers.Dense` keeps its kernel. `kernel` computes what is read.
KERNEL = "_kernel"


class TrainerSeams:
    """A mixin before `keras.Model`: what `fit` and `evaluate` do under a tf.distribute strategy."""

    def _get_metrics_result_or_logs(self, logs):
        """The metrics that a step reports, aggregated over all replicas.

        Overrides `keras.src.trainers.trainer.Trainer._get_metrics_result_or_logs`, which Keras
        calls at the end of an epoch. Where a step reports only some of the metrics, Keras returns
        the logs of the step, and these are the numbers of one replica. An epoch that goes on after
        its last step has no logs; see `name_missing_logs`.
        """
        results = self.get_metrics_result()
        logs = logs or dict.fromkeys(vars(self).pop("_missing_logs", ()))
        return {name: results.get(name, logs[name]) for name in logs}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds the metrics and the loss from the shapes that a dataset declares.

        Overrides `keras.src.backend.tensorflow.trainer.TensorFlowTrainer._maybe_symbolic_build`,
        which Keras calls before it trains under a strategy. Keras takes the mean of the first batch
        over the replicas to learn its shape. That fails for boolean masks, and for the replicas of
        several workers. It also reads one batch too many from a dataset that counts its epochs.
        The element spec of the dataset has all shapes. Read for that are
        `Trainer._distribute_strategy`, `Trainer._symbolic_build`, `EpochIterator.data_adapter` and
        TensorFlow's `PerReplicaSpec._value_specs`.
        """
        if iterator is not None:
            vars(self)["_fit_iterator"] = iterator
        if self._distribute_strategy is None or iterator is None:
            return super()._maybe_symbolic_build(iterator, data_batch)
        self._build_from_specs(iterator)

    def _build_from_specs(self, iterator):
        """Builds metrics and loss from the element spec of what an iterator of Keras reads."""
        specs = iterator.data_adapter.get_tf_dataset().element_spec
        # A dataset that is already distributed has one spec for each replica.
        specs = keras.tree.map_structure(
            lambda spec: getattr(spec, "_value_specs", [spec])[0], specs
        )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=specs)

    def _make_function(self, step_function):
        """The traced step, whose numbers have a dimension to reduce over where Keras wants one.

        Overrides `keras.src.backend.tensorflow.trainer.TensorFlowTrainer._make_function`. With
        several workers Keras reduces the logs of a step over their first dimension, and a scalar
        has none. Its `reduce_per_replica` then raises "Invalid reduction dimension 0".
        """
        import tensorflow as tf

        if not isinstance(self._distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return super()._make_function(step_function)

        def step(data):
            logs = step_function(data)
            return keras.tree.map_structure(lambda value: tf.reshape(value, [1]), logs)

        return super()._make_function(step)


def sum_gradients(gradients):
    """Sums the gradients of all replicas; outside of replicas it only makes them dense.

    A clipped norm must be that of the whole gradient. Keras clips the gradient of each replica, and
    it counts the rows of a sparse one (`tf.IndexedSlices`) one by one, of which several may be the
    same row.

    Args:
        gradients: list of tensors, tf.IndexedSlices and None.
    Returns:
        list of dense tensors and None, the same on each replica; and float32 scalar: the first
        replica whose gradient is not finite, counted from 1; 0 if there is none or one replica.
    """
    import tensorflow as tf

    dense = [None if one is None else tf.convert_to_tensor(one) for one in gradients]
    context = tf.distribute.get_replica_context()
    present = [one for one in dense if one is not None]
    if context is None or context.num_replicas_in_sync == 1 or not present:
        return dense, tf.zeros(())
    is_finite = [tf.reduce_all(tf.math.is_finite(one)) for one in present]
    # In the dtype of a gradient: several workers send all of them as one tensor.
    dtype = present[0].dtype
    own = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, dtype=dtype)
    is_bad = own * tf.cast(~tf.reduce_all(is_finite), dtype)
    *summed, is_bad = context.all_reduce(tf.distribute.ReduceOp.SUM, [*present, is_bad])
    summed = iter(summed)
    first = tf.where(tf.reduce_any(is_bad > 0), tf.argmax(is_bad) + 1, 0)
    sums = [None if one is None else next(summed) for one in dense]
    return sums, tf.cast(first, tf.float32)


def correct_optimizer(optimizer):
    """Makes an optimizer of Keras sum gradients over replicas before it clips and scales them.

    Those of `lmzoo.training` do so by themselves.

    Replaces, on this one object, `apply` and `keras.src.backend.tensorflow.optimizer.TFOptimizer.
    _all_reduce_sum_gradients`, by which Keras sums after clipping. Of a
    `keras.optimizers.LossScaleOptimizer`, which looks for infinities before any sum, the inner
    optimizer gets its sums from the outer one.
    """
    if isinstance(optimizer, OptimizerSeams | LossScaleSeams) or "apply" in vars(optimizer):
        return
    own_apply = optimizer.apply

    def apply(grads, trainable_variables=None):
        own_apply(sum_gradients(grads)[0], trainable_variables)

    vars(optimizer)["apply"] = apply
    receive_sums(getattr(optimizer, "inner_optimizer", optimizer))


def receive_sums(optimizer):
    """Tells an optimizer that `apply` will be given gradients that are summed over replicas."""
    if isinstance(optimizer, OptimizerSeams):
        optimizer.gradients_are_summed = True
    else:
        vars(optimizer)["_all_reduce_sum_gradients"] = list


class OptimizerSeams:
    """A mixin before a Keras optimizer: gradients are summed over replicas, then clipped.

    Subclasses have `update_variables(update, gradients, variables)`, `decays(variable)`,
    `measure_gradients(gradients)` and `group_by_scale(variables)`, which gives triples of a factor
    on the learning rate, indices and variables.

    Attributes:
        gradients_are_summed: bool. Whether `apply` is given sums, as by a loss scale around it.
    """

    gradients_are_summed = False
    _scale = 1.0

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is not None and not self.built:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        if self.built and not self.gradients_are_summed:
            grads, bad_replica = sum_gradients(grads)
            self.bad_replica.assign(bad_replica)
        super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sums nothing: `apply` has done it.

        Overrides `keras.src.backend.tensorflow.optimizer.TFOptimizer._all_reduce_sum_gradients`.
        """
        return list(grads_and_vars)

    def _backend_apply_gradients(self, grads, trainable_variables):
        """Clips, decays and updates.

        Overrides `keras.src.optimizers.base_optimizer.BaseOptimizer._backend_apply_gradients`.
        """
        self.update_variables(super()._backend_apply_gradients, grads, trainable_variables)

    def _clip_gradients(self, grads):
        """Overrides `BaseOptimizer._clip_gradients`, which is given the whole gradient."""
        self.measure_gradients(grads)
        return super()._clip_gradients(grads)

    def _get_current_learning_rate(self):
        """Overrides `BaseOptimizer._get_current_learning_rate`, which weight decay reads too."""
        rate = super()._get_current_learning_rate()
        return rate if self._scale == 1 else rate * self._scale

    def _apply_weight_decay(self, variables):
        """Overrides the method of `BaseOptimizer` and `keras.optimizers.Muon`: by learning rate."""
        # Replicas are threads, of which each sets the same factor before they meet in a merge call.
        for scale, _, group in self.group_by_scale(variables):
            vars(self)["_scale"] = scale
            super()._apply_weight_decay(group)
        vars(self)["_scale"] = 1.0

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Overrides `TFOptimizer._backend_update_step`: one call for each learning rate."""
        for scale, indices, group in self.group_by_scale(trainable_variables):
            rate = learning_rate if scale == 1 else learning_rate * scale
            super()._backend_update_step([grads[index] for index in indices], group, rate)

    def _use_weight_decay(self, variable):
        """Overrides `BaseOptimizer._use_weight_decay`, which reads the list of exceptions."""
        return self.decays(variable) and super()._use_weight_decay(variable)


class LossScaleSeams:
    """A mixin before `keras.optimizers.LossScaleOptimizer`: a step that is skipped calls `skip`."""

    def _stateful_handle_non_finite_grads(self):
        """Overrides the method of `LossScaleOptimizer` that halves the scale, without a floor."""
        self.skip()

    def _stateful_handle_finite_grads(self, grads, trainable_variables):
        """Overrides the method of `LossScaleOptimizer` that updates and may double the scale."""
        super()._stateful_handle_finite_grads(grads, trainable_variables)
        self.note_update()


def get_loss_tracker(model):
    """The metric that averages the loss over the batches of an epoch.

    Reads `keras.src.trainers.trainer.Trainer._loss_tracker`, for which Keras has no public name.
    """
    return model._loss_tracker


def set_loss_tracker(model, tracker):
    """Replaces the metric that averages the loss; to be called after `compile`.

    Keras weighs each batch by its number of rows. A loss that is a mean over tokens must be weighed
    by the number of tokens. Written past `keras.Model.__setattr__`, which would list the tracker
    among the model's own metrics a second time.
    """
    vars(model)["_loss_tracker"] = tracker


def set_input_shapes(model, names):
    """Tells `keras.Model.export` the inputs of a model that was called on a dict of (B, T).

    Writes `keras.src.layers.layer.Layer._build_shapes_dict`, which Keras fills in `build` and which
    `keras.src.export.export_utils.get_input_signature` reads. A task is built with its backbone, so
    that Keras never calls its `build`.
    """
    if names:
        vars(model)["_build_shapes_dict"] = {"inputs": {name: (None, None) for name in names}}


def list_layers(model):
    """All layers of a model, those inside of other layers too.

    Calls `keras.src.layers.layer.Layer._flatten_layers`: `keras.Model.layers` lists the outermost
    layers alone, and `keras.Layer` has no public walk.
    """
    return list(model._flatten_layers())


def list_called_graphs(op):
    """The graphs of the functions that an operation of a graph calls: list of tf.Graph.

    Calls `tensorflow.python.framework.ops.Graph._get_function`; a graph has no public way to the
    functions that its operations name.
    """
    names = [op.get_attr(each.name) for each in op.op_def.attr if each.type == "func"]
    found = (op.graph._get_function(getattr(name, "name", name)) for name in names)
    return [function.graph for function in found if function is not None]


def list_averages(optimizer):
    """(variable, its moving average) of an optimizer with `use_ema` that has made a step.

    Reads `keras.src.optimizers.base_optimizer.BaseOptimizer._model_variables_moving_average` and
    `_trainable_variables`, as `keras.callbacks.SwapEMAWeights` does.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(optimizer, "use_ema", False) or not optimizer.built:
        return []
    if not optimizer.iterations.numpy():
        return []
    averages = optimizer._model_variables_moving_average
    return list(zip(optimizer._trainable_variables, averages, strict=True))


def holds_averages(callback):
    """Whether a callback has put the moving averages of weights into the model.

    Reads `keras.callbacks.SwapEMAWeights._ema_weights_in_model`.
    """
    return isinstance(callback, keras.callbacks.SwapEMAWeights) and callback._ema_weights_in_model


def replace_weight(layer, name, variables):
    """Gives a layer that is built other variables in place of one, whose memory is freed.

    Calls `keras.src.layers.layer.Layer._untrack_variable` and `_track_variable` with the layer's
    `_tracker` unlocked, as `keras.layers.Dense.quantize` does. Goes past `Layer.__delattr__`, which
    collects garbage for each variable: half a minute in all for a large model.

    Args:
        layer: keras.layers.Layer.
        name: str. The attribute that holds the variable; it is gone afterwards.
        variables: list of keras.Variable.
    """
    layer._untrack_variable(getattr(layer, name))
    super(keras.layers.Layer, layer).__delattr__(name)
    layer._tracker.unlock()
    for variable in variables:
        layer._track_variable(variable)
    layer._tracker.lock()


def unwrap_quantize(model):
    """Makes `quantize` of a model the method of its class.

    `keras.src.layers.layer.Layer.__new__` hides it behind a wrapper, which checks the mode by the
    quantizations of Keras and adds a config of theirs.
    """
    vars(model).pop("quantize", None)


def set_monitor_direction(callback):
    """Makes a callback choose now whether its monitored value should fall or rise.

    Calls `keras.src.callbacks.monitor_callback.MonitorCallback._set_monitor_op`, which Keras does
    at the end of the first epoch. It flips the sign of `min_delta`, so it must come before a
    remembered `min_delta` is put back, and not again.
    """
    if getattr(callback, "monitor_op", callback) is None:
        callback._set_monitor_op()


def start_fit_at(model, epoch, step):
    """Makes the `fit` that is about to begin start at a step of an epoch.

    Writes `keras.src.trainers.trainer.Trainer._initial_epoch`, and, on the iterator that `fit` has
    made, `keras.src.trainers.epoch_iterator.EpochIterator._enumerate_iterator` for one epoch. Read
    and written there are `_get_iterator`, `_current_iterator`, `_steps_seen` and `_num_batches`.
    To be called in `on_train_begin`. The data must start at that step by itself.

    Args:
        model: a model with `TrainerSeams`.
        epoch: int. The first epoch, from 0.
        step: int. How many steps of that epoch are done.
    """
    model._initial_epoch = epoch
    if not step:
        return
    iterator = vars(model)["_fit_iterator"]

    def enumerate_rest():
        del vars(iterator)["_enumerate_iterator"]
        iterator.data_adapter.on_epoch_begin()
        data = iter(iterator._get_iterator())
        iterator._current_iterator = data
        for first in range(step, iterator.num_batches, iterator.steps_per_execution):
            iterator._steps_seen = first + iterator.steps_per_execution
            yield first, first + iterator.steps_per_execution - 1, data
        iterator.data_adapter.on_epoch_end()

    vars(iterator)["_enumerate_iterator"] = enumerate_rest


def name_missing_logs(model, names):
    """Tells `fit` what an epoch reports that begins after its last step, before validation.

    Args:
        model: a model with `TrainerSeams`.
        names: list of str. The names of metrics that its steps reported.
    """
    vars(model)["_missing_logs"] = names


def build_metrics(model):
    """Makes the variables of the metrics before the first step of the `fit` that is about to begin.

    Calls `keras.src.trainers.trainer.Trainer._symbolic_build`, which draws from no seed generator
    but may leave them changed: restore them afterwards.
    """
    model._build_from_specs(vars(model)["_fit_iterator"])


def forget_fit_start(model):
    """Undoes `start_fit_at` at the end of `fit`, so that the next one begins at its epoch 0."""
    model._initial_epoch = None
    for name in ("_fit_iterator", "_missing_logs"):
        vars(model).pop(name, None)


def write_fingerprint(folder):
    """Writes fingerprint.pb anew in the folder of a SavedModel whose graph was rewritten.

    Calls `tensorflow.python.saved_model.fingerprinting_utils.write_fingerprint`, with which
    `tf.saved_model.save` writes it. TensorFlow can publicly read a fingerprint alone.
    """
    from tensorflow.python.saved_model import fingerprinting_utils

    fingerprinting_utils.write_fingerprint(str(folder))
