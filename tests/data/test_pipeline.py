import gc
import json
import socket
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data.pipeline import step_dataset


def make_dataset(num_steps=5, initial_step=0, **options):
    """Batches of two rows that hold the number of their step."""

    def fetch(step):
        return [np.full((2, 1), step, np.int32), np.full((2, 1), step, np.float32)]

    signature = ({"a": tf.TensorSpec((2, 1), tf.int32)}, tf.TensorSpec((2, 1), tf.float32))
    return step_dataset(fetch, signature, num_steps, initial_step, **options)


def steps_of(dataset):
    return [int(labels[0, 0]) for _, labels in dataset]


def test_each_iteration_goes_on_where_the_last_one_ended():
    dataset = make_dataset(initial_step=3)
    assert [steps_of(dataset) for _ in range(3)] == [
        [3, 4, 5, 6, 7],
        [8, 9, 10, 11, 12],
        [13, 14, 15, 16, 17],
    ]


def test_repeat_is_the_endless_sequence():
    assert steps_of(make_dataset(initial_step=2).repeat().take(23)) == list(range(2, 25))


def test_an_iteration_that_was_broken_off_moves_nothing():
    dataset = make_dataset(num_steps=50)
    for _ in range(2):
        assert steps_of(dataset.take(20)) == list(range(20))
        iter(dataset)
    assert steps_of(dataset) == list(range(50))


def test_the_last_batch_ends_an_iteration_though_nobody_asks_for_more():
    dataset = make_dataset()
    iterator = iter(dataset)
    for _ in range(5):
        next(iterator)
    assert steps_of(dataset) == [5, 6, 7, 8, 9]


def test_two_iterators_at_once_see_the_same_steps():
    dataset = make_dataset()
    for _ in range(2):
        pairs = [
            (int(a[1][0, 0]), int(b[1][0, 0])) for a, b in tf.data.Dataset.zip(dataset, dataset)
        ]
        assert all(a == b for a, b in pairs) and len(pairs) == 5


@pytest.mark.parametrize("advances", [True, False])
def test_a_dataset_that_is_gone_keeps_nothing(advances):
    """TensorFlow itself keeps what `tf.numpy_function` calls until the process ends."""

    def make():
        values = np.arange(5)

        def fetch(step):
            return [values[step : step + 1]]

        signature = (tf.TensorSpec((1,), tf.int64),)
        dataset = step_dataset(fetch, signature, 5, advances=advances, find_samples=fetch)
        return dataset, [weakref.ref(each) for each in (fetch, values, dataset.cursor)]

    dataset, gone = make()
    gc.collect()
    assert [int(value[0]) for (value,) in dataset] == [0, 1, 2, 3, 4]
    del dataset
    gc.collect()
    assert [reference() for reference in gone] == [None, None, None]


