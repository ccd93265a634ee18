"""The private parts of Keras and TensorFlow that lmzoo overrides or reads, each with its reason.

They were read in Keras 3.15.1 and TensorFlow 2.21.0. `tests/test_keras_seams.py` has a test for
each, which says in words what upstream changed when it fails. No other module may use a private
name of Keras; `tests/test_house.py` looks for them.
"""

import keras

__all__ = [
    "TrainerSeams",
    "get_loss_tracker",
    "list_layers",
    "set_input_shapes",
    "set_loss_tracker",
]


class TrainerSeams:
    """A mixin before `keras.Model`: what `fit` and `evaluate` do under a tf.distribute strategy."""

    def _get_metrics_result_or_logs(self, logs):
        """The metrics that a step reports, aggregated over all replicas.

        Overrides `keras.src.trainers.trainer.Trainer._get_metrics_result_or_logs`, which Keras
        calls at the end of an epoch. Where a step reports only some of the metrics, Keras returns
        the logs of the step, and these are the numbers of one replica.
        """
        results = self.get_metrics_result()
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
        strategy = self._distribute_strategy
        if strategy is None or iterator is None:
            return super()._maybe_symbolic_build(iterator, data_batch)
        specs = iterator.data_adapter.get_tf_dataset().element_spec
        # A dataset that is already distributed has one spec for each replica.
        specs = keras.tree.map_structure(
            lambda spec: getattr(spec, "_value_specs", [spec])[0], specs
        )
        with strategy.scope():
            self._symbolic_build(data_batch=specs)


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
