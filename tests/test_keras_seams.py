"""Each private part of Keras that lmzoo relies on; a failure says what upstream changed."""

import configparser
import gc
import inspect
import pathlib
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.trainers.epoch_iterator import EpochIterator

from lmzoo.keras_seams import (
    KERNEL,
    TrainerSeams,
    get_loss_tracker,
    holds_averages,
    list_averages,
    list_called_graphs,
    list_layers,
    replace_weight,
    set_input_shapes,
    set_loss_tracker,
    set_monitor_direction,
    unwrap_quantize,
)

REVIEW = "Read the new source and change lmzoo/keras_seams.py."


class Seamed(TrainerSeams, keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dense(1)])

    def call(self, inputs):
        return self.inner(inputs)


@pytest.fixture(scope="module")
def model():
    model = Seamed()
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


def test_keras_is_of_a_version_whose_private_parts_were_read():
    config = configparser.ConfigParser()
    config.read(pathlib.Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    assert "keras >= 3.15, < 3.16" in config["options"]["install_requires"]
    assert keras.__version__.startswith("3.15."), (
        f"Keras {keras.__version__} is installed, and setup.cfg allows 3.15 alone. If all tests of "
        "this file pass with it, raise the ceiling in setup.cfg and the version in keras_seams.py."
    )


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("_get_metrics_result_or_logs", ["self", "logs"]),
        ("_maybe_symbolic_build", ["self", "iterator", "data_batch"]),
        ("_symbolic_build", ["self", "iterator", "data_batch"]),
        ("_make_function", ["self", "step_function"]),
    ],
)
def test_keras_has_the_method_that_is_overridden_or_called(method, arguments):
    upstream = getattr(keras.Model, method, None)
    assert upstream is not None, f"Keras renamed or removed `Model.{method}`. {REVIEW}"
    found = list(inspect.signature(upstream).parameters)
    assert found == arguments, f"`Model.{method}` takes other arguments: {found}. {REVIEW}"


@pytest.mark.parametrize("method", ["_get_metrics_result_or_logs", "_maybe_symbolic_build"])
@pytest.mark.parametrize("caller", ["fit", "evaluate"])
def test_keras_still_calls_what_is_overridden(method, caller):
    source = inspect.getsource(getattr(keras.Model, caller))
    assert f"self.{method}(" in source, (
        f"`Model.{caller}` no longer calls `{method}`, so the override does nothing. {REVIEW}"
    )


def test_keras_still_reports_the_logs_of_one_replica_where_a_step_has_not_every_metric(model):
    plain = keras.Model._get_metrics_result_or_logs(model, {"loss": -1.0})
    assert plain == {"loss": -1.0}, (
        "Keras aggregates the metrics of a step that reports only some of them. Remove the "
        "override `_get_metrics_result_or_logs`."
    )
    ours = model._get_metrics_result_or_logs({"loss": -1.0, "other": 2.0})
    assert ours == {"loss": model.get_metrics_result()["loss"], "other": 2.0}


def test_keras_still_takes_the_mean_of_a_batch_to_learn_its_shape():
    source = inspect.getsource(keras.Model._maybe_symbolic_build)
    assert ".reduce(" in source and "next(" in source, (
        "Keras no longer reads a batch and averages it over the replicas before it trains. If it "
        "takes boolean masks and several workers now, remove the override `_maybe_symbolic_build`."
    )


def test_a_boolean_batch_builds_under_a_strategy_without_a_read():
    reads = []

    def read():
        reads.append(1)
        yield np.ones((4, 2), bool), np.ones((4, 1), "float32")

    specs = (tf.TensorSpec((4, 2), tf.bool), tf.TensorSpec((4, 1), tf.float32))
    data = tf.data.Dataset.from_generator(read, output_signature=specs)
    # Keras warns where a generator of unknown length ends.
    data = data.apply(tf.data.experimental.assert_cardinality(1))
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = Seamed()
        model.compile("sgd", "mse", jit_compile=False)
    model.fit(data, shuffle=False, verbose=0)
    assert model.inner.built, f"`Model._symbolic_build` no longer builds the layers. {REVIEW}"
    assert len(reads) == 1, f"Keras read the data {len(reads)} times in one epoch. {REVIEW}"


