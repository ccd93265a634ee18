"""Whole searches: real trials in real processes, kills, and several workers."""

import json
import os
import pathlib
import signal
import sys
import time

import pytest

import lmzoo
from lmzoo.runs import building
from lmzoo.runs.recipe import Recipe
from lmzoo.tuning import driver, search
from lmzoo.tuning.driver import find_role
from lmzoo.tuning.trials.trial_process import run_trial
from tests.python_child import started_children
from tests.tuning.tiny_search import write_recipe
from tests.worker_processes import find_ports

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def in_process(monkeypatch, eagerly):
    """Runs trials in this process, where TensorFlow is and a few steps need no graph."""

    def run(command, folder, seconds, on_poll):
        result = run_trial(pathlib.Path(command[-2]), folder)
        folder.write_result(result)
        return folder.read_result()

    monkeypatch.setattr(driver, "run_process", run)


def check_search(recipe, found):
    """What holds of a search that went well."""
    report = json.loads((found.folder / "report.json").read_text())
    assert report == json.loads(json.dumps(found.report))
    one, two = report["trials"]
    assert {one["status"], two["status"]} == {"completed"} and one["values"] != two["values"]
    best = min(report["trials"], key=lambda trial: trial["objective"])
    assert report["best"] == best["trial"] and best["rank"] == 1
    task = lmzoo.load(found.best)
    assert task.backbone.hidden_dim == best["values"]["hidden_dim"]
    assert list(task.labels.names) == ["bad", "good"]
    # The model is that of the best epoch: it has the very objective.
    request = json.loads((found.folder / "trials" / best["trial"] / "request.json").read_text())
    _, held_out = building.open_rows(Recipe(request["values"], {}))
    loss = task.evaluate(held_out, batch_size=16, return_dict=True, verbose=0)["loss"]
    assert loss == pytest.approx(best["objective"], rel=1e-5)
    # Called again, it has nothing to do.
    assert search(recipe).report == found.report


def test_a_search_gives_the_best_model_and_its_report(tmp_path, capsys, in_process):
    recipe = write_recipe(tmp_path)
    found = search(recipe, verbose=True)
    told = capsys.readouterr().err
    assert "0000 completed val_loss " in told and "2 epochs" in told
    check_search(recipe, found)
    page = (found.folder / "report.html").read_text()
    assert "http" not in page and found.report["best"] in page
    with pytest.raises(ValueError, match=r"`run_dir` .*differs in .*training.epochs: 2 -> 3"):
        search(recipe, training={"epochs": 3})


@pytest.mark.slow
def test_each_trial_has_a_process_of_its_own(tmp_path):
    recipe = write_recipe(tmp_path)
    found = search(recipe)
    check_search(recipe, found)
    assert not any((found.folder / "trials").glob("*/checkpoints"))


SKIP = """
import pathlib, sys
from lmzoo.tuning.trials import Result, TrialFolder
folder = TrialFolder(pathlib.Path(sys.argv[1]), sys.argv[2])
folder.write_result(Result("skipped", "it needs about 9 GB"))
"""


def test_trials_that_cannot_be_trained_are_recorded(tmp_path, monkeypatch):
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    skip = [sys.executable, "-c", SKIP, str(tmp_path / "search"), "0001"]
    commands = {"0001": skip}
    monkeypatch.setattr(
        "lmzoo.tuning.driver.make_command", lambda folder, name: commands.get(name, crash)
    )
    with pytest.raises(RuntimeError, match="3 trials failed .*SIGKILL.*trials"):
        search(write_recipe(tmp_path), search={"max_trials": 4, "max_failures": 3})
    report = json.loads((tmp_path / "search" / "report.json").read_text())
    states = [trial["status"] for trial in report["trials"]]
    assert states == ["failed", "skipped", "failed", "failed"] and report["best"] is None
    assert "memory ran out" in report["trials"][0]["reason"]
    assert report["trials"][1]["reason"] == "it needs about 9 GB"


def test_wrong_recipes_and_missing_files_are_refused_before_a_trial(tmp_path):
    recipe = write_recipe(tmp_path)
    with pytest.raises(ValueError, match=r"--set data.files: `data.files` must name .*'x.csv'"):
        search(recipe, overrides=["data.files='x.csv'"])
    with pytest.raises(ValueError, match="Did you mean `search.max_trials`"):
        search(recipe, search={"max_trial": 1})
    assert not (tmp_path / "search").exists()


def test_without_the_extra_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for use in (lambda: search(write_recipe(tmp_path)), lambda: lmzoo.tuning.HyperTask):
        with pytest.raises(ImportError, match=r"needs keras-tuner.*`pip install lmzoo\[tune\]`"):
            use()


@pytest.mark.parametrize(
    ("environment", "role"),
    [
        ({}, "alone"),
        ({"ID": "chief", "IP": "127.0.0.1", "PORT": "1"}, "chief"),
        ({"ID": "tuner0", "IP": "127.0.0.1", "PORT": "1"}, "worker"),
        ({"IP": "127.0.0.1", "PORT": "1"}, "KERASTUNER_TUNER_ID, .*Received: none for KERAS"),
        ({"ID": "a", "IP": "127.0.0.1", "PORT": "x"}, "must be a port.*Received: 'x'"),
    ],
)
def test_the_environment_says_what_a_process_is(monkeypatch, environment, role):
    names = {"ID": "KERASTUNER_TUNER_ID", "IP": "KERASTUNER_ORACLE_IP"}
    names["PORT"] = "KERASTUNER_ORACLE_PORT"
    for short, name in names.items():
        monkeypatch.delenv(name, raising=False)
        if short in environment:
            monkeypatch.setenv(name, environment[short])
    if " " in role or "," in role:
        with pytest.raises(ValueError, match=role):
            find_role()
    else:
        assert find_role() == role


