"""keras-tuner's service over a search: what goes over gRPC is what the chief has."""

import contextlib
import io
import socket
import threading

import pytest

from lmzoo.tuning.journal import Journal
from tests.tuning.tiny_search import make_plan, pretend
from tests.worker_processes import find_ports

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
from lmzoo.tuning.distribution import connect, serve  # noqa: E402
from lmzoo.tuning.shared_oracle import SharedOracle, make_oracle  # noqa: E402


@pytest.fixture
def port(monkeypatch):
    port = find_ports(1)[0]
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(port))
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    return port


def work(plan, name, values):
    """A worker that trains nothing."""
    client = connect(20)
    while (trial := client.create_trial(name)).status != "STOPPED":
        if trial.status == "RUNNING":
            resolved = plan.resolve(trial.hyperparameters.values)
            values[trial.trial_id] = (name, resolved)
            result = pretend(plan, trial.trial_id, {"hidden_dim": 8, **resolved})
            client.update_trial(trial.trial_id, result.metrics)
            trial.status = "COMPLETED"
            client.end_trial(trial)


@pytest.mark.parametrize("tuner", ["RandomSearch", "GridSearch"])
def test_workers_get_the_values_of_the_chief_and_all_hear_the_end(tmp_path, port, tuner):
    # Conditions, strings, whole numbers and fractions.
    space = {
        "source": ["fresh", "gpt2"], "hidden_dim": [48, 64], "num_heads": [3, 4],
        "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
        "learning_rate_of_source": [0.1, 0.3],
    }  # fmt: skip
    plan = make_plan(tmp_path, space=space, search={"max_trials": 12, "tuner": tuner})
    plan.prepare_folder()
    with Journal(plan.folder) as journal, contextlib.redirect_stdout(io.StringIO()):
        oracle = SharedOracle(make_oracle(plan), journal, plan)
        values = {}
        workers = [
            threading.Thread(target=work, args=(plan, name, values)) for name in ("one", "two")
        ]
        for worker in workers:
            worker.start()
        serve(oracle)
        for worker in workers:
            worker.join(30)
            assert not worker.is_alive()
    assert len(values) == 12 == len(oracle.ended)
    for trial_id, (_, resolved) in values.items():
        assert resolved == plan.resolve(oracle.trials[trial_id].values)
    assert {resolved["source"] for _, resolved in values.values()} <= {"fresh", "gpt2"}
    # All that the journal has is enough for the same state.
    with Journal(plan.folder) as journal:
        again = SharedOracle(make_oracle(plan), journal, plan)
        assert again.rank() == oracle.rank() and again.trials == oracle.trials


def test_an_address_in_use_is_told(tmp_path, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(OSError, match=f"must be a free address.*127.0.0.1:{port}"):
            serve(None)


def test_what_the_chief_cannot_answer_is_told_at_once(tmp_path, port):
    plan = make_plan(tmp_path)
    plan.prepare_folder()
    with Journal(plan.folder) as journal:
        oracle = SharedOracle(make_oracle(plan), journal, plan)

        def ask():
            client = connect(20)
            # Its folder has no result, as if the worker saw another disk.
            trial = client.create_trial("one")
            with pytest.raises(RuntimeError, match="could not answer EndTrial: .*is missing"):
                client.end_trial(trial)
            pretend(plan, trial.trial_id, {"hidden_dim": 8, "learning_rate": 0.1})
            client.end_trial(trial)
            oracle.failure = "enough"
            assert client.create_trial("one").status == "STOPPED"
            told.append(True)

        told = []
        worker = threading.Thread(target=ask)
        worker.start()
        serve(oracle)
        worker.join(30)
    assert told
