"""Whether XLA compiles: measured once for a size of model, kept, never for small ones."""

import json
import logging
import os

import pytest

from lmzoo.generation import engine_choice, pipeline

SECONDS = {"plain": 2.0, "xla": 1.0}


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Counts measurements, whose result it gives, in a cache of its own; every model is large."""
    found = {"seconds": SECONDS, "count": 0}

    def measure(task):
        found["count"] += 1
        return found["seconds"]

    monkeypatch.setattr(engine_choice, "_measure", measure)
    monkeypatch.setattr(pipeline, "_PARAMETERS_WORTH_COMPILING", 0)
    monkeypatch.setenv("LMZOO_CACHE", str(tmp_path))
    monkeypatch.delenv(engine_choice.SWITCH)
    return found


def choose(lm):
    return pipeline.compiles(lm, "auto")


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        ({"plain": 2.0, "xla": 1.0}, True),
        ({"plain": 1.0, "xla": 2.0}, False),
        # Too little to wait for XLA.
        ({"plain": 1.0, "xla": 0.99}, False),
        # Too slow to be timed.
        (None, True),
    ],
)
def test_the_faster_form_is_chosen(make_lm, measured, seconds, wanted):
    measured["seconds"] = seconds
    assert choose(make_lm()) is wanted


def test_a_choice_is_kept_for_all_models_of_a_size_and_precision(
    make_lm, measured, tmp_path, caplog
):
    lm = make_lm()
    assert choose(lm) and choose(lm) and measured["count"] == 1
    (path,) = (tmp_path / "engines").iterdir()
    kept = json.loads(path.read_text())
    assert kept["seconds"] == SECONDS and kept["jit_compile"] is True
    assert kept["parameters"] == lm.backbone.count_params()
    # It says that it measures, and where the result is.
    assert caplog.records[0].levelno == logging.WARNING
    assert "once for a GPTBackbone" in caplog.text and str(path) in caplog.text
    measured["seconds"] = {"plain": 1.0, "xla": 2.0}
    assert choose(make_lm(seed=1)) is True and measured["count"] == 1
    # Another size, another precision, other weights.
    assert choose(make_lm(num_layers=2)) is False and measured["count"] == 2
    assert choose(make_lm(dtype="float64")) is False and measured["count"] == 3
    lm.quantize("int8")
    assert choose(lm) is False and measured["count"] == 4


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"jit_compile": true}'])
def test_a_damaged_file_is_measured_and_written_anew(make_lm, measured, tmp_path, content):
    choose(make_lm())
    (path,) = (tmp_path / "engines").iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    assert choose(make_lm()) is True and measured["count"] == 2
    assert path.read_bytes() == whole


def test_a_system_without_affinity_of_processors_is_measured_too(make_lm, measured, monkeypatch):
    # As macOS is.
    monkeypatch.delattr(os, "sched_getaffinity")
    assert choose(make_lm()) is True and measured["count"] == 1


def test_a_folder_that_cannot_be_written_is_no_error(make_lm, measured, tmp_path, caplog):
    (tmp_path / "engines").write_bytes(b"")
    assert choose(make_lm()) is True
    assert "could not be kept" in caplog.text


def test_nothing_is_measured_where_that_is_not_needed(make_lm, measured, monkeypatch):
    lm = make_lm()
    assert pipeline.compiles(lm, True) is True and pipeline.compiles(lm, False) is False
    # Half precision is slow inside XLA on a processor.
    assert choose(make_lm(dtype="bfloat16")) is False
    assert choose(make_lm(dtype="mixed_float16")) is False
    small = make_lm(intermediate_dim=64)
    small.quantize("int4")
    assert choose(small) is False
    monkeypatch.setenv(engine_choice.SWITCH, "0")
    assert choose(lm) is True
    monkeypatch.delenv(engine_choice.SWITCH)
    monkeypatch.setattr(pipeline, "_PARAMETERS_WORTH_COMPILING", lm.backbone.count_params() + 1)
    assert choose(lm) is False
    assert measured["count"] == 0
    with pytest.raises(TypeError, match="`jit_compile` must be .* jit_compile='yes'"):
        lm.generate("The", jit_compile="yes")


def test_a_measurement_is_bounded_and_takes_turns(make_lm, monkeypatch):
    calls, clock = [], [0.0]

    def make_run(task, token_ids, jit_compile):
        def run(num_tokens):
            calls.append((jit_compile, num_tokens))
            clock[0] += num_tokens * (0.5 if jit_compile else 1.0)

        return run

    monkeypatch.setattr(engine_choice, "_make_run", make_run)
    monkeypatch.setattr(engine_choice.time, "perf_counter", lambda: clock[0])
    # Three tokens a run: six runs stay within 20 seconds.
    assert engine_choice._measure(make_lm()) == {"plain": 3.0, "xla": 1.5}
    assert calls == [(False, 1), (False, 1), (True, 1), *[(False, 3), (True, 3)] * 3]
    monkeypatch.setattr(engine_choice, "_BUDGET", 5.0)
    assert engine_choice._measure(make_lm()) is None


@pytest.mark.slow
def test_both_forms_are_timed(make_lm):
    lm = make_lm()
    seconds = engine_choice._measure(lm)
    assert set(seconds) == {"plain", "xla"} and min(seconds.values()) > 0
    # The task is as it was: nothing of the measurement is kept.
    assert lm.graphs == {}
