"""A run that is stopped goes on as if it had not been stopped."""

import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.training import Checkpoint

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
    with pytest.raises(FloatingPointError, match=r"nan in step 3 of epoch 0.*step-0000000"):
        lm.fit(make_data(data_folder, 3), verbose=0, callbacks=callbacks)
    assert len(list(tmp_path.glob("step-*"))) >= 1
    assert max(tmp_path.glob("step-*")).name <= "step-000000003"


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
    ("options", "received"),
    [
        ({"every_steps": 0}, "Received: 0"),
        ({"keep": 0}, "Received: 0"),
        ({"every_seconds": -1}, "Received: -1"),
        ({"mode": "best"}, "mode='best'"),
    ],
)
def test_arguments_are_checked(options, received):
    with pytest.raises(ValueError, match=received):
        Checkpoint("folder", **options)
