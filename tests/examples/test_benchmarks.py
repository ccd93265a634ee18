"""The benchmarks run from a shell and write the rows they promise; how fast, nobody asks here."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM, TextClassifier
from lmzoo.tokenizers import BytePairTokenizer

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "benchmarks"


def run_script(name, *arguments):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_rows(path, key="rows"):
    return json.loads(path.read_text(encoding="utf-8"))[key]


@pytest.mark.slow
def test_generation_measures_every_form_of_lmzoo_at_both_batch_sizes(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("generation.py", "--smoke", "--only", "lmzoo", "--json", file)
    rows = read_rows(file)
    names = [
        *("generate", "generate, plain", "generate, int8", "SavedModel", "SavedModel, XLA"),
        *("SavedModel, int8", "SavedModel, XLA, int8", "SavedModel, XLA, int4"),
    ]
    assert [(row["name"], row["batch_size"]) for row in rows] == [
        (name, batch_size) for batch_size in (1, 8) for name in names
    ]
    assert all(row["tokens_per_second"] > 0 for row in rows)
    # A second call must find the graph of the first.
    assert [row["retraces"] for row in rows] == [0] * len(rows)
    for name in names:
        assert f"lmzoo {name}" in shown
    costs = read_rows(file, "prompts")
    assert [cost["prompts"] for cost in costs] == [[8, 56]] * 2


@pytest.mark.slow
def test_litert_measures_every_precision_of_the_exported_files(tmp_path):
    pytest.importorskip("litert_quantizer", reason="needs `pip install lmzoo[litert]`")
    file, files = tmp_path / "numbers.json", tmp_path / "files"
    options = ("--smoke", "--only", "lmzoo", "--json", file, "--files", files)
    shown = run_script("litert.py", *options)
    rows = read_rows(file)
    precisions = ["float32", "int8", "int4"]
    assert [(row["work"], row["name"]) for row in rows] == [
        (work, name) for work in ("gpt", "t5", "bert") for name in precisions
    ]
    assert all(row["tokens_per_second"] > 0 for row in rows)
    costs = read_rows(file, "long")
    assert [(cost["name"], cost["prompts"]) for cost in costs] == [
        ("float32", [8, 64]),
        ("int8", [8, 64]),
    ]
    sizes = read_rows(file, "bytes")
    assert list(sizes) == ["gpt", "long", "t5", "bert", "start"]
    starts = read_rows(file, "start")
    assert [start["file"] for start in starts] == ["int8.tflite", "int4.tflite"]
    assert all(start["whole"] > start["import"] + start["open"] > 0 for start in starts)
    for work in ("gpt", "t5", "bert"):
        assert set(sizes[work]) >= {f"{name}.tflite" for name in precisions}
    assert "lmzoo int8" in shown


@pytest.mark.slow
def test_training_measures_lmzoo_in_both_precisions(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("training.py", "--smoke", "--only", "lmzoo,products", "--json", file)
    rows = read_rows(file)
    assert [(row["model"], row["name"], row["precision"]) for row in rows] == [
        (model, name, precision)
        for precision in ("float32", "mixed_bfloat16")
        for model, names in (("GPT-2", ["same optimizer"]), ("BERT", ["MaskedLM"]))
        for name in [*names, "defaults", "alone"]
    ]
    assert all(row["share_of_products"] > 0 for row in rows)
    assert "lmzoo same optimizer" in shown
    assert shown.count("of the rate of its products alone") == 8


@pytest.mark.slow
def test_an_encoder_is_measured_at_both_kinds_of_work(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("encoder.py", "--smoke", "--only", "lmzoo", "--json", file)
    works = [("forward", "plain"), ("forward", "XLA")] * 2
    works += [("training", "MaskedLM"), ("training", "defaults")] * 2
    assert [(row["work"], row["name"]) for row in read_rows(file)] == works
    assert all(row["tokens_per_second"] > 0 for row in read_rows(file))
    assert "lmzoo MaskedLM" in shown


@pytest.mark.slow
def test_seq2seq_measures_every_form_of_lmzoo_at_both_batch_sizes(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("seq2seq.py", "--smoke", "--only", "lmzoo", "--json", file)
    names = ["generate, XLA", "generate, plain", "SavedModel", "SavedModel, XLA"]
    assert [(row["name"], row["batch_size"]) for row in read_rows(file)] == [
        (name, batch_size) for batch_size in (1, 8) for name in names
    ]
    assert [cost["sources"] for cost in read_rows(file, "sources")] == [[8, 32]] * 4


@pytest.mark.slow
def test_tokenizers_are_measured_beside_the_libraries_of_their_kind(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("tokenizing.py", "--smoke", "--json", file)
    rows = read_rows(file)
    for kind, peer in (("wordpiece", "tensorflow-text"), ("sentencepiece", "sentencepiece")):
        measured = {row["family"] for row in rows if row["kind"] == kind and not row["problem"]}
        assert {"lmzoo", "tokenizers", "kerashub", peer} <= measured
    ids = {(row["kind"], row["workload"], row["family"]): row.get("ids") for row in rows}
    for kind, work, _ in ids:
        assert ids[kind, work, "lmzoo"] == ids[kind, work, "tokenizers"] is not None


@pytest.mark.slow
def test_loading_is_measured_beside_the_library_that_reads_its_files(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("loading.py", "--smoke", "--json", file)
    rows = read_rows(file)
    assert [row["family"] for row in rows] == ["safetensors", "lmzoo"]
    assert rows[0]["to_reference"] == 1 and rows[1]["to_reference"] > 0
    assert read_rows(file, "num_bytes") == 4 * (2 * (12 * 32**2 + 13 * 32) + (320 + 2 + 1024) * 32)
    assert "lmzoo load" in shown and "safetensors read and copy" in shown


@pytest.mark.slow
def test_ways_to_save_memory_are_measured_beside_the_plain_one(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("memory.py", "--smoke", "--json", file)
    rows = read_rows(file)
    assert [row["name"] for row in rows] == ["plain", "chunks", "remat", "both"]
    assert rows[0]["seconds_to_plain"] == 1 and all(row["seconds"] > 0 for row in rows)
    losses = [row["loss"] for row in rows]
    assert max(losses) - min(losses) < 1e-5 * losses[0]


@pytest.mark.slow
def test_saving_and_reading_are_measured_beside_the_steps_of_a_run(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("checkpoints.py", "--smoke", "--json", file)
    (row,) = read_rows(file)
    assert row["num_saves"] >= 3 and row["seconds_waited"] > 0
    # Some of the time, and not all of it; a busy machine may make it less than nothing.
    assert -1 < row["share_of_saving"] < 1 and row["pipeline_to_step"] > 1
    # None before its second, but the last one, at the end of the epoch.
    assert all(seconds > 0.9 for seconds in row["seconds_between_saves"][:-1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt", "tiny"])
def test_a_cold_start_is_measured_in_processes_of_their_own(tmp_path, kind):
    file = tmp_path / "numbers.json"
    options = ("--smoke", "--kinds", kind, "--new", "4", "--json", file)
    shown = run_script("cold_start.py", *options)
    rows = read_rows(file)
    names = ["float32", "int8"] if kind == "gpt" else ["gpt", "t5", "bert"]
    assert [row["name"] for row in rows] == names
    for row in rows:
        assert all(row[f"{key}_seconds"] > 0 for key in ("import", "load", "first_token", "again"))
        assert row["peak_bytes"] > row["import_bytes"] > row["weight_bytes"]
    functions = read_rows(file, "functions")[names[0]]
    assert "(main graph)" in [function["name"] for function in functions]
    assert f"the largest functions in the graph of {names[0]}" in shown


@pytest.mark.slow
def test_two_workers_are_measured_beside_one_process(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("workers.py", "--smoke", "--json", file)
    rows = read_rows(file)
    assert [row["processes"] for row in rows] == [1, 2]
    assert rows[0]["to_one"] == 1 and rows[1]["to_one"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["decoder", "classifier"])
def test_quality_compares_each_precision_with_its_model(tmp_path, kind):
    pytest.importorskip("litert_quantizer", reason="needs `pip install lmzoo[litert]`")
    data, model, file = tmp_path / "rows.jsonl", tmp_path / "model", tmp_path / "numbers.json"
    text = "a word, and another " * 20
    tokenizer = BytePairTokenizer.train(iter([text]), vocabulary_size=270)
    backbone = GPTBackbone(270, 1, 2, 64, max_sequence_length=16)
    if kind == "decoder":
        task = CausalLM(backbone, tokenizer)
        data.write_text(text)
    else:
        task = TextClassifier(backbone, tokenizer, labels=["good", "bad"])
        rows = [{"text": text[:size], "label": "bad"} for size in range(4, 20)]
        data.write_text("\n".join(map(json.dumps, rows)))
    task.save_pretrained(model)
    run_script("quality.py", model, data, "--json", file)
    found = json.loads(file.read_text())
    assert [row["precision"] for row in found] == ["float32", "float16", "int8", "int4"]
    sizes = [row["bytes_per_weight"] for row in found]
    assert sizes == sorted(sizes, reverse=True)
    figure = "perplexity" if kind == "decoder" else "accuracy"
    assert found[0][f"{figure}_ratio"] == pytest.approx(1, abs=1e-4)
    assert found[0]["argmax_agreement"] == 1


def test_an_unknown_framework_is_named():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "training.py"), "--only", "nobody"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert "Received: nobody." in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generation.py", "training.py"])
def test_every_peer_has_a_row_whether_it_is_installed_or_not(name, tmp_path):
    file = tmp_path / "numbers.json"
    run_script(name, "--smoke", "--json", file)
    rows = read_rows(file)
    families = {"lmzoo", "kerashub", "transformers"}
    if name == "training.py":
        families |= {"products"}
    if name == "generation.py":
        families |= {"ctranslate2", "llama.cpp"}
    assert {row["family"] for row in rows} == families
    problems = [row["problem"] for row in rows if row["problem"]]
    assert all(problem.startswith("not installed") for problem in problems)


# Stands for a benchmark whose peers fail in all the ways there are.
FAILING = """
import os, signal, sys, time
sys.path.insert(0, FOLDER)
from _harness import common
from _harness.workers import Contestant, open_workers