@pytest.mark.parametrize("derive", [iter, lambda dataset: iter(dataset.repeat().map(lambda *x: x))])
def test_an_iterator_goes_on_when_its_dataset_has_no_name(derive):
    iterator = derive(make_dataset())
    gc.collect()
    assert [int(next(iterator)[1][0, 0]) for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_dataset_may_be_made_within_a_graph():
    @tf.function
    def add_steps():
        total = 0.0
        for _, labels in make_dataset(num_steps=4):
            total += tf.reduce_mean(labels)
        return total

    totals = [float(add_steps())]
    gc.collect()
    totals.append(float(add_steps()))
    assert totals == [0 + 1 + 2 + 3, 4 + 5 + 6 + 7]


def test_without_advance_every_iteration_is_the_same():
    dataset = make_dataset(initial_step=1, advances=False)
    assert steps_of(dataset) == steps_of(dataset) == [1, 2, 3, 4, 5]


def test_shapes_and_the_number_of_steps_are_known():
    dataset = make_dataset(num_steps=7)
    assert int(dataset.cardinality()) == 7
    assert dataset.repeat().cardinality() == tf.data.INFINITE_CARDINALITY
    inputs, labels = dataset.element_spec
    assert inputs["a"] == tf.TensorSpec((2, 1), tf.int32)
    assert labels == tf.TensorSpec((2, 1), tf.float32)


class Spy(keras.Model):
    """Adds up nothing but a record of the steps that it is trained on."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        tf.py_function(lambda a: self.seen.append(int(a[0, 0])), [inputs["a"]], [])
        return tf.cast(inputs["a"], tf.float32) * self.scale


@pytest.fixture
def spy():
    model = Spy()
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse", jit_compile=False)
    return model


def test_fit_ends_and_goes_through_epoch_after_epoch(spy):
    spy.fit(make_dataset(), epochs=3, shuffle=False, verbose=0)
    assert spy.seen == list(range(15))


def test_fit_evaluates_the_same_batches_after_each_epoch(spy):
    validation = make_dataset(num_steps=2, initial_step=100, advances=False)
    spy.fit(
        make_dataset(num_steps=3), epochs=2, validation_data=validation, shuffle=False, verbose=0
    )
    assert spy.seen == [0, 1, 2, 100, 101, 3, 4, 5, 100, 101]


@pytest.mark.parametrize("steps_per_epoch", [3, 5, 8, 13])
def test_fit_takes_any_number_of_steps_from_repeat(spy, steps_per_epoch):
    spy.fit(
        make_dataset().repeat(), steps_per_epoch=steps_per_epoch, epochs=3, shuffle=False, verbose=0
    )
    assert spy.seen == list(range(3 * steps_per_epoch))


def test_fit_takes_several_steps_in_one_execution():
    model = Spy()
    model.compile("sgd", "mse", jit_compile=False, steps_per_execution=2)
    model.fit(make_dataset(num_steps=4), epochs=2, shuffle=False, verbose=0)
    assert model.seen == list(range(8))


def test_a_strategy_splits_each_batch_and_keeps_the_order(run_python):
    code = """
import keras
import numpy as np
import tensorflow as tf
from lmzoo.data.pipeline import step_dataset

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def make(last_rows, batch_size):
    def fetch(step):
        rows = 4 if step % 20 < 19 else last_rows
        return [np.arange(10 * step, 10 * step + rows, dtype=np.float32)[:, None]] * 2
    return step_dataset(fetch, (tf.TensorSpec((batch_size, 1), tf.float32),) * 2, num_steps=20)

# One batch is taken and thrown away first, as Keras does.
for dataset in (make(3, None), make(4, 4)):
    distributed = strategy.experimental_distribute_dataset(dataset)
    next(iter(distributed))
    rows = []
    for value, _ in distributed:
        local = strategy.experimental_local_results(value)
        rows.append([part.numpy()[:, 0].tolist() for part in local])
    print(rows[0], rows[7], rows[-1], len(rows))

class Spy(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.total = keras.metrics.Sum()

    def call(self, inputs):
        return inputs * self.scale

    def train_step(self, data):
        self.total.update_state(data[0])
        return {"total": self.total.result()}

    @property
    def metrics(self):
        return [self.total]

with strategy.scope():
    model = Spy()
    model.compile("sgd", "mse", jit_compile=False)
print(model.fit(make(4, 4), epochs=2, shuffle=False, verbose=0).history["total"])
"""
    output, errors = run_python(code)
    uneven, even, totals = output.splitlines()
    assert uneven == (
        "[[0.0, 1.0], [2.0, 3.0]] [[70.0, 71.0], [72.0, 73.0]] [[190.0, 191.0], [192.0]] 20"
    )
    assert even == (
        "[[0.0, 1.0], [2.0, 3.0]] [[70.0, 71.0], [72.0, 73.0]] [[190.0, 191.0], [192.0, 193.0]] 20"
    )
    epochs = [range(20), range(20, 40)]
    # Keras reports the mean of what its two replicas have added up.
    assert json.loads(totals) == [sum(40 * step + 6 for step in steps) / 2 for steps in epochs]
    # TensorFlow tells so when it cannot share out files and turns to batches.
    assert "based sharding" not in errors


@pytest.mark.slow
def test_each_worker_gets_its_share_of_each_batch(start_python):
    code = """
import json
import os
import sys

ports, rank = sys.argv[1:3], int(sys.argv[3])
workers = [f"localhost:{port}" for port in ports]
task = {"type": "worker", "index": rank}
os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})

import numpy as np
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from lmzoo.data.pipeline import step_dataset

def fetch(step):
    return [np.arange(10 * step, 10 * step + 4, dtype=np.float32)[:, None]]

dataset = step_dataset(fetch, tf.TensorSpec((4, 1), tf.float32), num_steps=20)
distributed = strategy.experimental_distribute_dataset(dataset)
next(iter(distributed))
for epoch in range(2):
    values = [strategy.experimental_local_results(value)[0] for value in distributed]
    print([int(number) for value in values for number in value[:, 0]], flush=True)
"""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    workers = [start_python(code, *ports, rank) for rank in range(2)]
    for rank, worker in enumerate(workers):
        output, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
        epochs = [json.loads(line) for line in output.splitlines()]
        expected = [10 * step + 2 * rank + row for step in range(40) for row in range(2)]
        assert epochs == [expected[:40], expected[40:]]
