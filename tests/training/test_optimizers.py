"""Optimizers on one device; `test_replicas.py` has those over two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.training import Adafactor, AdamW, Lion, LossScaleOptimizer, Muon

CLASSES = (AdamW, Adafactor, Lion, Muon)


def make_variables():
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape).astype("float32"), name=name)
        for name, shape in (("kernel", (4, 3)), ("bias", (3,)), ("table", (5, 4)))
    ]


def make_gradients(step):
    rng = np.random.default_rng(step)
    return [tf.constant(rng.normal(size=s), tf.float32) for s in ((4, 3), (3,), (5, 4))]


def run_steps(optimizer, num_steps=3):
    """The weights after some steps."""
    variables = make_variables()
    optimizer.build(variables)
    for step in range(num_steps):
        optimizer.apply(make_gradients(step), variables)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_on_one_device_a_step_is_that_of_keras(kind):
    upstream = getattr(keras.optimizers, kind.__name__)
    options = {"learning_rate": 0.01, "weight_decay": 0.0, "global_clipnorm": 0.5}
    if kind is Muon:
        options["adam_weight_decay"] = 0.0
    for ours, theirs in zip(
        run_steps(kind(**options)), run_steps(upstream(**options)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.quick("True-AdamW", "False-*")
@pytest.mark.parametrize("kind", (*CLASSES, LossScaleOptimizer), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("in_graph", (False, True))
def test_the_first_step_builds_an_optimizer_as_those_of_keras(kind, in_graph):
    def run(build):
        optimizer = AdamW(0.01) if kind is LossScaleOptimizer else kind(0.01)
        if kind is LossScaleOptimizer:
            optimizer = LossScaleOptimizer(optimizer, initial_scale=1.0)
        variables = make_variables()
        if build:
            optimizer.build(variables)

        def step(*gradients):
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

        step = tf.function(step) if in_graph else step
        for number in range(3):
            step(*make_gradients(number))
        return [variable.numpy() for variable in variables]

    for ours, theirs in zip(run(build=False), run(build=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gradients_without_variables_ask_for_build_as_keras_does():
    with pytest.raises(ValueError, match="must already be built"):
        AdamW().apply(make_gradients(0))


@pytest.mark.quick("Muon", "Lion")
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_compiled_update_is_the_plain_one(kind):
    options = {"learning_rate": 0.01, "global_clipnorm": 0.5}
    plain = run_steps(kind(**options, jit_compile=False))
    compiled = run_steps(kind(**options, jit_compile=True))
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_matrices_are_decayed_and_vectors_are_not():
    before = [variable.numpy() for variable in make_variables()]
    optimizer = AdamW(0.1, weight_decay=0.5)
    variables = make_variables()
    optimizer.build(variables)
    optimizer.apply([tf.zeros_like(variable.value) for variable in variables], variables)
    after = [variable.numpy() for variable in variables]
    np.testing.assert_allclose(after[0], before[0] * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(after[2], before[2] * (1 - 0.1 * 0.5), rtol=1e-6)


def test_a_variable_that_was_excluded_by_hand_is_not_decayed_either():
    optimizer, variables = AdamW(0.1, weight_decay=0.5), make_variables()
    optimizer.exclude_from_weight_decay(var_list=variables[2:])
    optimizer.build(variables)
    before = variables[2].numpy()
    optimizer.apply([tf.zeros_like(variable.value) for variable in variables], variables)
    np.testing.assert_array_equal(variables[2].numpy(), before)


def test_the_norm_of_a_sparse_gradient_adds_up_the_rows_of_one_id():
    table = keras.Variable(np.zeros((3, 2), "float32"), name="table")
    # Row 1 twice: its gradient is (3, 4) + (3, 4), whose norm is 10.
    slices = tf.IndexedSlices(tf.constant([[3.0, 4.0], [3.0, 4.0]]), tf.constant([1, 1]), (3, 2))
    optimizer = AdamW(0.1, weight_decay=0.0, global_clipnorm=5.0)
    optimizer.build([table])
    optimizer.apply([slices], [table])
    assert float(optimizer.gradient_norm) == pytest.approx(10.0)
    # Adam's first momentum after one step is (1 - 0.9) times the clipped gradient.
    momentum = next(v for v in optimizer.variables if "momentum" in v.path).numpy()
    np.testing.assert_allclose(momentum[1], [0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_optimizer_comes_back_from_its_config(kind):
    optimizer = kind(learning_rate=0.02, global_clipnorm=0.5, jit_compile=False)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is kind
    assert copy.get_config() == optimizer.get_config()


def test_the_choice_of_compilation_is_checked():
    with pytest.raises(TypeError, match="jit_compile='yes'"):
        AdamW(jit_compile="yes")


def test_accumulation_is_asked_of_compile():
    with pytest.raises(ValueError, match="gradient_accumulation_steps=4"):
        AdamW(gradient_accumulation_steps=4)


# Loss scaling

FINITE, INFINITE = [tf.constant([1.0])], [tf.constant([np.inf])]


def make_scaled(**options):
    variable = keras.Variable(np.zeros(1, "float32"), name="weight")
    optimizer = LossScaleOptimizer(keras.optimizers.SGD(1.0), **options)
    optimizer.build([variable])
    return variable, optimizer


def test_a_step_that_overflows_is_skipped_counted_and_halves_the_scale():
    weight, optimizer = make_scaled(initial_scale=8.0)
    optimizer.apply(INFINITE, [weight])
    optimizer.apply(INFINITE, [weight])
    assert (float(optimizer.dynamic_scale), int(optimizer.skipped_steps)) == (2.0, 2)
    assert float(weight[0]) == 0.0 and int(optimizer.iterations) == 0
    optimizer.apply(FINITE, [weight])
    assert float(weight[0]) == -1.0 / 2.0, "the gradient is divided by the scale"
    assert (int(optimizer.skipped_steps), int(optimizer.skipped_in_a_row)) == (2, 0)


def test_the_scale_has_a_floor():
    weight, optimizer = make_scaled(initial_scale=4.0, min_scale=2.0)
    for _ in range(5):
        optimizer.apply(INFINITE, [weight])
    assert float(optimizer.dynamic_scale) == 2.0


def test_the_scale_grows_after_enough_finite_steps():
    weight, optimizer = make_scaled(initial_scale=4.0, dynamic_growth_steps=2)
    for _ in range(2):
        optimizer.apply(FINITE, [weight])
    assert float(optimizer.dynamic_scale) == 8.0


def test_too_many_skipped_steps_in_a_row_are_an_error_that_says_why():
    weight, optimizer = make_scaled(max_skipped_in_a_row=3)
    for _ in range(3):
        optimizer.apply(INFINITE, [weight])
    with pytest.raises(tf.errors.InvalidArgumentError, match="More than 3 steps in a row"):
        optimizer.apply(INFINITE, [weight])


def test_a_loss_scale_comes_back_from_its_config():
    optimizer = LossScaleOptimizer(AdamW(0.1), initial_scale=64.0, min_scale=0.5)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is LossScaleOptimizer and type(copy.inner_optimizer) is AdamW
    assert copy.get_config() == optimizer.get_config()
    assert copy.inner_optimizer.gradients_are_summed


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"min_scale": 0.0}, "min_scale=0.0"),
        ({"min_scale": 8.0, "initial_scale": 4.0}, "min_scale=8.0, initial_scale=4.0"),
        ({"max_skipped_in_a_row": 0}, "max_skipped_in_a_row=0"),
    ],
)
def test_arguments_of_a_loss_scale_are_checked(options, received):
    with pytest.raises(ValueError, match=received):
        LossScaleOptimizer(AdamW(), **options)
