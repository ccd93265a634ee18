"""A run by a recipe: what it writes, how it goes on, and what it refuses."""

import errno
import importlib.util
import json
import math
import types

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.runs import building, check, devices, driver, plot, train
from lmzoo.runs.metrics_log import MetricsLog, truncate_after
from lmzoo.runs.recipe import read_recipe
from lmzoo.runs.report import list_rows

# Graphs would take most of the time; `tests/cli/commands/test_train.py` trains with them.
pytestmark = pytest.mark.usefixtures("eagerly")
STEPS, BATCH_SIZE, LENGTH, RATE = 8, 4, 16, 1e-2


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30)
    rows = [
        f'{{"text": "a {word} film", "label": "{label}"}}\n'
        for word, label in [
            ("good", "praise"),
            ("bad", "blame"),
            ("very good", "praise"),
            ("dull", "blame"),
        ]
        * 3
    ]
    (folder / "rows.jsonl").write_text("".join(rows))  # fmt: skip
    return folder


def make_recipe(text, run_dir, **sections):
    """A recipe as a dict, for a model that is trained in seconds."""
    options = {"cache_dir": str(text / "cache")}
    recipe = {
        "run_dir": str(run_dir),
        "data": {
            "files": [str(text / "*.txt")],
            "sequence_length": LENGTH,
            "batch_size": BATCH_SIZE,
            "options": options,
        },
        "validation": {"split": 0.2, "every_steps": 4},
        "tokenizer": {"kind": "ByteTokenizer"},
        "model": {
            "task": "CausalLM",
            "backbone": "GPTBackbone",
            "backbone_options": {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "dropout": 0.1},
        },
        "optimizer": {"learning_rate": RATE},
        "schedule": {"warmup_steps": 2},
        "training": {"steps": STEPS},
        "checkpoints": {"every_steps": 1, "every_seconds": 1000},
    }
    return {name: {**recipe.get(name, {}), **sections.get(name, {})} if name != "run_dir" else
            recipe[name] for name in recipe.keys() | sections.keys()}  # fmt: skip


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory):
    """A run that is never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    tf.config.run_functions_eagerly(True)
    return train(make_recipe(text, folder / "run"))


def test_a_run_writes_a_line_for_each_step(whole):
    lines = read_lines(whole.folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(line["tokens"] == BATCH_SIZE * LENGTH for line in lines)
    assert all(math.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in lines)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert {line["loss_scale"] for line in lines} == {None}
    # Keras reports the mean over an epoch, here of batches with as many tokens each.
    history = whole.task.history.history["loss"]
    means = np.mean([line["loss"] for line in lines]), np.mean(history)
    np.testing.assert_allclose(*means, rtol=1e-6)
    rates = [line["learning_rate"] for line in lines]
    fall = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * np.arange(STEPS - 2) / (STEPS - 2)))
    np.testing.assert_allclose(rates, RATE * np.array([0.5, 1.0, *fall]), rtol=1e-5)
    validation = read_lines(whole.folder / "validation.jsonl")
    assert [line["step"] for line in validation] == [4, 8]
    assert validation[-1]["val_loss"] == pytest.approx(whole.task.history.history["val_loss"][-1])


def test_a_report_writes_large_numbers_out(whole):
    numbers = {"tokens_per_second": 10034.6, "loss": 5.6219, "model_flops_per_second": 1.5e12}
    rows = dict(list_rows({**whole.report, **numbers}))
    assert rows["tokens a second"] == "10,035"
    assert rows["loss"] == "5.622"
    assert rows["model GFLOP/s"] == "1,500"


def test_a_run_writes_its_model_its_recipe_and_its_report(whole):
    lm = lmzoo.load(whole.folder / "model")
    assert type(lm).__name__ == "CausalLM"
    for one, other in zip(lm.weights, whole.task.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    config = json.loads((whole.folder / "config.json").read_text())
    assert config["training.steps"] == STEPS and config["optimizer.name"] == "AdamW"
    report = json.loads((whole.folder / "report.json").read_text())
    assert report == json.loads(json.dumps(whole.report))
    assert report["tokens"] == STEPS * BATCH_SIZE * LENGTH
    used = report["tokens_per_second"] * report["model_flops_per_token"]
    assert report["mfu"] == pytest.approx(used / report["bf16_product_flops_per_second"])
    assert 0 < report["seconds_to_first_step"] < report["seconds"]
    assert 0 < report["seconds_in_checkpoints"] < report["seconds"]
    assert report["peak_memory_bytes"] > 1e8
    has_tensorboard = importlib.util.find_spec("tensorboard") is not None
    assert any(whole.folder.glob("events/*")) == has_tensorboard
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    assert (whole.folder / "report.png").exists() == has_matplotlib
    card = (whole.folder / "model" / "README.md").read_text()
    assert "| tokens | 512 |" in card and "MFU" in card


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the picture out, which takes as long as a tiny run."""
    monkeypatch.setattr(plot, "draw_report", lambda folder, report: False)