@pytest.fixture
def start():
    """`lmzoo tune` in a process of its own, which does not outlive the test."""
    own = {name: value for name, value in os.environ.items() if "KERASTUNER" not in name}
    with started_children() as start_child:

        def start(recipe, *options, **environment):
            return start_child(
                *("-m", "lmzoo.cli", "--debug", "tune", recipe, *options),
                env={**own, "PYTHONPATH": str(ROOT), **environment},
            )

        yield start


def finish(child, seconds=400):
    out, errors = child.communicate(timeout=seconds)
    assert child.returncode == 0, errors[-3000:]
    return out, errors


def count_ended(folder):
    path = folder / "journal.jsonl"
    return path.read_text().count('"end"') if path.exists() else 0


def describe(folder):
    report = json.loads((folder / "report.json").read_text())
    trials = [(each["trial"], each["values"], each["objective"]) for each in report["trials"]]
    return report["best"], trials


@pytest.mark.slow
def test_a_search_that_is_killed_three_times_finds_the_same_best(tmp_path, start):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    finish(start(write_recipe(whole, max_trials=8)))
    recipe = write_recipe(killed, max_trials=8)
    # Within a trial, as soon as one has ended, and between the two.
    for ended, wait in ((1, 0.0), (3, 2.5), (6, 5.0)):
        child = start(recipe)
        deadline = time.monotonic() + 300
        while count_ended(killed / "search") < ended and time.monotonic() < deadline:
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.05)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    results = {path: path.stat().st_mtime_ns for path in killed.glob("search/trials/*/result.json")}
    out, _ = finish(start(recipe))
    assert "trials             8, 0 failed" in out
    assert describe(killed / "search") == describe(whole / "search")
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in results.items())
    lines = (killed / "search" / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 16 and len(set(lines)) == 16
    assert lmzoo.load(killed / "search" / "best").count_params() > 0


@pytest.mark.slow
def test_two_workers_share_a_search_and_a_chief_that_is_killed_goes_on(tmp_path, start):
    recipe = write_recipe(tmp_path, max_trials=5)
    address = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(find_ports(1)[0]),
    }
    workers = [start(recipe, KERASTUNER_TUNER_ID=f"worker{n}", **address) for n in range(2)]
    chief = start(recipe, KERASTUNER_TUNER_ID="chief", **address)
    deadline = time.monotonic() + 300
    while count_ended(tmp_path / "search") < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    chief.send_signal(signal.SIGKILL)
    chief.communicate()
    chief = start(recipe, KERASTUNER_TUNER_ID="chief", **address)
    out, _ = finish(chief)
    for worker in workers:
        finish(worker, 60)
    assert "trials             5, 0 failed" in out
    begun = [
        json.loads((path / "request.json").read_text())["worker"]
        for path in sorted((tmp_path / "search" / "trials").iterdir())
    ]
    assert len(begun) == 5 and set(begun) == {"worker0", "worker1"}


@pytest.mark.slow
def test_local_workers_are_a_chief_and_its_workers(tmp_path, start):
    out, _ = finish(start(write_recipe(tmp_path, max_trials=3), "--workers", "2", "--json"))
    report = json.loads(out)
    assert len(report["trials"]) == 3 and report["failed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["BayesianOptimization", "GridSearch", "Hyperband"])
def test_each_algorithm_searches(tmp_path, tuner):
    options = {"BayesianOptimization": {"max_trials": 4, "initial_points": 3}}
    own = {"tuner": tuner, "max_trials": 20, "factor": 2, **options.get(tuner, {})}
    space = {"batch_size": [8, 16]}
    if tuner == "GridSearch":
        space["learning_rate"] = 0.01
    found = search(write_recipe(tmp_path), search=own, space=space)
    report = found.report
    assert report["failed"] == 0 and report["best"] is not None
    numbers = {"BayesianOptimization": 4, "GridSearch": 4, "Hyperband": 5}
    assert len(report["trials"]) == numbers[tuner]
    if tuner == "Hyperband":
        # Those that go on train what is left of two epochs, from where they were.
        requests = [
            json.loads(path.read_text())
            for path in sorted(found.folder.glob("trials/*/request.json"))
        ]
        gone_on = [request for request in requests if request["past_trial"] is not None]
        assert gone_on and all(each["values"]["training.epochs"] == 1 for each in gone_on)


def test_a_chief_that_does_not_answer_is_said_in_bounded_time(tmp_path, monkeypatch):
    port = find_ports(1)[0]
    for name, value in (("TUNER_ID", "a"), ("ORACLE_IP", "127.0.0.1"), ("ORACLE_PORT", str(port))):
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    begun = time.monotonic()
    message = f"The chief must answer .*'127.0.0.1:{port}' to GetSpace within 1 seconds"
    with pytest.raises(TimeoutError, match=message):
        search(write_recipe(tmp_path), search={"chief_seconds": 1})
    assert time.monotonic() - begun < 60
