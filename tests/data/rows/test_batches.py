import numpy as np
import pytest
import tensorflow as tf

import lmzoo

TAGS = [[], ["x"], ["y", "z"], [], ["q"]]


def make_rows():
    return lmzoo.data.make_rows(
        text=["a", "b\0", "", "é", "e"],
        label=np.arange(5),
        good=[True, False, True, False, True],
        score=[0.0, 0.5, 1.0, 1.5, 2.0],
        tags=TAGS,
        counts=[[], [1], [2, 3], [], [4]],
        weights=[[0.5], [], [], [1.5, 2.5], []],
    )


def plain(batch):
    """A batch as lists, and strings as str."""

    def decoded(value):
        if isinstance(value, list):
            return [decoded(item) for item in value]
        return value.decode() if isinstance(value, bytes) else value

    return {
        name: decoded(
            values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()
        )
        for name, values in batch.items()
    }


def labels_of(dataset):
    return [batch["label"].numpy().tolist() for batch in dataset]


def test_a_batch_holds_its_rows_column_by_column():
    rows = make_rows()
    batches = list(rows.dataset(2, shuffle=False))
    assert [len(batch["text"]) for batch in batches] == [2, 2, 1]
    expected = [[rows[i] for i in indices] for indices in ([0, 1], [2, 3], [4])]
    for batch, members in zip(batches, expected, strict=True):
        assert set(batch) == set(rows.columns)
        for name, values in plain(batch).items():
            assert values == [row[name] for row in members]


def test_the_kinds_of_columns_become_types_of_tensors():
    for drop, size in ((False, None), (True, 2)):
        specs = make_rows().dataset(2, drop_remainder=drop).element_spec
        assert {n: s for n, s in specs.items() if isinstance(s, tf.TensorSpec)} == {
            "text": tf.TensorSpec((size,), tf.string),
            "label": tf.TensorSpec((size,), tf.int64),
            "good": tf.TensorSpec((size,), tf.int64),
            "score": tf.TensorSpec((size,), tf.float32),
        }
        for name, dtype in (("tags", tf.string), ("counts", tf.int64), ("weights", tf.float32)):
            assert specs[name].dtype == dtype and specs[name].row_splits_dtype == tf.int64
            assert specs[name].shape.as_list() == [size, None]


def test_lists_that_are_all_empty_are_lists_of_strings():
    dataset = lmzoo.data.make_rows(words=[[], []]).dataset(2)
    assert dataset.element_spec["words"].dtype == tf.string
    assert [plain(batch) for batch in dataset] == [{"words": [[], []]}]


def test_an_empty_list_in_the_first_row_says_nothing():
    rows = lmzoo.data.make_rows(label=range(4))
    rows = rows.with_column("numbers", lambda row: [row["label"]] if row["label"] > 1 else [])
    dataset = rows.dataset(4, shuffle=False)
    assert dataset.element_spec["numbers"].dtype == tf.int64
    assert plain(next(iter(dataset)))["numbers"] == [[], [], [2], [3]]