class StoppedError(Exception):
    pass


def test_a_run_that_is_stopped_goes_on_and_has_each_step_once(
    text, whole, tmp_path, monkeypatch, undrawn
):
    recipe = make_recipe(text, tmp_path / "run")
    write, left = MetricsLog.on_train_batch_end, [5]

    def stop(self, batch, logs=None):
        write(self, batch, logs)
        if self._step in left:
            # After the line is written, and before the step is in a checkpoint.
            left.remove(self._step)
            raise StoppedError

    monkeypatch.setattr(MetricsLog, "on_train_batch_end", stop)
    with pytest.raises(StoppedError):
        train(recipe)
    train(recipe)
    lines, expected = (
        [(line["step"], line["loss"], line["gradient_norm"]) for line in
         read_lines(folder / "metrics.jsonl")] for folder in (tmp_path / "run", whole.folder)
    )  # fmt: skip
    assert lines == expected
    assert len(read_lines(tmp_path / "run" / "validation.jsonl")) == 2
    # Complete, it trains nothing more and keeps its report.
    report = (tmp_path / "run" / "report.json").read_text()
    assert train(recipe).report == json.loads(report)
    # More steps are no other recipe, but this schedule falls until the last one.
    changed = make_recipe(text, tmp_path / "run", optimizer={"learning_rate": 0.5})
    with pytest.raises(ValueError, match=r"`run_dir`.*learning_rate: 0.01 -> 0.5"):
        train(changed)
    with pytest.raises(ValueError, match="optimizer"):
        train(recipe, training={"steps": 2 * STEPS})


def test_rows_train_a_classifier_whose_labels_are_found(text, tmp_path, undrawn):
    run = train(
        run_dir=str(tmp_path / "run"),
        data={"kind": "table", "files": str(text / "rows.jsonl"), "batch_size": 6,
              "options": {"label": "label"}},
        tokenizer={"kind": "ByteTokenizer"},
        model={"task": "TextClassifier", "backbone": "GPTBackbone", "backbone_options":
               {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "max_sequence_length": 16},
               "frozen_layers": 1},
        schedule={"name": "inverse_sqrt", "warmup_steps": 2},
        optimizer={"ema_momentum": 0.9, "layer_decay": 0.5},
        training={"epochs": 2, "precision": "mixed_float16", "label_smoothing": 0.1},
    )  # fmt: skip
    assert list(run.task.labels.names) == ["blame", "praise"]
    lines = read_lines(run.folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    texts = [f"a {word} film" for word in ("good", "bad", "very good", "dull")]
    inputs, _ = run.task.preprocess(texts, ["praise", "blame"] * 2)
    per_epoch = 3 * int(np.sum(inputs["padding_mask"]))
    assert sum(line["tokens"] for line in lines) == 2 * per_epoch
    rates = [line["learning_rate"] for line in lines]
    np.testing.assert_allclose(rates, 5e-5 * np.array([0.5, 1, 1, (2 / 3) ** 0.5]), rtol=1e-5)
    trained = [weight.path for weight in run.task.trainable_weights]
    assert any("block_1" in path for path in trained)
    assert not any("embedding" in path or "block_0" in path for path in trained)
    assert run.task.loss.label_smoothing == 0.1
    assert lines[0]["loss_scale"] > 1 and lines[-1]["skipped_steps"] in range(5)
    assert (run.folder / "tokenizer").is_dir()


def test_another_seed_is_another_order_of_the_rows(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"t{n},{n}\n" for n in range(40)))

    def read_order(seed):
        recipe = read_recipe(
            {
                "data": {"kind": "table", "files": [str(tmp_path / "rows.csv")]},
                "model": {"task": "TextClassifier", "size": "bert-tiny"},
                "tokenizer": {"kind": "ByteTokenizer"},
                "training": {"seed": seed, "epochs": 1},
            }
        )
        rows, _ = building.open_rows(recipe)
        return [text for batch in rows.dataset(5) for text in batch["text"].numpy().tolist()]

    first, again, other = (read_order(seed) for seed in (0, 0, 1))
    assert first == again and first != other
    assert sorted(first) == sorted(other) == sorted(b"t%d" % number for number in range(40))


