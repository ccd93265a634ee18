"""A run that is stopped goes on as if it had not been stopped."""

import json
import os
import re
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.training import Checkpoint
from lmzoo.training.checkpoint_state import restore_variables, snapshot_variables

NUM_EPOCHS = 3


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    return folder


def make_data(folder, seed):
    return lmzoo.data.causal_lm(
        [str(folder / "text.txt")],
        lmzoo.tokenizers.ByteTokenizer(),
        sequence_length=16,
        batch_size=12,
        seed=seed,
        cache_dir=folder / "cache",
        verbose=False,
    )


def make_lm(learning_rate=1e-2, dtype="float32"):
    keras.utils.set_random_seed(1)
    tokenizer = lmzoo.tokenizers.ByteTokenizer()
    backbone = GPTBackbone(
        tokenizer.vocabulary_size, 1, 2, 8, max_sequence_length=16, dropout=0.2, dtype=dtype
    )
    lm = CausalLM(backbone, tokenizer)
    lm.compile(lmzoo.training.AdamW(learning_rate, global_clipnorm=0.5))
    return lm


class StoppedError(Exception):
    pass


class Recorder(keras.callbacks.Callback):
    """Records the loss of every step, and raises after some steps."""

    is_stateless = True

    def __init__(self, records, stop_after=None):
        super().__init__()
        self.records, self.left = records, stop_after

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.records[self.epoch, batch] = float(logs["loss"])
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise StoppedError

    def on_epoch_end(self, epoch, logs=None):
        self.records[epoch, "end"] = {name: float(value) for name, value in logs.items()}


def run(data_folder, records, checkpoint=None, stop_after=None, lm=None, **options):
    """The weights after a run, which has data, validation and callbacks that remember."""
    lm = lm or make_lm()
    callbacks = [
        # The first loss hardly falls by so much, so that the rate is halved.
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1.0),
        keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
        Recorder(records, stop_after),
    ]
    callbacks += options.pop("callbacks", [])
    if checkpoint is not None:
        # Before the others: `fit` puts it behind them.
        callbacks.insert(0, checkpoint)
    options = {"epochs": NUM_EPOCHS, "verbose": 0, **options}
    validation = make_data(data_folder, 4)
    history = lm.fit(
        make_data(data_folder, 3), validation_data=validation, callbacks=callbacks, **options
    )
    return [weight.numpy() for weight in lm.weights], history


@pytest.fixture(scope="module")
def whole(data_folder):
    records = {}
    weights, history = run(data_folder, records)
    again = {}
    run(data_folder, again)
    assert again == records, "the control: two untouched runs"
    rates = [records[epoch, "end"]["learning_rate"] for epoch in range(NUM_EPOCHS)]
    assert len(set(rates)) > 1, "a callback changes the learning rate"
    return records, weights, history


def make_checkpoint(folder, **options):
    return Checkpoint(folder, **{"every_steps": 1, "every_seconds": None, **options})