def test_each_epoch_has_each_row_once_in_another_order():
    dataset = lmzoo.data.make_rows(label=range(23)).dataset(4, seed=3)
    epochs = [sum(labels_of(dataset), []) for _ in range(3)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    again = lmzoo.data.make_rows(label=range(23)).dataset(4, seed=3)
    assert sum(labels_of(again), []) == epochs[0]
    other = lmzoo.data.make_rows(label=range(23)).dataset(4, seed=4)
    assert sum(labels_of(other), []) != epochs[0]


def test_without_shuffling_every_epoch_is_the_order_of_the_rows():
    dataset = lmzoo.data.make_rows(label=range(5)).dataset(2, shuffle=False)
    assert labels_of(dataset) == labels_of(dataset) == [[0, 1], [2, 3], [4]]


def test_an_iteration_after_one_that_began_in_the_middle_goes_on_there():
    rows = lmzoo.data.make_rows(label=range(5))
    dataset = rows.dataset(2, shuffle=False, initial_step=1)
    assert labels_of(dataset) == labels_of(dataset) == [[2, 3], [4], [0, 1]]


@pytest.mark.quick("True-True", "False-False")
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop", [True, False])
def test_a_start_in_the_middle_gives_the_same_batches_as_the_whole_run(shuffle, drop):
    rows = lmzoo.data.make_rows(label=range(11), tags=[["t"] * (i % 3) for i in range(11)])
    options = {"seed": 1, "shuffle": shuffle, "drop_remainder": drop}
    whole = [plain(batch) for batch in rows.dataset(3, **options).repeat().take(16)]
    steps = int(rows.dataset(3, **options).cardinality())
    assert steps == (3 if drop else 4)
    for epoch, step in ((0, 1), (1, 0), (1, 2), (2, 1)):
        dataset = rows.dataset(3, **options, initial_epoch=epoch, initial_step=step)
        assert int(dataset.cardinality()) == steps
        first = epoch * steps + step
        assert [plain(batch) for batch in dataset] == whole[first : first + steps]


def test_views_and_computed_columns_come_in_batches_too():
    rows = lmzoo.data.make_rows(label=range(6)).select([5, 3, 1])
    rows = rows.with_column("text", lambda row: str(row["label"]))
    assert [plain(batch) for batch in rows.dataset(2, shuffle=False)] == [
        {"label": [5, 3], "text": ["5", "3"]},
        {"label": [1], "text": ["1"]},
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda row: row["label"] or "x", "index 2: `v` must hold .* 2, which is an int, .* a str"),
        (lambda row: row["label"] if row["label"] > 1 else [], r"2, which is an int, .* a list of"),
        (lambda row: 0.5 if row["label"] > 1 else 0, r"0\.5, which is a float, .* has an int"),
    ],
)
def test_mixed_kinds_in_a_column_are_refused_with_the_place(value, reason):
    dataset = (
        lmzoo.data.make_rows(label=range(4))
        .with_column("v", value)
        .select([0, 2, 3])
        .dataset(3, shuffle=False)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        list(dataset)


@pytest.mark.parametrize("size", [0, -1, 2.5, None, "x"])
def test_a_batch_size_is_a_positive_integer(size):
    with pytest.raises(ValueError, match=rf"at least 1\. Received: batch_size={size!r}"):
        make_rows().dataset(size)


def test_a_batch_is_not_larger_than_all_rows_where_it_must_be_full():
    with pytest.raises(ValueError, match=r"batch_size=6, 5 rows, drop_remainder=True"):
        make_rows().dataset(6, drop_remainder=True)
    with pytest.raises(ValueError, match=r"batch_size=6, 0 rows, drop_remainder=False"):
        make_rows().select([]).dataset(6)
    assert [len(batch["text"]) for batch in make_rows().dataset(6)] == [5]


def test_a_start_and_a_seed_are_integers():
    with pytest.raises(ValueError, match="Received: initial_epoch=-1"):
        make_rows().dataset(2, initial_epoch=-1)
    with pytest.raises(ValueError, match="Received: initial_step=1.5"):
        make_rows().dataset(2, initial_step=1.5)
    with pytest.raises(TypeError, match="Received: seed='x'"):
        make_rows().dataset(2, seed="x")


@pytest.mark.slow
def test_a_strategy_splits_ragged_batches(run_python):
    code = """
import tensorflow as tf
import lmzoo

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rows = lmzoo.data.make_rows(label=range(7), tags=[["t"] * (i % 3) for i in range(7)])
for batch in strategy.experimental_distribute_dataset(rows.dataset(4, shuffle=False)):
    parts = [strategy.experimental_local_results(batch[name]) for name in ("label", "tags")]
    print([(a.numpy().tolist(), b.row_lengths().numpy().tolist()) for a, b in zip(*parts)])
"""
    output, _ = run_python(code)
    assert output.splitlines() == [
        "[([0, 1], [0, 1]), ([2, 3], [2, 0])]",
        "[([4, 5], [1, 2]), ([6], [0])]",
    ]


def test_encoding_sees_each_batch_and_a_number_that_goes_on():
    rows = lmzoo.data.make_rows(a=[1, 2, 3, 4, 5])

    def encode(batch, step):
        return batch["a"] * 100, step

    for shuffle in (False, True):
        plain = rows.dataset(2, shuffle=shuffle, initial_epoch=1)
        encoded = rows.dataset(2, shuffle=shuffle, initial_epoch=1, encode=encode)
        for epoch in (1, 2):
            batches = [batch["a"].numpy() * 100 for batch in plain]
            found = [(values.numpy(), int(step)) for values, step in encoded]
            assert [step for _, step in found] == [3 * epoch, 3 * epoch + 1, 3 * epoch + 2]
            for (values, _), wanted in zip(found, batches, strict=True):
                np.testing.assert_array_equal(values, wanted)
