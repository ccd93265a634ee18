"""Optimizers over two devices: one child process, as devices are fixed when TensorFlow starts."""

import numpy as np
import pytest

from tests.python_child import run_script

CHILD = """
import json
import keras, numpy as np, tensorflow as tf
from lmzoo import training
from lmzoo.keras_seams import correct_optimizer, list_averages

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
SHAPES = (4, 3), (3,)
CLIPS = {"global_clipnorm": 0.5}, {"clipnorm": 0.5}, {"clipvalue": 0.1}


def make_variables():
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in SHAPES]


def make_gradients(step, replica, overflowing=None):
    rng = np.random.default_rng(10 * step + replica)
    gradients = [rng.normal(size=shape).astype("float32") for shape in SHAPES]
    if replica == overflowing:
        gradients[0][1, 1] = np.inf
    return gradients


def run_on_two(make, overflows=(None, None, None)):
    with strategy.scope():
        variables, optimizer = make_variables(), make()
        optimizer.build(variables)

    @tf.function
    def step(gradients):
        strategy.run(lambda *own: optimizer.apply(list(own), variables), args=gradients)

    for number, overflowing in enumerate(overflows):
        both = [make_gradients(number, replica, overflowing) for replica in range(2)]
        step([
            strategy.experimental_distribute_values_from_function(
                lambda context: both[context.replica_id_in_sync_group][index]
            )
            for index in range(len(SHAPES))
        ])
    copies = [strategy.experimental_local_results(variable.value) for variable in variables]
    assert all(np.array_equal(*both, equal_nan=True) for both in copies), "the replicas differ"
    return [both[0].numpy().tolist() for both in copies], optimizer


def run_on_one(make, steps=(0, 1, 2)):
    variables, optimizer = make_variables(), make()
    optimizer.build(variables)
    for number in steps:
        both = make_gradients(number, 0), make_gradients(number, 1)
        optimizer.apply([tf.constant(a + b) for a, b in zip(*both)], variables)
    return [variable.numpy().tolist() for variable in variables]


def corrected(**options):
    optimizer = keras.optimizers.AdamW(**options)
    correct_optimizer(optimizer)
    return optimizer


results = {}
kinds = {name: getattr(training, name) for name in ("AdamW", "Adafactor", "Lion", "Muon")}
for name, kind in {**kinds, "corrected": corrected, "keras": keras.optimizers.AdamW}.items():
    for clip in CLIPS if name in ("AdamW", "keras") else CLIPS[:1]:
        make = lambda: kind(learning_rate=0.1, **clip)
        results[f"{name} {next(iter(clip))}"] = [run_on_two(make)[0], run_on_one(make)]

make = lambda: training.LossScaleOptimizer(training.AdamW(0.1, global_clipnorm=0.5), 4.0)
def keras_inside():
    return training.LossScaleOptimizer(keras.optimizers.AdamW(0.1, global_clipnorm=0.5), 4.0)
for name, scaled in (("ours", make), ("keras", keras_inside)):
    for replica in (0, 1):
        weights, optimizer = run_on_two(scaled, (None, replica, None))
        results[f"overflow {name} {replica}"] = {
            "scale": float(optimizer.dynamic_scale.numpy()),
            "skipped": int(optimizer.skipped_steps.numpy()),
            "iterations": int(optimizer.iterations.numpy()),
            "finite": bool(all(np.isfinite(one).all() for one in weights)),
        }

for replica in (0, 1):
    _, optimizer = run_on_two(lambda: training.AdamW(0.1), (None, replica))
    results[f"bad {replica}"] = int(optimizer.bad_replica.numpy())
_, optimizer = run_on_two(lambda: training.AdamW(0.1))
results["bad none"] = int(optimizer.bad_replica.numpy())
# A learning rate for each layer.
def layered():
    optimizer = training.AdamW(0.1, weight_decay=0.5, layer_decay=0.5)
    build = optimizer.build

    def build_layers(variables):
        optimizer.set_layers({id(variables[0]): 2})
        build(variables)

    optimizer.build = build_layers
    return optimizer


results["layers"] = [run_on_two(layered)[0], run_on_one(layered)]
# Averages of weights, over two replicas and over one.
make = lambda: training.AdamW(0.1, use_ema=True, ema_momentum=0.5)
_, two = run_on_two(make)
one = make()
variables = make_variables()
one.build(variables)
for number in range(3):
    both = make_gradients(number, 0), make_gradients(number, 1)
    one.apply([tf.constant(a + b) for a, b in zip(*both)], variables)
results["averages"] = [
    [average.numpy().tolist() for _, average in list_averages(optimizer)]
    for optimizer in (two, one)
]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    return run_script(CHILD)


@pytest.mark.parametrize(
    "case",
    [
        "AdamW global_clipnorm",
        "AdamW clipnorm",
        "AdamW clipvalue",
        "Adafactor global_clipnorm",
        "Lion global_clipnorm",
        "Muon global_clipnorm",
        "corrected global_clipnorm",
        "layers",
    ],
)
def test_two_replicas_clip_the_sum_of_their_gradients(results, case):
    two, one = results[case]
    for ours, theirs in zip(two, one, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("clip", ["global_clipnorm", "clipvalue"])
def test_keras_itself_still_clips_each_replica(results, clip):
    two, one = results[f"keras {clip}"]
    assert not np.allclose(two[0], one[0], rtol=1e-4), (
        "Keras sums gradients over replicas before it clips them now. Remove the correction."
    )


@pytest.mark.parametrize("replica", [0, 1])
@pytest.mark.parametrize("inner", ["ours", "keras"])
def test_an_overflow_on_any_replica_skips_the_step_on_all(results, inner, replica):
    assert results[f"overflow {inner} {replica}"] == {
        "scale": 2.0,
        "skipped": 1,
        "iterations": 2,
        "finite": True,
    }


def test_a_replica_whose_gradient_is_not_finite_is_named(results):
    assert [results[f"bad {case}"] for case in ("none", 0, 1)] == [0, 1, 2]


def test_averages_of_weights_are_the_same_over_replicas(results):
    two, one = results["averages"]
    assert len(two) == 2
    for ours, theirs in zip(two, one, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
