"""Laws of every metric: it adds up, starts at nothing, and is at home in Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo import metrics

TAGS = ["O", "B-A", "I-A", "B-B", "I-B"]
ON_TOKENS = {
    "perplexity": lambda: metrics.Perplexity(),
    "accuracy": lambda: metrics.Accuracy(),
    "f1": lambda: metrics.F1(5, average="weighted"),
    "matthews_correlation": lambda: metrics.MatthewsCorrelation(5),
    "span_f1": lambda: metrics.SpanF1(TAGS, average="macro"),
}
ON_NUMBERS = {
    "pearson_correlation": lambda: metrics.PearsonCorrelation(),
    "spearman_correlation": lambda: metrics.SpearmanCorrelation(capacity=64),
}
ALL = {**ON_TOKENS, **ON_NUMBERS}
every_metric = pytest.mark.parametrize("name", ALL)


def make_data(name, size=24):
    """Labels, predictions and a mask of `size` examples."""
    generator = np.random.default_rng(4)
    if name in ON_NUMBERS:
        true = generator.normal(size=size).astype("float32")
        predicted = (true + generator.normal(size=size)).astype("float32")
        return true, predicted, generator.random(size) < 0.8
    true = generator.integers(0, 5, (size, 6))
    logits = 3 * np.eye(5)[true] + 2 * generator.normal(size=(size, 6, 5))
    return true, logits.astype("float32"), generator.random((size, 6)) < 0.8


def measure(metric, data, sizes):
    start = 0
    for size in sizes:
        metric.update_state(*(part[start : start + size] for part in data))
        start += size
    return float(metric.result())


@every_metric
def test_one_batch_is_many_batches(name):
    data = make_data(name)
    whole = measure(ALL[name](), data, [24])
    assert measure(ALL[name](), data, [1, 0, 3, 15, 5]) == pytest.approx(whole, rel=1e-6)
    assert 0.1 < abs(whole) < 10


@every_metric
def test_an_empty_metric_and_a_reset_one_have_nothing(name):
    metric = ALL[name]()
    nothing = 1.0 if name == "perplexity" else 0.0
    assert float(metric.result()) == nothing
    assert measure(metric, make_data(name), [24]) != nothing
    metric.reset_state()
    assert float(metric.result()) == nothing


@every_metric
def test_a_fully_masked_batch_adds_nothing_whatever_is_in_it(name):
    metric, data = ALL[name](), make_data(name)
    before = measure(metric, data, [24])
    state = [variable.numpy() for variable in metric.variables]
    masked = np.full_like(data[0], -100), np.full_like(data[1], np.nan), np.zeros_like(data[2])
    metric.update_state(*masked)
    for variable, value in zip(metric.variables, state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert float(metric.result()) == before


@every_metric
def test_the_state_is_wide_and_the_result_has_the_dtype_asked_for(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    metric = ALL[name]()
    assert {variable.dtype for variable in metric.variables} <= {"float64", "int32"}
    assert metric.result().dtype == "float32"


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Perplexity(name="p", dtype="float64"),
        metrics.Accuracy(multi_label=True, name="a"),
        metrics.F1(3, average=None, multi_label=True, name="f"),
        metrics.MatthewsCorrelation(4, name="m"),
        metrics.SpanF1(TAGS, average=None, name="s"),
        metrics.ExactMatch(name="e"),
        metrics.SquadF1(name="q"),
        metrics.PearsonCorrelation(name="r"),
        metrics.SpearmanCorrelation(capacity=7, name="o"),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_a_config_brings_every_argument_back(metric):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    arguments = type(metric).__init__.__code__.co_varnames
    count = type(metric).__init__.__code__.co_argcount
    assert set(metric.get_config()) == set(arguments[1:count])


@pytest.mark.parametrize(
    "policy", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("group", [ON_TOKENS, ON_NUMBERS], ids=["tokens", "numbers"])
def test_fit_gives_what_the_metric_gives_alone(group, policy):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    true, predicted, mask = make_data(next(iter(group)))
    if group is ON_NUMBERS:
        predicted = predicted[:, None]
        model, loss = keras.Sequential([keras.layers.Dense(1)]), "mse"
    else:
        model = keras.Sequential([keras.layers.Dense(5)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made = [make() for make in group.values()]
    # XLA, which Keras takes where it can, once.
    jit_compile = group is ON_TOKENS and policy == "float32"
    model.compile("sgd", loss, weighted_metrics=made, jit_compile=jit_compile)
    # A callback in mode "auto" must know which way is better.
    callbacks = [keras.callbacks.EarlyStopping(f"val_{name}") for name in group]
    weights = mask.astype("float32")
    batch = (predicted, true, weights)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(12)
    options = {"validation_data": data, "callbacks": callbacks}
    logs = model.fit(data, shuffle=False, verbose=0, **options).history
    outputs = model.predict(predicted, batch_size=12, verbose=0)
    for name, make in group.items():
        alone = make()
        alone.update_state(true, outputs, weights)
        assert logs[f"val_{name}"] == [pytest.approx(float(alone.result()), rel=1e-5)], name
        assert np.isfinite(logs[name]).all()


def test_callbacks_know_that_less_perplexity_is_better():
    assert metrics.Perplexity()._direction == "down"
    assert all(make()._direction == "up" for name, make in ALL.items() if name != "perplexity")
    assert metrics.ExactMatch()._direction == metrics.SquadF1()._direction == "up"