def test_a_distributed_dataset_has_a_spec_for_each_replica():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(np.ones((2, 3))))
    specs = tf.nest.flatten(data.element_spec)
    if hasattr(specs[0], "_value_specs"):
        specs = [specs[0]._value_specs[0]]
    assert specs[0].shape == (2, 3), (
        f"TensorFlow's spec of a distributed dataset is now {specs[0]!r}. {REVIEW}"
    )


def test_keras_still_keeps_the_loss_in_the_loss_tracker(model):
    class Constant(keras.metrics.Mean):
        def result(self):
            return 7.0

    own = Seamed()
    own.compile("sgd", "mse", jit_compile=False)
    assert isinstance(get_loss_tracker(own), keras.metrics.Mean), (
        f"`Model.compile` no longer makes a Mean as `_loss_tracker`. {REVIEW}"
    )
    set_loss_tracker(own, Constant(name="loss"))
    results = own.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0, return_dict=True)
    assert results == {"loss": 7.0}, (
        f"`Model.evaluate` no longer reports its loss from `_loss_tracker`. {REVIEW}"
    )
    assert [metric.name for metric in own.metrics] == ["loss"], (
        f"A replaced `_loss_tracker` is listed among the metrics more than once. {REVIEW}"
    )


@pytest.mark.parametrize(
    ("kind", "method", "arguments"),
    [
        ("Optimizer", "apply", ["self", "grads", "trainable_variables"]),
        ("Optimizer", "_all_reduce_sum_gradients", ["self", "grads_and_vars"]),
        ("Optimizer", "_backend_apply_gradients", ["self", "grads", "trainable_variables"]),
        ("Optimizer", "_clip_gradients", ["self", "grads"]),
        ("Optimizer", "_use_weight_decay", ["self", "variable"]),
        ("Optimizer", "_get_current_learning_rate", ["self"]),
        ("Optimizer", "_apply_weight_decay", ["self", "variables"]),
        ("Muon", "_apply_weight_decay", ["self", "variables"]),
        (
            "Optimizer",
            "_backend_update_step",
            ["self", "grads", "trainable_variables", "learning_rate"],
        ),
        ("LossScaleOptimizer", "_stateful_handle_non_finite_grads", ["self"]),
        (
            "LossScaleOptimizer",
            "_stateful_handle_finite_grads",
            ["self", "grads", "trainable_variables"],
        ),
    ],
)
def test_an_optimizer_has_the_method_that_is_overridden(kind, method, arguments):
    upstream = getattr(getattr(keras.optimizers, kind), method, None)
    assert upstream is not None, f"Keras renamed or removed `{kind}.{method}`. {REVIEW}"
    found = list(inspect.signature(upstream).parameters)
    assert found == arguments, f"`{kind}.{method}` takes other arguments: {found}. {REVIEW}"


def test_keras_still_calls_the_methods_of_an_optimizer_that_are_overridden():
    source = inspect.getsource(keras.optimizers.Optimizer.apply)
    assert "self._backend_apply_gradients(" in source, REVIEW
    source = inspect.getsource(keras.optimizers.Optimizer._backend_apply_gradients)
    for name in ("_clip_gradients", "_apply_weight_decay", "_backend_update_step"):
        assert f"self.{name}(" in source, REVIEW
    source = inspect.getsource(keras.optimizers.Optimizer._backend_update_step)
    assert "self._all_reduce_sum_gradients(" in source, REVIEW
    for kind in (keras.optimizers.Optimizer, keras.optimizers.Muon):
        source = inspect.getsource(kind._apply_weight_decay)
        assert "self._use_weight_decay(" in source and "self.learning_rate" in source, REVIEW


def test_keras_still_keeps_averages_where_they_are_read():
    optimizer = keras.optimizers.SGD(1.0, use_ema=True)
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([variable])
    assert list_averages(optimizer) == [], f"Before a step there is no average. {REVIEW}"
    optimizer.apply([np.ones(1, "float32")], [variable])
    [(found, average)] = list_averages(optimizer)
    assert found is variable and average.numpy() == variable.numpy() == -1, REVIEW


