"""lmzoo run, bench and info of an exported file, as they are typed."""

import io
import json
import subprocess
import sys
import types

import pytest

import lmzoo
from lmzoo import tasks
from lmzoo.cli import main
from lmzoo.cli.commands.exported import _list_result
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer
from tests.export.litert.conftest import convert_here
from tests.export.tiny_lm import TEXT, make_task
from tests.runtime.test_distribution import REFUSE

__all__ = ["convert_here"]


@pytest.fixture(scope="module")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT * 20]), 280)
    return make_task(tokenizer)


@pytest.fixture(scope="module")
def file(lm, convert_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "lm.tflite"
    lm.export(path, prefill_lengths=(8,), verbose=False, max_new_tokens=6)
    return str(path)


@pytest.fixture(scope="module")
def classifier_file(convert_here, tmp_path_factory):
    tokenizer = train_tokenizer("word_piece")
    task = tasks.TextClassifier(make_backbone(tokenizer), tokenizer, labels=["bad", "good"])
    path = tmp_path_factory.mktemp("exported") / "classifier.tflite"
    randomise(task).export(path, verbose=False)
    return str(path)


def run(capsys, *arguments, code=0):
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def type_in(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_run_prints_prompt_and_completion(lm, file, capsys):
    options = ["--temperature", "1", "--seed", "3"]
    wanted = lm.generate("the cat", max_new_tokens=6, temperature=1.0, seed=3, jit_compile=False)
    assert run(capsys, "run", file, "the cat", *options) == f"{wanted}\n"


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_each_line_of_standard_input_is_a_prompt(lm, file, capsys, monkeypatch, arguments):
    type_in(monkeypatch, "the cat\na\n")
    found = json.loads(run(capsys, "run", file, *arguments, "--json"))
    texts, scores = lm.generate(
        ["the cat", "a"],
        max_new_tokens=6,
        return_prompt=False,
        return_scores=True,
        jit_compile=False,
    )
    assert [each["prompt"] for each in found] == ["the cat", "a"]
    assert [each["text"] for each in found] == texts
    assert [each["score"] for each in found] == pytest.approx(scores.tolist(), rel=1e-4)


def test_several_prompts_are_set_apart(file, capsys):
    assert f"\n{'-' * 40}\n" in run(capsys, "run", file, "a", "the", "--threads", "1")


def test_run_prints_labels(classifier_file, capsys):
    words = run(capsys, "run", classifier_file, "a text")
    label, score = words.split()
    (found,) = json.loads(run(capsys, "run", classifier_file, "a text", "--json"))
    assert found["text"] == "a text" and found["result"]["label"] == label
    assert found["result"]["score"] == pytest.approx(float(score), abs=1e-4)
    found = json.loads(run(capsys, "run", classifier_file, "a", "--top-k", "2", "--json"))
    assert len(found[0]["result"]) == 2


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        ({"label": "PER", "text": "Ada", "score": 0.5}, [("PER", "Ada  0.5000")]),
        ([{"token": "cat", "score": 0.25}], [("cat", "0.2500")]),
        ({"answer": "Ada", "start": 0, "end": 3, "score": 1.0}, [("Ada", "1.0000")]),
        ([0.5, 1.0], [("", "0.5 1")]),
        ([[{"label": "a", "score": 1.0}], []], [("a", "1.0000"), ("", "")]),
        (0.125, [("", "0.125")]),
    ],
)
def test_each_kind_of_result_has_its_rows(result, rows):
    assert _list_result(result) == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "1"], "`--temperature` must come with a file that reads it"),
        (["--stop", "a"], "`--stop` must come"),
        (["--context", "a"], "`--context` must come with a file that reads it. Received:"),
        (["--candidate-labels", "a"], "`--candidate-labels` must come"),
    ],
)
def test_options_of_another_task_are_refused(classifier_file, capsys, arguments, message):
    assert message in run(capsys, "run", classifier_file, "a", *arguments, code=2)


def test_a_file_of_another_kind_is_refused(tmp_path, capsys):
    (tmp_path / "a.tflite").write_bytes(b"x" * 100)
    assert "must begin with TFL3" in run(capsys, "run", str(tmp_path / "a.tflite"), "a", code=2)
    assert "a.tflite' " not in run(capsys, "info", str(tmp_path / "b.tflite"), code=2)


def test_bench_measures_both_kinds(file, classifier_file, capsys):
    options = ["--prompt-tokens", "8", "--new-tokens", "4", "--repeats", "1", "--json"]
    found = json.loads(run(capsys, "bench", file, *options))
    for name in ("prefill_tokens_per_second", "decode_tokens_per_second", "first_token_seconds"):
        assert found[name] > 0
    assert found["peak_memory_bytes"] > 1e6 and found["threads"] >= 1
    found = json.loads(run(capsys, "bench", classifier_file, *options))
    assert found["tokens_per_second"] > 0
    assert "peak memory" in run(capsys, "bench", file, *options[:-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repeats", "0"], "Received: --repeats 0"),
        (["--new-tokens", "1000"], "prompt_tokens=32, new_tokens=1000"),
        (["--threads", "0"], "num_threads=0"),
    ],
)
def test_what_cannot_be_measured_is_refused(file, capsys, options, message):
    assert message in run(capsys, "bench", file, *options, code=2)


def test_info_says_what_a_file_holds(file, classifier_file, capsys):
    found = json.loads(run(capsys, "info", file, "--json"))
    assert found["task"] == "CausalLM" and found["quantization"] is None
    assert found["tokenizer"]["kind"] == "byte_pair" and found["tokenizer_bytes"] > 1000
    assert found["signatures"]["decode"]["outputs"]["logits"] == ["float32", 1, 1, 285]
    words = run(capsys, "info", file)
    assert "max_new_tokens=6" in words and "2 caches float32" in words
    words = run(capsys, "info", classifier_file)
    assert "TextClassifier" in words and "('bad', 'good')" in words
    assert "`--verify` must come" in run(capsys, "info", file, "--verify", code=2)


def test_run_and_info_need_no_tensorflow(file):
    code = f"{REFUSE}\nfrom lmzoo.cli import main\nsys.exit(main(sys.argv[1:]))"
    for arguments in (
        ["run", file, "the cat"],
        ["info", file],
        ["bench", file, "--prompt-tokens=8", "--new-tokens=4"],
    ):
        child = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
        )
        assert child.returncode == 0 and child.stdout, child.stderr[-2000:]
        # LiteRT's own words do not come between.
        assert not child.stderr