def assert_same(whole, records, weights, history):
    assert records == whole[0]
    for one, other in zip(weights, whole[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert history.history == whole[2].history and history.epoch == whole[2].epoch


@pytest.mark.slow
def test_a_run_that_is_never_stopped_is_the_run_without_checkpoints(data_folder, whole, tmp_path):
    records = {}
    weights, history = run(data_folder, records, make_checkpoint(tmp_path / "run"))
    assert_same(whole, records, weights, history)
    steps = sorted(path.name for path in (tmp_path / "run").glob("step-*"))
    per_epoch = len(whole[0]) // NUM_EPOCHS - 1
    assert len(steps) == 3 and steps[-1] == f"step-{NUM_EPOCHS * per_epoch:09d}"
    manifest = json.loads((tmp_path / "run" / steps[-1] / "manifest.json").read_text())
    assert manifest["record"]["epoch"] == NUM_EPOCHS


def test_a_run_that_is_stopped_goes_on_step_for_step(data_folder, whole, tmp_path, capfd):
    per_epoch = len(whole[0]) // NUM_EPOCHS - 1
    records = {}
    # In the first epoch, in the second, and at the end of the second before its validation.
    for stop_after in (per_epoch // 2, per_epoch + 1, per_epoch // 2):
        with pytest.raises(StoppedError):
            run(data_folder, records, make_checkpoint(tmp_path / "run"), stop_after)
    weights, history = run(data_folder, records, make_checkpoint(tmp_path / "run"))
    assert_same(whole, records, weights, history)
    assert "Going on after step" in capfd.readouterr().err
    best = lmzoo.load(tmp_path / "run" / "best")
    assert best.evaluate(make_data(data_folder, 4), verbose=0, return_dict=True)["loss"] < 6
    # Once more: there is nothing left to do.
    weights, history = run(data_folder, records, make_checkpoint(tmp_path / "run"))
    assert history.history == whole[2].history
    for one, other in zip(weights, whole[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_steps_per_epoch_over_one_endless_iteration_go_on_too(data_folder, tmp_path):
    options = {"steps_per_epoch": 5, "epochs": 4}
    records, stopped = {}, {}
    weights, _ = run(data_folder, records, **options)
    for stop_after in (7, 6):
        with pytest.raises(StoppedError):
            run(data_folder, stopped, make_checkpoint(tmp_path), stop_after, **options)
    others, _ = run(data_folder, stopped, make_checkpoint(tmp_path), **options)
    assert stopped == records
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_stopping_changes_nothing(train, folder, stop_after, records, weights):
    """Runs `train(records, checkpoint, stop_after)` twice, the second time to its end."""
    stopped = {}
    with pytest.raises(StoppedError):
        train(stopped, make_checkpoint(folder), stop_after)
    others = train(stopped, make_checkpoint(folder))
    assert stopped == records
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_raw_text_goes_on_too(tmp_path):
    def train(records, checkpoint=None, stop_after=None):
        keras.utils.set_random_seed(1)
        tokenizer = lmzoo.tokenizers.ByteTokenizer()
        backbone = lmzoo.models.BertBackbone(
            tokenizer.vocabulary_size, 1, 2, 8, max_sequence_length=16
        )
        task = lmzoo.tasks.TextClassifier(backbone, tokenizer, labels=["a", "b"])
        task.compile(lmzoo.training.AdamW(1e-2))
        callbacks = [Recorder(records, stop_after), *([checkpoint] if checkpoint else [])]
        texts = [f"text {number}" for number in range(18)]
        task.fit(texts, ["a", "b"] * 9, batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
        return [weight.numpy() for weight in task.weights]

    records = {}
    weights = train(records)
    assert_stopping_changes_nothing(train, tmp_path, 7, records, weights)


@pytest.mark.slow
def test_a_pipeline_without_a_cursor_goes_on_at_an_epoch(tmp_path, capfd):
    ids = np.random.default_rng(0).integers(3, 50, (12, 9))
    data = tf.data.Dataset.from_tensor_slices(({"token_ids": ids[:, :-1]}, ids[:, 1:])).batch(4)
    records = {}

    def train(records, checkpoint=None, stop_after=None):
        lm, recorder = make_lm(), Recorder(records, stop_after)
        callbacks = [recorder, *([checkpoint] if checkpoint else [])]
        lm.fit(data, epochs=3, verbose=0, callbacks=callbacks)
        return [weight.numpy() for weight in lm.weights]

    weights = train(records)
    assert_stopping_changes_nothing(train, tmp_path, 5, records, weights)
    assert "Going on after step 3, in epoch 2." in capfd.readouterr().err


def test_another_configuration_is_refused_with_the_difference(data_folder, tmp_path):
    with pytest.raises(StoppedError):
        run(data_folder, {}, make_checkpoint(tmp_path), 3)
    with pytest.raises(ValueError, match=r"optimizer.config.global_clipnorm: 0.5 -> None"):
        lm = make_lm()
        lm.compile(lmzoo.training.AdamW(1e-2))
        run(data_folder, {}, make_checkpoint(tmp_path), lm=lm)
    with pytest.raises(ValueError, match=r"precision: 'float32' -> 'mixed_bfloat16'"):
        run(data_folder, {}, make_checkpoint(tmp_path), lm=make_lm(dtype="mixed_bfloat16"))


@pytest.mark.quick("bfloat16")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_snapshot_uses_the_memory_of_the_last_one_and_none_of_the_variables(data_folder, dtype):
    lm = make_lm(dtype=dtype)
    lm.fit(make_data(data_folder, 3).take(1), steps_per_epoch=1, verbose=0)
    first = snapshot_variables(lm)
    kept = {name: array.copy() for name, array in first.items()}
    lm.fit(make_data(data_folder, 3).take(1), steps_per_epoch=1, verbose=0)
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name], name)
    second = snapshot_variables(lm, into=first)
    fresh = snapshot_variables(lm)
    assert any(np.any(second[name] != kept[name]) for name in kept)
    for name, array in second.items():
        assert array is first[name]
        assert not np.shares_memory(array, fresh[name])
        np.testing.assert_array_equal(array, fresh[name], name)
    # What has another shape gets memory of its own.
    name = max(first, key=lambda one: first[one].size)
    assert snapshot_variables(lm, into={name: first[name][:1]})[name].shape == first[name].shape


def test_metrics_of_several_replicas_are_added_up_for_one(data_folder):
    lm = make_lm()
    lm.fit(make_data(data_folder, 3), verbose=0)
    arrays = snapshot_variables(lm)
    names = [name for name in arrays if name.startswith("metrics.")]
    before = {name: arrays[name] for name in names}
    assert any(before[name] for name in names)
    stacked = {name: np.stack([before[name] - 2, np.full_like(before[name], 2)]) for name in names}
    lm.reset_metrics()
    restore_variables(lm, {**arrays, **stacked}, ("metrics",))
    after = snapshot_variables(lm, ("metrics",))
    assert after.keys() == before.keys()
    for name in names:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-6)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_taken(data_folder, whole, tmp_path):
    with pytest.raises(StoppedError):
        run(data_folder, {}, make_checkpoint(tmp_path), 6)
    newest = sorted(tmp_path.glob("step-*"))[-1]
    state = bytearray((newest / "state.safetensors").read_bytes())
    state[len(state) // 2] ^= 1
    (newest / "state.safetensors").write_bytes(state)
    records = {}
    with pytest.warns(UserWarning, match=f"damaged checkpoint, {newest.name}"):
        weights, _ = run(data_folder, records, make_checkpoint(tmp_path))
    assert records.items() <= whole[0].items()
    for one, other in zip(weights, whole[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_what_was_there(data_folder, tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3:
                weight = self.model.trainable_weights[0]
                weight.assign(np.full(weight.shape, np.nan))

    lm = make_lm()
    callbacks = [make_checkpoint(tmp_path), Poison()]
    with pytest.raises(
        FloatingPointError, match=r"loss of nan .*in step 3 of epoch 0.*step-0000000"
    ):
        lm.fit(make_data(data_folder, 3), verbose=0, callbacks=callbacks)
    assert len(list(tmp_path.glob("step-*"))) >= 1
    assert max(tmp_path.glob("step-*")).name <= "step-000000003"


@pytest.mark.quick("15-SystemExit")
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_saves_and_ends(data_folder, whole, tmp_path, number, raised, capfd):
    class Send(keras.callbacks.Callback):
        is_stateless = True

        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    checkpoint = Checkpoint(tmp_path, every_seconds=None)
    with pytest.raises(raised):
        make_lm().fit(make_data(data_folder, 3), verbose=0, callbacks=[Send(), checkpoint])
    assert signal.getsignal(number) is before
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000003"]
    assert "step-000000003" in capfd.readouterr().err


def test_two_trainers_do_not_share_a_folder(data_folder, tmp_path):
    first = Checkpoint(tmp_path)

    class Second(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            with pytest.raises(RuntimeError, match=f"in use by process {os.getpid()}"):
                make_lm().fit(
                    make_data(data_folder, 3), verbose=0, callbacks=[Checkpoint(tmp_path)]
                )
            raise StoppedError

    with pytest.raises(StoppedError):
        make_lm().fit(make_data(data_folder, 3), verbose=0, callbacks=[first, Second()])


@pytest.mark.parametrize(
    ("options", "error", "received"),
    [
        ({"folder": 3}, TypeError, "folder=3"),
        ({"every_steps": 0}, ValueError, "every_steps=0"),
        ({"every_steps": "1"}, ValueError, "every_steps='1'"),
        ({"keep": 0}, ValueError, "keep=0"),
        ({"every_seconds": -1}, ValueError, "every_seconds=-1"),
        ({"every_seconds": "1"}, TypeError, "every_seconds='1'"),
        ({"monitor": 1}, TypeError, "monitor=1"),
        ({"mode": "best"}, ValueError, "mode='best'"),
    ],
)
def test_arguments_are_checked(options, error, received):
    with pytest.raises(error, match=received):
        Checkpoint(**{"folder": "folder", **options})


@pytest.mark.slow
def test_steps_that_end_an_epoch_in_one_execution_count_for_every_steps(data_folder, tmp_path):
    lm = make_lm()
    lm.compile(lmzoo.training.AdamW(1e-2), steps_per_execution=3)

    class Wait(keras.callbacks.Callback):
        is_stateless = True

        def on_train_batch_begin(self, batch, logs=None):
            while checkpoint._store.is_writing():
                time.sleep(0.01)

    options = {"epochs": 3, "steps_per_epoch": 6, "verbose": 0}
    # Steps 5 and 10 lie within executions of three steps, the second of which ends an epoch.
    checkpoint = Checkpoint(tmp_path, every_steps=5, every_seconds=None, keep=9)
    lm.fit(make_data(data_folder, 3), callbacks=[checkpoint, Wait()], **options)
    names = sorted(path.name for path in tmp_path.glob("step-*"))
    assert names == ["step-000000006", "step-000000012", "step-000000015", "step-000000018"]


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [2, None])
def test_callbacks_of_keras_do_what_they_do_without_it(data_folder, tmp_path, stop_after):
    def train(folder, stop_after=None, **options):
        lm, records = make_lm(), {}
        callbacks = [
            keras.callbacks.ModelCheckpoint(
                folder / "{epoch}.weights.h5", save_best_only=True, save_weights_only=True
            ),
            keras.callbacks.EarlyStopping(patience=2, min_delta=0.6, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1.0),
            keras.callbacks.BackupAndRestore(folder / "backup"),
            Recorder(records, stop_after),
            *options.pop("checkpoints", []),
        ]
        data, validation = make_data(data_folder, 3), make_data(data_folder, 4)
        options = {"epochs": 6, "steps_per_epoch": 3, "verbose": 0, "callbacks": callbacks}
        history = lm.fit(data, validation_data=validation, **options).history
        files = {}
        for path in sorted(folder.glob("*.weights.h5")):
            lm.load_weights(path)
            files[path.name] = [weight.numpy().tobytes() for weight in lm.weights]
        return history, files, (folder / "backup").exists()

    expected = train(tmp_path / "plain")
    assert 2 < len(expected[0]["loss"]) < 6, "EarlyStopping ends it"
    assert len(set(expected[0]["learning_rate"])) > 1 and len(expected[1]) > 1
    folder = tmp_path / "beside"
    if stop_after:
        with pytest.raises(StoppedError):
            train(folder, 4, checkpoints=[make_checkpoint(tmp_path / "run")])
    assert train(folder, checkpoints=[make_checkpoint(tmp_path / "run")]) == expected


class Finite(keras.losses.Loss):
    """A loss of 1 whose gradient is NaN."""

    def call(self, y_true, y_pred):
        return 1.0 + tf.sqrt(0.0 * tf.reduce_sum(tf.square(y_pred), axis=-1))


def test_a_gradient_that_is_not_finite_stops_at_its_step(data_folder, tmp_path):
    lm = make_lm()
    lm.compile(lmzoo.training.AdamW(1e-2), loss=Finite())
    data = make_data(data_folder, 3)
    with pytest.raises(FloatingPointError, match=r"norm of the gradient of nan in step 0") as info:
        lm.fit(data, verbose=0, callbacks=[make_checkpoint(tmp_path)])
    samples = ", ".join(str(one) for one in data.cursor.find_samples(0))
    assert f"in one of the samples {samples}. " in str(info.value)
    assert "there is none" in str(info.value) and not list(tmp_path.glob("step-*"))


@pytest.mark.slow
def test_weights_that_are_not_finite_are_not_saved(data_folder, tmp_path):
    lm = make_lm()
    # It does not say how large its gradient was.
    lm.compile(keras.optimizers.SGD(1e-2), loss=Finite())
    with pytest.raises(FloatingPointError, match=r"Weights must be finite .* in model"):
        lm.fit(make_data(data_folder, 3), verbose=0, callbacks=[make_checkpoint(tmp_path)])
    assert not list(tmp_path.glob("step-*"))


class Spoilt(keras.losses.MeanSquaredError):
    """Infinite for a label of 7."""

    def call(self, y_true, y_pred):
        return tf.where(tf.reduce_any(y_true == 7, -1), np.inf, super().call(y_true, y_pred))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_rows_of_its_step(tmp_path):
    keras.utils.set_random_seed(1)
    tokenizer = lmzoo.tokenizers.ByteTokenizer()
    backbone = lmzoo.models.BertBackbone(tokenizer.vocabulary_size, 1, 2, 8, max_sequence_length=16)
    task = lmzoo.tasks.TextRegressor(backbone, tokenizer)
    task.compile(lmzoo.training.AdamW(1e-2), loss=Spoilt(), metrics=[])
    texts, labels = [f"text {number}" for number in range(12)], [float(one) for one in range(12)]
    with pytest.raises(FloatingPointError, match=r"in one of the samples") as info:
        task.fit(texts, labels, batch_size=4, verbose=0, callbacks=[make_checkpoint(tmp_path)])
    named = re.search(r"samples ([\d, ]+)\.", str(info.value))[1].split(", ")
    assert "7" in named and len(named) == 4


class Send(keras.callbacks.Callback):
    """Sends a signal in each validation."""

    is_stateless = True

    def on_test_batch_end(self, batch, logs=None):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_signal_in_validation_saves_and_goes_on_with_it(data_folder, whole, tmp_path):
    records, per_epoch = {}, len(whole[0]) // NUM_EPOCHS - 1
    checkpoint = Checkpoint(tmp_path, every_seconds=None)
    with pytest.raises(SystemExit):
        run(data_folder, records, checkpoint, callbacks=[Send()])
    assert [path.name for path in tmp_path.glob("step-*")] == [f"step-{per_epoch:09d}"]
    weights, history = run(data_folder, records, make_checkpoint(tmp_path))
    assert_same(whole, records, weights, history)


@pytest.mark.parametrize(
    "swaps",
    [
        # The task evaluates its averages by itself, or a callback of Keras swaps them in.
        None,
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"swap_on_epoch": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_what_is_saved_while_averages_are_evaluated_are_the_weights(data_folder, tmp_path, swaps):
    def run_once(records, checkpoint=None, others=()):
        lm = make_lm()
        lm.compile(lmzoo.training.AdamW(1e-2, use_ema=True, ema_momentum=0.5))
        swap = [] if swaps is None else [keras.callbacks.SwapEMAWeights(**swaps)]
        return run(data_folder, records, checkpoint, lm=lm, callbacks=[*swap, *others])

    wanted, found = {}, {}
    whole = wanted, *run_once(wanted)
    with pytest.raises(SystemExit):
        run_once(found, Checkpoint(tmp_path, every_seconds=None), [Send()])
    weights, history = run_once(found, make_checkpoint(tmp_path))
    assert_same(whole, found, weights, history)


@pytest.mark.slow
def test_the_best_model_has_averages_whoever_swaps_them(data_folder, tmp_path):
    found = []
    for name, swap in (("own", []), ("swap", [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])):
        lm = make_lm()
        lm.compile(lmzoo.training.AdamW(1e-2, use_ema=True, ema_momentum=0.5))
        run(data_folder, {}, make_checkpoint(tmp_path / name), lm=lm, callbacks=swap, epochs=2)
        found.append([weight.numpy() for weight in lmzoo.load(tmp_path / name / "best").weights])
    for one, other in zip(*found, strict=True):
        # Keras swaps by additions, which round.
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
