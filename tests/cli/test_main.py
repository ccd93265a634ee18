"""The command line: what it prints, how fast, and how it says no."""

import io
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.cli import main
from lmzoo.cli.commands import export, generate, models
from lmzoo.files import check_new_folder
from tests.cli.child import run_child
from tests.speed import scale_limit

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = {"tensorflow", "keras", "tensorflow_text"}


@pytest.fixture(scope="module")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(
        iter(["def main(argument):\n    return argument\n", "a cat, a hat. 我喜欢编程。"] * 20), 320
    )
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_sequence_length": 64}
    backbone = lmzoo.models.GPTBackbone(tokenizer.vocabulary_size, **sizes)
    generator = np.random.default_rng(0)
    for variable in backbone.variables:
        # The first weights are so small that every text would be one word over and over.
        variable.assign(generator.normal(scale=0.3, size=variable.shape))
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


@pytest.fixture(scope="module")
def model(lm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "model"
    lm.save_pretrained(folder)
    return str(folder)


def replace_opening(monkeypatch, task):
    for module in (export, generate):
        monkeypatch.setattr(module, "open_task", lambda arguments, options=None: task)


@pytest.fixture
def opened(lm, model, monkeypatch):
    """The folder of a model that the commands find open: a graph is traced once for all tests."""
    replace_opening(monkeypatch, lm)
    return model


def fails(capsys, *arguments):
    """The one line on stderr of a command that ends with exit code 2."""
    try:
        code = main(list(arguments))
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("lmzoo: error: ") and printed.err.count("\n") == 1
    return printed.err


COMMANDS = ["demo", "generate", "classify", "train", "export", "serve", "list", "info", "convert"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_answers_within_half_a_second_without_tensorflow(command):
    seconds = []
    while len(seconds) < 5 and not any(second < 0.5 for second in seconds):
        start = time.perf_counter()
        code, modules, child = run_child(*command, "--help")
        seconds.append(time.perf_counter() - start)
    # The best of five: a busy machine says nothing about the program.
    assert min(seconds) < scale_limit(0.5)
    assert code == 0
    assert "usage: lmzoo" in child.stdout and "example:\n  lmzoo" in child.stdout
    assert not HEAVY & modules


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"lmzoo {lmzoo.__version__}\n"


@pytest.mark.parametrize(
    "arguments, wrong",
    [
        ([], "COMMAND"),
        (["dance"], "dance"),
        (["info"], "SOURCE"),
        (["info", "x", "--colour"], "--colour"),
        (["generate", "x", "y", "--top-k", "many"], "many"),
        (["demo", "--steps", "0"], "--steps 0"),
        (["list", "--verify"], "--verify"),
        (["convert", "x"], "OUT"),
        (["info", "hf://x"], "source='hf://x'"),
        (["generate", "hf://../x", "a"], "source='hf://../x'"),
        (["info", ".", "--revision", "main"], "revision='main'"),
        (["export", ".", "out", "--revision", "main"], "revision='main'"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments, wrong, capsys):
    assert wrong in fails(capsys, *arguments)


@pytest.mark.parametrize(
    "command", [["info"], ["generate", "a"], ["export", "out"], ["convert", "out"]]
)
def test_a_folder_that_is_no_model_is_told_without_tensorflow(command, tmp_path):
    code, modules, child = run_child(command[0], tmp_path, *command[1:])
    assert code == 2
    assert not HEAVY & modules
    assert child.stderr.count("\n") == 1
    assert "config.json" in child.stderr and str(tmp_path) in child.stderr


def test_debug_shows_the_traceback_before_and_after_the_command(tmp_path):
    for arguments in (["--debug", "info", str(tmp_path)], ["info", str(tmp_path), "--debug"]):
        with pytest.raises(FileNotFoundError, match=str(tmp_path)):
            main(arguments)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (ZeroDivisionError("by\nzero"), 1, "lmzoo: error: ZeroDivisionError: by zero\n"),
        # What could steer a terminal is not printed.
        (ValueError("\x1b[2Ja\nb\x9b 喜"), 2, "lmzoo: error: ?[2Ja b? 喜\n"),
        (KeyboardInterrupt(), 130, "lmzoo: interrupted\n"),
    ],
    ids=["a fault of the program", "an error with escapes", "an interrupt"],
)
def test_what_ends_a_command_is_one_line_and_an_exit_code(
    monkeypatch, capsys, error, code, printed
):
    def fail(arguments):
        raise error

    monkeypatch.setattr(models, "info", fail)
    assert main(["info", "x"]) == code
    assert capsys.readouterr().err == printed


def test_a_reader_who_stops_reading_is_no_error(model):
    child = subprocess.Popen(
        [sys.executable, "-m", "lmzoo.cli", "info", model],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.close()
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait(60) == 0


def test_info_needs_no_tensorflow_and_counts_what_there_is(model, lm):
    code, modules, child = run_child("info", model, "--json")
    found = json.loads("\n".join(child.stdout.splitlines()[:-1]))
    assert code == 0 and child.stderr == ""
    assert not HEAVY & modules
    assert found["num_parameters"] == lm.backbone.count_params()
    assert found["tokenizer"]["vocabulary_size"] == lm.tokenizer.vocabulary_size


def test_info_in_words_names_the_sizes_and_the_files(model, capsys):
    assert main(["info", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    values = dict(line.split(None, 1) for line in lines)
    assert values["layers"] == "1"
    assert values["context"] == "64 tokens"
    assert any("model.safetensors" in line for line in lines)


def test_generate_prints_what_the_library_gives(opened, lm, capsys):
    arguments = ["generate", opened, "def main(", "a cat", "--max-new-tokens", "6"]
    sampling = ["--temperature", "0.8", "--top-k", "20", "--top-p", "0.9", "--seed", "3"]
    assert main([*arguments, *sampling]) == 0
    wanted = lm.generate(
        ["def main(", "a cat"], max_new_tokens=6, temperature=0.8, top_k=20, top_p=0.9, seed=3
    )
    assert capsys.readouterr().out == f"{wanted[0]}\n{'-' * 40}\n{wanted[1]}\n"


def test_generate_as_json_holds_every_completion_and_its_score(opened, lm, capsys):
    options = ["--temperature", "0.9", "--seed", "5", "--num-return-sequences", "2"]
    assert main(["generate", opened, "a", "--max-new-tokens", "5", "--json", *options]) == 0
    [record] = json.loads(capsys.readouterr().out)
    texts, scores = lm.generate(
        "a",
        max_new_tokens=5,
        temperature=0.9,
        seed=5,
        num_return_sequences=2,
        return_prompt=False,
        return_scores=True,
    )
    assert record["prompt"] == "a"
    assert [completion["text"] for completion in record["completions"]] == texts
    got = [completion["score"] for completion in record["completions"]]
    np.testing.assert_allclose(got, scores, rtol=1e-5)


def test_a_streamed_text_is_the_text(opened, capsys):
    arguments = ["generate", opened, "a cat", "--max-new-tokens", "8", "--stop", "zzz"]
    assert main([*arguments, "--stream"]) == 0
    streamed = capsys.readouterr().out
    assert main([*arguments, "--no-stream"]) == 0
    assert capsys.readouterr().out == streamed


def test_beams_that_the_model_has_by_default_are_not_streamed(opened, lm, monkeypatch, capsys):
    monkeypatch.setattr(lm, "_generation_defaults", {"num_beams": 2})
    assert main(["generate", opened, "a cat", "--stream"]) != 0
    assert "Received: num_beams=2" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["generate", opened, "a cat", "--max-new-tokens", "2"]) == 0
    assert capsys.readouterr().out == lm.generate("a cat", max_new_tokens=2) + "\n"


@pytest.mark.parametrize(
    ("options", "prompts"),
    [
        ([], ["def main(", "我", "", "a\u2028b"]),
        (["--whole-input"], ["def main(\n我\r\n\na\u2028b"]),
    ],
)
def test_each_line_of_standard_input_is_a_prompt(opened, monkeypatch, capsys, options, prompts):
    text = "def main(\n我\r\n\na\u2028b\n"
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", stdin)
    arguments = ["generate", opened, "-", "--max-new-tokens", "0", "--json", *options]
    assert main(arguments) == 0
    assert [record["prompt"] for record in json.loads(capsys.readouterr().out)] == prompts


def test_a_prompt_that_is_not_unicode_is_read_all_the_same(opened, capsys):
    prompt = os.fsdecode(b"caf\xe9")
    assert main(["generate", opened, prompt, "--max-new-tokens", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["prompt"] == "caf\ufffd"


@pytest.mark.parametrize(
    "options, wrong",
    [
        (["--top-p", "2"], "top_p=2.0"),
        (["--temperature", "-1"], "temperature=-1.0"),
        (["--num-beams", "2", "--temperature", "1"], "num_beams=2"),
        (["--stream", "--num-return-sequences", "2"], "--num-return-sequences 2"),
        (["--stream", "--json"], "--json True"),
        (["--dtype", "float7"], "dtype='float7'"),
        (["-", "-"], "more than once"),
    ],
)
def test_an_option_out_of_range_is_told_in_one_line(model, options, wrong, capsys):
    assert wrong in fails(capsys, "generate", model, "a", *options)


def test_a_model_without_a_tokenizer_is_told(lm, tmp_path, capsys):
    lmzoo.tasks.CausalLM(lm.backbone).save_pretrained(tmp_path / "ids")
    assert "tokenizer" in fails(capsys, "generate", str(tmp_path / "ids"), "a")


# By default, the one for a classifier runs.
@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--temperature", "0.9", "--top-k", "9", "--repetition-penalty", "1.5", "--stop", "c"],
        ["--max-new-tokens", "5"],
        ["--num-beams", "2"],
    ],
)
def test_an_exported_model_passes_its_check(model, tmp_path, options, capsys):
    folder = str(tmp_path / "1")
    assert main(["export", model, folder, "--check", "--json", *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["check"]["passed"]
    loaded = tf.saved_model.load(folder)
    assert sorted(report["signatures"]) == sorted(loaded.signatures)


def test_a_failed_check_is_exit_code_1(opened, lm, tmp_path, monkeypatch, capsys):
    found = {"largest_difference": 1.0, "different_texts": ["a"], "passed": False}
    monkeypatch.setattr(type(lm), "export", write_nothing)
    monkeypatch.setattr("lmzoo.export.check", lambda *_, **__: found)
    assert main(["export", opened, str(tmp_path / "1"), "--check"]) == 1
    assert "failed, other texts for ['a']" in capsys.readouterr().out


def test_an_existing_folder_is_replaced_only_on_demand(opened, lm, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "saved_model.pb").write_text("old")
    assert str(folder) in fails(capsys, "export", opened, str(folder))
    given = {}
    monkeypatch.setattr(
        type(lm), "export", lambda *places, **options: write_nothing(*places, **options, into=given)
    )
    options = ["--overwrite", "--max-new-tokens", "2", "--truncate-prompts", "--scoring"]
    assert main(["export", opened, str(folder), *options]) == 0
    assert given == {"truncate_prompts": True, "scoring": True, "max_new_tokens": 2}
    assert "signatures: " in capsys.readouterr().out


@pytest.fixture
def classifier(monkeypatch):
    """A discriminative task, which the commands find open."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer(words)
    backbone = lmzoo.models.BertBackbone(7, 1, 1, 4, max_sequence_length=16)
    task = lmzoo.tasks.TextClassifier(backbone, tokenizer, num_classes=2)
    replace_opening(monkeypatch, task)
    return task


def test_a_discriminative_task_is_exported_and_checked(classifier, model, tmp_path, capsys):
    folder = str(tmp_path / "1")
    assert main(["export", model, folder, "--check"]) == 0
    printed = capsys.readouterr().out
    assert "signatures: tokens, serving_default, pairs" in printed
    assert "check: the SavedModel gives the same predictions as the model" in printed
    assert "largest difference of a score: " in printed and "nats" not in printed


def test_a_discriminative_task_has_no_options_and_no_completions(
    classifier, model, tmp_path, capsys
):
    folder = str(tmp_path / "1")
    message = fails(capsys, "export", model, folder, "--num-beams", "2")
    assert "TextClassifier does not generate" in message and "num_beams" in message
    message = fails(capsys, "export", model, folder, "--truncate-prompts")
    assert "TextClassifier does not generate" in message and "truncate_prompts" in message
    assert "scoring" in fails(capsys, "export", model, folder, "--scoring")
    assert "a TextClassifier" in fails(capsys, "generate", model, "a cat")
    assert not os.path.exists(folder)


def write_nothing(task, folder, jit_compile, overwrite, into=None, **options):
    """Stands in for an export, which takes seconds to trace; tells the options it was given."""
    check_new_folder(folder, overwrite)
    if into is not None:
        into.update(options)
