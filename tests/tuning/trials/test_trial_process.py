"""What a trial does in its process: trains, goes on, is skipped, or fails with a reason."""

import json
import shutil

import pytest
import tensorflow as tf

import lmzoo
from lmzoo.tuning.plan import read_plan
from lmzoo.tuning.trials import TrialFolder
from lmzoo.tuning.trials.trial_process import explain_failure, run_trial
from tests.tuning.tiny_search import write_recipe

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
from lmzoo.tuning.driver import write_request  # noqa: E402

# A few steps of tiny models are done before a graph is traced.
pytestmark = pytest.mark.usefixtures("eagerly")


def prepare(tmp_path, values=None, histories=(), trial_id="0000", **sections):
    plan = read_plan(write_recipe(tmp_path), (), sections)
    plan.prepare_folder()
    folder = TrialFolder(plan.folder, trial_id)
    values = {"hidden_dim": 8, "learning_rate": 0.01, **(values or {})}
    write_request(plan, folder, "a", values, list(histories))
    return plan, folder


def run(*arguments, **options):
    plan, folder = prepare(*arguments, **options)
    return run_trial(plan.folder, folder), folder


@pytest.mark.slow
def test_a_trial_that_was_killed_goes_on_to_the_same_end(tmp_path, monkeypatch):
    whole, folder = run(tmp_path, training={"epochs": 3})
    assert whole.status == "completed" and len(whole.history) == 3
    assert whole.parameters == lmzoo.load(folder.model).count_params()
    assert (folder.path / "checkpoints").is_dir() and folder.read_result() is None

    # Killed after its last epoch, it trains nothing more; earlier, it goes on.
    def refuse(*arguments, **options):
        raise AssertionError("It was trained again.")

    with monkeypatch.context() as patch:
        patch.setattr("lmzoo.runs.driver.Run.fit", refuse)
        stopped = json.loads((folder.path / "request.json").read_text())
        stopped["rules"]["patience"] = 1
        stopped["rules"]["others"] = [[0.0, 0.0, 0.0]] * 3
        (folder.path / "request.json").write_text(json.dumps(stopped))
        assert run_trial(tmp_path / "search", folder).history == whole.history
    (folder.path / "request.json").unlink()
    prepare(tmp_path, training={"epochs": 3})
    shutil.rmtree(folder.path / "checkpoints")
    shutil.rmtree(folder.model)
    again = run_trial(tmp_path / "search", folder)
    assert (again.history, again.metrics) == (whole.history, whole.metrics)


def test_a_trial_below_the_median_is_pruned_with_its_objective(tmp_path):
    result, folder = run(tmp_path, histories=[[0.001, 0.001]] * 3)
    assert result.status == "pruned" and len(result.history) == 1 and result.has_score
    assert "median" in result.reason and folder.model.is_dir()


def test_a_trial_of_hyperband_goes_on_with_the_weights_of_the_one_before(tmp_path):
    search = {"tuner": "Hyperband", "factor": 2}
    own = {"tuner/epochs": 1, "tuner/initial_epoch": 0}
    first, folder = run(tmp_path, own, search=search)
    assert len(first.history) == 1
    more = {"tuner/epochs": 2, "tuner/initial_epoch": 1, "tuner/trial_id": "0000"}
    # A rate of nothing shows the weights that it began with.
    more["learning_rate"] = 1e-30
    plan, other = prepare(tmp_path, more, trial_id="0001", search=search)
    second = run_trial(plan.folder, other)
    assert second.metrics["val_loss"] == pytest.approx(first.metrics["val_loss"], rel=1e-5)
    # Where its weights did not stay, it trains from the beginning; one that has begun goes on.
    shutil.rmtree(folder.model)
    prepare(tmp_path, more, trial_id="0001", search=search)
    request = json.loads((other.path / "request.json").read_text())
    assert request["past_trial"] == "0000" and request["values"]["training.epochs"] == 1
    _, third = prepare(tmp_path, more, trial_id="0002", search=search)
    request = json.loads((third.path / "request.json").read_text())
    assert request["past_trial"] is None and request["values"]["training.epochs"] == 2


def test_a_trial_that_would_not_fit_is_skipped(tmp_path):
    result, _ = run(tmp_path, search={"memory_limit": 1e-6})
    assert result.status == "skipped" and result.reason.startswith("it needs about ")
    assert result.reason.endswith("GB, of 1e-06") and not result.has_score


def test_a_trial_that_diverges_has_failed(tmp_path):
    result, _ = run(tmp_path, {"learning_rate": 1e30})
    assert result.status == "failed" and result.reason.startswith("not finite (")
    assert not result.is_refused


def test_what_the_recipe_has_wrong_is_told_with_its_place(tmp_path):
    own = [tmp_path / "one", tmp_path / "two"]
    for folder in own:
        folder.mkdir()
    result, _ = run(own[0], data={"options": {"label": "lable"}})
    assert result.is_refused and "`data.options`: " in result.reason and "lable" in result.reason
    result, _ = run(own[1], search={"objective": "val_losses"})
    assert result.is_refused and "'val_losses'. There are" in result.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory (MemoryError:"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "out of memory ("),
        (tf.errors.InternalError(None, None, "Failed to allocate memory"), "out of memory ("),
        (FloatingPointError("nan"), "not finite ("),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_failures_have_a_reason(error, reason):
    result = explain_failure(error, is_refused=True)
    assert result.status == "failed" and result.reason.startswith(reason)
    assert not result.is_refused
