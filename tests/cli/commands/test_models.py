"""lmzoo list, info and convert, as they are typed."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import safetensors.numpy

import lmzoo
from lmzoo import zoo
from lmzoo.cli import main
from tests.cli.child import run_child

ROOT = pathlib.Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "gpt2"
HEAVY = {"tensorflow", "keras", "tensorflow_text", "huggingface_hub"}


@pytest.fixture
def model(tmp_path):
    """The folder of a small GPT-2, which a test may spoil."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / name, folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def change(folder, edit):
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    edit(tensors)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def run(capsys, *arguments):
    """The exit code and what was printed, which is JSON if it was asked for."""
    code = main(list(map(str, arguments)))
    printed = capsys.readouterr().out
    return code, json.loads(printed) if "--json" in arguments else printed


def fails(capsys, *arguments):
    """The one line on stderr of a command that ends with exit code 2."""
    assert main(list(map(str, arguments))) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("arguments", [["list"], ["info", GOLDEN, "--verify"]])
def test_neither_tensorflow_nor_the_hub_is_needed(arguments):
    code, modules, child = run_child(*arguments)
    assert (code, child.stderr) == (0, "")
    assert not HEAVY & modules


def test_the_list_has_every_name_with_its_figures(capsys):
    code, printed = run(capsys, "list")
    lines = [line for line in printed.splitlines() if line.partition(" ")[0] in zoo.names()]
    assert code == 0
    assert [line.split()[0] for line in lines] == zoo.names()
    for line in lines:
        entry = zoo.find_entry(line.split()[0])
        assert f" {entry.num_parameters:,} " in line
        assert f" {entry.task} " in line
        assert entry.source in line or f"{entry.score['value']:.3f}" in line


def test_the_list_as_json_has_the_memory_too(capsys):
    _, found = run(capsys, "list", "--json")
    [entry] = [entry for entry in found if entry["name"] == "gpt2"]
    assert entry["memory_bytes"] == {
        "float32": 4 * 124439808,
        "bfloat16": 2 * 124439808,
        "int8": 124439808,
    }
    assert (entry["license"], entry["model_type"]) == ("mit", "gpt2")


def test_info_tells_family_task_memory_and_license(model, capsys):
    code, printed = run(capsys, "info", model)
    values = {line[:18].strip(): line[18:].strip() for line in printed.splitlines()}
    assert code == 0
    assert (values["family"], values["opens as"], values["license"]) == ("GPT", "CausalLM", "mit")
    assert values["memory"] == "0.2 MB in float32, 95.5 kB in bfloat16, 47.7 kB in int8"
    assert "verification" not in values


def test_info_estimates_the_memory_of_training(model, capsys):
    options = ("--train", "--batch-size", 4, "--remat", "--accumulation-steps", 2)
    code, found = run(capsys, "info", model, *options, "--dtype", "mixed_bfloat16", "--json")
    training = found["training"]
    assert code == 0
    assert (training["batch_size"], training["precision"]) == (4, "mixed_bfloat16")
    assert training["sequence_length"] == found["max_sequence_length"]
    assert training["weights"] == found["memory_bytes"]["float32"]
    parts = ("weights", "optimizer", "activations", "update", "process", "runtime")
    assert training["total"] == sum(training[name] for name in parts)
    _, printed = run(capsys, "info", model, *options, "--task", "TextClassifier", "--labels", "a,b")
    line = next(line for line in printed.splitlines() if line.startswith("training"))
    assert " at the peak of 4 x " in line
    assert line.endswith(" tokens in float32, in 2 parts, with remat")


def test_options_of_training_are_refused_without_it(model, capsys):
    message = fails(capsys, "info", model, "--batch-size", 4)
    assert "`--batch-size` must come with `--train`" in message
    message = fails(capsys, "info", model, "--train", "--sequence-length", 10**6)
    assert "Received: sequence_length=1000000" in message


def test_info_tells_why_a_model_is_not_opened(model, capsys):
    (model / "config.json").write_text('{"model_type": "bart"}')
    code, printed = run(capsys, "info", model)
    assert code == 0
    assert "nothing: `model_type` must be one of " in printed and "gpt2" in printed
    message = fails(capsys, "info", model, "--verify")
    assert "model_type='bart'" in message and "roberta" in message


def test_info_tells_no_number_that_it_does_not_know(model, capsys):
    (model / "spiece.model").write_bytes(b"x")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "architectures": 5}))
    _, printed = run(capsys, "info", model)
    values = {line[:18].strip(): line[18:].strip() for line in printed.splitlines()}
    assert (values["tokenizer"], values["architecture"]) == ("SentencePiece", "none")


def test_verify_opens_the_tokenizer(model, capsys):
    (model / "vocab.json").write_text('{"a": 0}')
    code, printed = run(capsys, "info", model, "--verify")
    assert code == 1
    assert "problem            the tokenizer cannot be opened: `folder` must hold merges" in printed


STRANGE = "gpt2\x1b[31m\n\x9b2J\u202e"


def test_a_stranger_s_strings_do_not_steer_the_terminal(model, capsys):
    config = {"model_type": STRANGE, "architectures": [STRANGE, "喜"]}
    (model / "config.json").write_text(json.dumps(config))
    (model / "x\x1b[31m\nlicense            mit").write_text("x")
    _, printed = run(capsys, "info", model)
    assert "\nmodel type         gpt2?[31m??2J?\n" in printed and ", 喜\n" in printed
    assert all(line.isprintable() for line in printed.split("\n"))
    assert printed.count("\nlicense ") == 1
    main(["info", str(model), "--json"])
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.split("\n"))
    assert json.loads(printed)["architectures"] == config["architectures"]