def open_good(): return {"one": Contestant("float32", lambda: 1), "two": Contestant(None, int)}
def open_wrong(): return {"": Contestant("float32", lambda: 2)}
def open_missing(): import no_such_package_as_this
def open_killed(): os.kill(os.getpid(), signal.SIGILL)
def open_exiting(): os._exit(3)
def open_broken(): raise RuntimeError("no such\\nthing")
def open_crashing():
    calls = []
    def crash():
        calls.append(0)
        if len(calls) == 2: os.abort()
        return 1
    def fail(): raise ValueError("bad")
    return {"crash": Contestant("float32", crash), "fail": Contestant("float32", fail),
            "good": Contestant("float32", lambda: 1)}

def main():
    openers = {name.removeprefix("open_"): value for name, value in globals().items()
               if name.startswith("open_") and name != "open_workers"}
    arguments, data = common.start(common.make_parser("x"), openers)
    def describe(row): return common.check_equal(row["results"], 1)
    with open_workers(arguments.families) as workers:
        for title in ("first", "second"):
            data["rows"] += common.compare(
                workers, title, [()] * 3, ("good", None), ("tokens", 5), describe)
            time.sleep(float(os.environ.get("PAUSE", 0)))
    common.finish(arguments, data)

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def failing_script(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmark") / "failing.py"
    path.write_text(f"FOLDER = {str(FOLDER)!r}\n{FAILING}")
    return path


def test_a_peer_that_fails_is_a_row_and_ends_nothing(failing_script, tmp_path):
    file = tmp_path / "numbers.json"
    run_script(failing_script, "--json", file)
    rows = read_rows(file)
    found = {(row["family"], row["name"]): row["problem"] for row in rows[: len(rows) // 2]}
    assert found == {
        ("good", "one"): None,
        ("good", "two"): "wrong results: [0] tokens instead of 1",
        ("wrong", ""): "wrong results: [2] tokens instead of 1",
        ("missing", ""): "not installed (No module named 'no_such_package_as_this')",
        ("killed", ""): "ended by SIGILL",
        ("exiting", ""): "ended with exit code 3",
        ("broken", ""): "failed to start (RuntimeError: no such)",
        ("crashing", "crash"): "ended by SIGABRT",
        ("crashing", "fail"): "ValueError: bad",
        ("crashing", "good"): None,
    }
    again = {(row["family"], row["name"]) for row in rows[len(rows) // 2 :]}
    assert again == found.keys()


def test_a_pipe_sees_the_machine_and_each_row_as_soon_as_it_is_known(failing_script):
    child = subprocess.Popen(
        [sys.executable, str(failing_script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PAUSE": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with child.stdout:
        lines = []
        while not lines or not lines[-1].startswith("crashing good"):
            lines.append(child.stdout.readline())
            assert lines[-1], lines
    child.kill()
    child.wait()
    shown = "".join(lines)
    assert "processor: " in shown and "threads: 2\n" in shown
    assert f"numpy {importlib.metadata.version('numpy')}" in shown


@pytest.mark.slow
def test_serving_gives_right_answers_and_refuses_what_is_wrong(tmp_path):
    file = tmp_path / "numbers.json"
    parts = ("classifier", "generation", "bad", "swaps", "kill")
    shown = run_script("serving.py", "--smoke", "--json", file)
    found = json.loads(file.read_text(encoding="utf-8"))
    assert tuple(found) == parts
    assert found["classifier"]["figures"]["batched_wrong"] == 0
    assert found["generation"]["figures"]["different_greedy_texts_of_4"] == 0
    assert found["bad"]["bars"]["a 4xx each"] and found["bad"]["figures"]["others_failed"] == 0
    assert found["swaps"]["figures"]["failed_or_wrong"] == 0
    assert found["kill"]["figures"]["status_after"] == 200
    assert "met     no wrong answer" in shown