def test_keras_still_says_whether_a_callback_holds_the_averages():
    callback = keras.callbacks.SwapEMAWeights()
    assert not holds_averages(callback) and not holds_averages(keras.callbacks.History()), REVIEW
    source = inspect.getsource(keras.callbacks.SwapEMAWeights.on_test_begin)
    assert "self._ema_weights_in_model = True" in source, REVIEW


def test_keras_still_enumerates_an_epoch_by_what_a_resumed_run_replaces():
    source = inspect.getsource(EpochIterator.__iter__)
    assert "self._enumerate_iterator()" in source, REVIEW
    source = inspect.getsource(EpochIterator._enumerate_iterator)
    for name in ("_get_iterator()", "_current_iterator", "_steps_seen", "_num_batches"):
        assert f"self.{name}" in source, f"`EpochIterator` no longer uses `{name}`. {REVIEW}"
    source = inspect.getsource(keras.Model.fit)
    assert "self._initial_epoch or initial_epoch" in source, REVIEW
    assert source.index("_maybe_symbolic_build") < source.index("on_train_begin()"), REVIEW


def test_keras_still_chooses_the_direction_of_a_monitor_late_and_flips_min_delta():
    callback = keras.callbacks.EarlyStopping(min_delta=0.5, mode="min")
    assert (callback.monitor_op, callback.min_delta) == (None, 0.5), REVIEW
    set_monitor_direction(callback)
    set_monitor_direction(callback)
    assert callback.min_delta == -0.5, f"The sign is no longer flipped. {REVIEW}"


def test_keras_still_walks_layers_below_layers(model):
    assert hasattr(keras.Layer, "_flatten_layers"), (
        f"Keras renamed or removed `Layer._flatten_layers`. {REVIEW}"
    )
    found = list_layers(model)
    assert found[0] is model and model.inner.layers[0] in found, (
        f"`Layer._flatten_layers` no longer lists the inner layers. {REVIEW}"
    )


def test_keras_reads_the_inputs_of_an_export_where_they_are_set(model):
    from keras.src.export import export_utils

    set_input_shapes(model, ["a", "b"])
    (found,) = export_utils.get_input_signature(model)
    assert {name: spec.shape for name, spec in found.items()} == dict.fromkeys(
        "ab", (None, None)
    ), f"keras.Model.export no longer reads `_build_shapes_dict`. {REVIEW}"


def test_the_functions_that_an_operation_calls_are_found():
    inner = tf.function(lambda x: x @ x, input_signature=[tf.TensorSpec((2, 2))])
    graph = tf.function(lambda x: inner(x) + 1).get_concrete_function(tf.ones((2, 2))).graph
    found = [called for op in graph.get_operations() for called in list_called_graphs(op)]
    types = [[op.type for op in called.get_operations()] for called in found]
    assert len(types) == 1 and "MatMul" in types[0], REVIEW


def test_a_built_layer_takes_other_variables_in_place_of_one():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    assert hasattr(layer, KERNEL), f"Dense keeps its kernel elsewhere. {REVIEW}"
    kernel = weakref.ref(getattr(layer, KERNEL))
    new = keras.Variable(np.ones((3, 2)), dtype="int8", trainable=False, name="integers")
    replace_weight(layer, KERNEL, [new])
    gc.collect()
    assert kernel() is None, f"Keras keeps a variable that a layer has given up. {REVIEW}"
    assert [weight.name for weight in layer.weights] == ["bias", "integers"]
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        layer.more = keras.Variable(0.0)


def test_keras_still_wraps_quantize_of_every_model():
    class Quantized(keras.Model):
        def quantize(self, mode="mine"):
            return mode

    model = Quantized()
    assert "quantize" in vars(model), f"Keras does not wrap `quantize` any more. {REVIEW}"
    unwrap_quantize(model)
    assert model.quantize() == "mine"