VERIFIED = (
    "lm_head.weight is transformer.wte.weight",
    "1 tensors: causal masks",
    "verification       passed",
)
PROBLEMS = (
    "problem            'x' is not expected and on no list",
    "problem            'transformer.ln_f.bias' has 1 values that are not finite",
    "verification       failed",
)


def found_in(printed, lines):
    return [line for line in lines if line in printed]


def add_mask_and_head(tensors):
    tensors["transformer.h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.uint8)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()


def test_verify_tells_what_is_tied_and_ignored_and_passes(model, capsys):
    change(model, add_mask_and_head)
    code, printed = run(capsys, "info", model, "--verify")
    assert (code, *found_in(printed, VERIFIED)) == (0, *VERIFIED)


def spoil(tensors):
    tensors["transformer.ln_f.bias"][0] = np.nan
    tensors["x"] = np.zeros(1, np.float32)


def test_verify_tells_every_problem_and_fails(model, capsys):
    change(model, spoil)
    code, printed = run(capsys, "info", model, "--verify")
    assert (code, *found_in(printed, PROBLEMS)) == (1, *PROBLEMS)
    code, found = run(capsys, "info", model, "--verify", "--json")
    assert code == 1
    assert not found["verification"]["passed"] and found["num_layers"] == 3


def test_convert_writes_the_same_model_in_another_width(model, tmp_path, capsys):
    change(model, add_mask_and_head)
    out = tmp_path / "out"
    code, found = run(capsys, "convert", model, out, "--dtype", "bfloat16", "--json")
    assert code == 0
    assert found["written"]["dtypes"] == ["bfloat16"] and found["verification"]["passed"]
    wanted = safetensors.numpy.load_file(GOLDEN / "model.safetensors")
    written = safetensors.numpy.load_file(out / "model.safetensors")
    # Neither the mask nor the second copy of the embeddings.
    assert written.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(written[name], array.astype(written[name].dtype))
    code, printed = run(capsys, "convert", model, out, "--overwrite")
    assert code == 0
    assert f"{out}: CausalLM, 4 files, 47,727 parameters as float32" in printed
    assert "verification       passed" in printed


def test_convert_refuses_before_it_writes(model, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "vocab.txt").write_text("mine")
    assert "Pass --overwrite to replace it" in fails(capsys, "convert", model, out)
    assert "dtype='float7'" in fails(capsys, "convert", model, tmp_path / "a", "--dtype", "float7")

    def make_infinite(tensors):
        tensors["transformer.ln_f.bias"][0] = np.inf

    change(model, make_infinite)
    message = fails(capsys, "convert", model, out, "--overwrite")
    assert f"'transformer.ln_f.bias' in '{model / 'model.safetensors'}' must hold finite" in message
    assert [path.name for path in out.iterdir()] == ["vocab.txt"]
    assert not (tmp_path / "a").exists()


def test_convert_hands_on_task_and_shard_size(model, tmp_path, monkeypatch, capsys):
    """What they do is proved where they are made; here, that they arrive."""
    got = {}
    load, save = lmzoo.hub.load, lmzoo.hub.save_pretrained

    def open_model(source, task=None, **options):
        got["task"] = task
        return load(source, **options)

    def write(task, folder, shard_size=None, **options):
        got["shard_size"] = shard_size
        save(task, folder, **options)

    monkeypatch.setattr(lmzoo.hub, "load", open_model)
    monkeypatch.setattr(lmzoo.hub, "save_pretrained", write)
    options = ["--task", "CausalLM", "--shard-size", "100KB"]
    assert run(capsys, "convert", model, tmp_path / "out", *options)[0] == 0
    assert got == {"task": "CausalLM", "shard_size": "100KB"}


def test_convert_keeps_card_and_license_also_in_place(model, tmp_path, capsys):
    files = {"README.md": "---\nlicense: mit\n---\nA model.\n", "LICENSE.txt": "MIT, whole."}
    for name, text in files.items():
        (model / name).write_text(text)
    (model / "notes.txt").write_text("mine")
    assert run(capsys, "convert", model, tmp_path / "out")[0] == 0
    assert run(capsys, "convert", model, model, "--overwrite", "--dtype", "bfloat16")[0] == 0
    for folder in (tmp_path / "out", model):
        assert {name: (folder / name).read_text() for name in files} == files
        assert not (folder / "notes.txt").exists()
    assert lmzoo.hub.describe(model)["license"] == "mit"


def test_convert_refuses_to_replace_what_its_source_lies_in(model, tmp_path, capsys, monkeypatch):
    (tmp_path / "vocab.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path.parent / f"{tmp_path.name}_link").symlink_to(tmp_path)
    for out in (tmp_path, ".", tmp_path.parent / f"{tmp_path.name}_link"):
        message = fails(capsys, "convert", model, out, "--overwrite")
        assert "`OUT` must not be a folder above `SOURCE`" in message and f"OUT='{out}'" in message
    assert (model / "model.safetensors").exists() and (tmp_path / "vocab.txt").exists()


def test_convert_refuses_a_card_that_is_none(model, tmp_path, capsys):
    with open(model / "NOTICE", "wb") as file:
        file.truncate(2**40)
    assert "NOTICE must have at most" in fails(capsys, "convert", model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_convert_writes_shards(model, tmp_path, capsys):
    options = ["--task", "CausalLM", "--shard-size", "100KB"]
    assert run(capsys, "convert", model, tmp_path / "out", *options)[0] == 0
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 1