def test_a_check_trains_nothing_and_writes_nothing(text, tmp_path):
    found = check(make_recipe(text, tmp_path / "run"))
    assert found["steps"] == STEPS and found["steps_per_epoch"] == 4
    assert found["parameters"] > 1000 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"files": ["missing.txt"]}}, "`data.files` must name files .*'missing.txt'"),
        ({"data": {"options": {"mask_rat": 1}}}, "`data`: .*mask_rat"),
        ({"data": {"sequence_length": 999}}, "`data`: .*"),
        ({"model": {"backbone_options": {"num_layer": 1}}}, "Did you mean `num_layers`"),
        ({"optimizer": {"options": {"beta_3": 1}}}, "`optimizer`: .*beta_3"),
        ({"optimizer": {"layer_decay": 2}}, "`layer_decay` must be in .*2.0"),
        ({"schedule": {"warmup_steps": 99}}, "`schedule.warmup_steps` and .* the 8 steps"),
        ({"schedule": {"cooldown_steps": 2}}, "`schedule.cooldown_steps` must be 0 for cosine"),
        ({"model": {"frozen_layers": 2}}, "`model.frozen_layers` must not exceed 1 blocks"),
        ({"data": {"kind": "table"}}, "`data.options`: "),
    ],
)
def test_a_value_that_another_room_refuses_is_named(text, tmp_path, sections, message):
    with pytest.raises(ValueError, match=message):
        check(make_recipe(text, tmp_path / "run", **sections))


def test_data_without_text_or_rows_are_refused(text, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    recipe = make_recipe(text, tmp_path / "run", data={"files": [str(tmp_path / "empty.txt")]})
    with pytest.raises(ValueError, match=r"`data`: .*empty.txt"):
        check(recipe)


def test_a_batch_smaller_than_the_devices_is_refused(text, tmp_path):
    recipe = read_recipe(make_recipe(text, tmp_path, data={"batch_size": 3}))
    strategy = types.SimpleNamespace(num_replicas_in_sync=4)
    with pytest.raises(ValueError, match="`data.batch_size` must be at least 4, .*Received: 3"):
        devices.check_batch_size(recipe, strategy)
    devices.check_batch_size(recipe, types.SimpleNamespace(num_replicas_in_sync=3))


def test_hosts_that_are_no_json_are_refused(text, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{worker")
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON .*'{worker'"):
        train(make_recipe(text, tmp_path / "run"))


def test_a_folder_that_cannot_be_written_is_named(text, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="`run_dir` must be a folder that can be written"):
        train(make_recipe(text, tmp_path / "file" / "run"))


def test_a_full_disk_is_named(tmp_path):
    recorder = types.SimpleNamespace(read=lambda: {"loss": 1.0})
    log = MetricsLog(tmp_path, recorder)

    class Full:
        name = "metrics.jsonl"

        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    log._files["metrics"] = Full()
    with pytest.raises(OSError, match="No space left on device; the run stops.*metrics.jsonl"):
        log._write("metrics", {"step": 1})


def test_lines_after_a_step_and_half_lines_are_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step}) + "\n" for step in range(1, 6)]
    path.write_text("".join(lines) + '{"step": 6')
    truncate_after(path, 9)
    assert path.read_text() == "".join(lines)
    truncate_after(path, 3)
    assert path.read_text() == "".join(lines[:3])


@pytest.mark.parametrize(
    ("steps", "every", "validates", "expected"),
    [(100, None, True, 10), (100, 25, True, 25), (14, None, True, 7), (7, None, False, 7),
     (7, None, True, 7)],
)  # fmt: skip
def test_steps_are_planned_in_whole_epochs(steps, every, validates, expected):
    recipe = {"training.steps": steps, "training.epochs": None, "validation.every_steps": every}
    data = types.SimpleNamespace(validation=[] if validates else None)
    assert driver._plan_steps(recipe, data) == (steps, expected)
