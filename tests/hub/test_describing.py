"""What a folder holds, read from its config and its headers."""

import json

import numpy as np
import pytest

from lmzoo.hub.describing import describe
from lmzoo.hub.files.safetensors import write_tensors
from lmzoo.hub.verifying import verify
from tests.hub import golden_t5
from tests.hub.golden_encoders import FAMILIES, GOLDEN, HEADS, write_folder
from tests.hub.golden_t5 import write_folder as write_decoder


@pytest.fixture
def folder(tmp_path):
    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 3, "vocab_size": 5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = {"a": np.zeros((5, 8), np.float32), "b": np.zeros(8, np.float16)}
    write_tensors(tmp_path / "model.safetensors", tensors)
    return tmp_path


def test_sizes_are_found_under_the_names_of_any_family(folder):
    found = describe(folder)
    assert (found["model_type"], found["num_layers"], found["hidden_dim"]) == ("bert", 3, 8)
    assert found["vocabulary_size"] == 5
    assert found["max_sequence_length"] is None


UNOPENED = {
    "gpt2": {"n_layer": 2, "n_head": 3, "n_embd": 8, "n_inner": 9, "n_positions": 7},
    "distilbert": {"n_layers": 2, "n_heads": 3, "dim": 8, "hidden_dim": 9},
    "t5": {"num_layers": 2, "num_heads": 3, "d_model": 8, "d_ff": 9, "n_positions": 7},
    "xlm-roberta": {"num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 8},
    "lmzoo_gpt": {"lmzoo_backbone": {"num_layers": 2, "num_heads": 3, "hidden_dim": 8}},
    # No family is known, and still its keys are those that most have.
    "bart": {"num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 8},
}


@pytest.mark.parametrize("model_type", UNOPENED)
def test_a_config_that_is_not_opened_is_described_by_the_keys_of_its_family(folder, model_type):
    config = {"model_type": model_type, "vocab_size": "many", **UNOPENED[model_type]}
    (folder / "config.json").write_text(json.dumps(config))
    found = describe(folder)
    assert found["problem"] and found["vocabulary_size"] is None
    assert [found[name] for name in ("num_layers", "num_heads", "hidden_dim")] == [2, 3, 8]
    said = model_type in ("gpt2", "distilbert", "t5")
    assert found["intermediate_dim"] == (9 if said else None)
    # DistilBERT's `hidden_dim` is the width between its two layers, never that of the model.
    assert found["max_sequence_length"] == (7 if model_type in ("gpt2", "t5") else None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_beams": 2**20}, "`num_beams` must be an integer from 1 to 1024"),
        ({"stop_strings": ["a" * 2**20]}, "strings of at most 512 bytes. Received: 1 strings"),
        ({"max_new_tokens": "9"}, "Received: max_new_tokens='9'"),
    ],
)
def test_generation_defaults_that_no_model_takes_are_told_as_a_problem(
    edit_golden, fields, message
):
    folder = edit_golden()
    path = folder / "generation_config.json"
    path.write_text(json.dumps(fields))
    problem = describe(folder)["problem"]
    assert message in problem and str(path) in problem
    report = verify(folder)
    assert not report["passed"] and problem in report["problems"]
    path.write_text(json.dumps({"max_new_tokens": 9, "stop_strings": ["a"], "watermark": True}))
    assert describe(folder)["problem"] is None


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
def test_sizes_of_a_decoder_are_those_of_its_config(tmp_path, family):
    found = describe(write_decoder(tmp_path / family, family))
    assert found["architectures"][0].lower() == f"{family}forcausallm"
    assert [found[name] for name in ("num_layers", "num_heads", "hidden_dim")] == [2, 4, 48]
    assert [found[name] for name in ("intermediate_dim", "vocabulary_size")] == [37, 101]
    assert found["max_sequence_length"] == 256


def test_parameters_and_memory_are_those_of_the_headers(folder):
    found = describe(folder)
    assert (found["num_parameters"], found["num_tensors"]) == (48, 2)
    assert found["memory_bytes"] == {"float32": 192, "bfloat16": 96, "int8": 48}
    assert found["dtypes"] == ["float16", "float32"]
    assert found["files"]["config.json"] == (folder / "config.json").stat().st_size


@pytest.mark.parametrize(
    "name, content, kind, size",
    [
        ("vocab.txt", "[PAD]\na\nb\n", "WordPiece", 3),
        ("vocab.json", '{"a": 0, "b": 1}', "BPE", 2),
        (
            "tokenizer.json",
            '{"model": {"type": "BPE", "vocab": {"a": 0, "<e>": 1}},'
            ' "added_tokens": [{"content": "<e>"}, {"content": "<f>"}]}',
            "BPE",
            3,
        ),
        ("tokenizer.json", '{"model": {"type": "Unigram", "vocab": [["a", 0.5]]}}', "Unigram", 1),
        ("spiece.model", "x", "SentencePiece", None),
        ("spiece.model", "", "SentencePiece", None),
        ("spiece.model", "\x0a\x03\x0a\x01a\x0a\x03\x0a\x01b", "SentencePiece", 2),
        ("spiece.model", "\x0a\x03\x0a\x01a\x0a\x07\x0a\x01b", "SentencePiece", None),
    ],
)
def test_a_tokenizer_is_told_by_its_files(folder, name, content, kind, size):
    (folder / name).write_text(content)
    assert describe(folder)["tokenizer"] == {"kind": kind, "vocabulary_size": size}


def test_a_folder_without_a_tokenizer_has_none(folder):
    assert describe(folder)["tokenizer"] is None


@pytest.mark.parametrize("content", ["[1]", "{", '{"model": 3, "added_tokens": 7}', '"x"'])
def test_a_broken_tokenizer_is_refused_or_unknown(folder, content):
    (folder / "tokenizer.json").write_text(content)
    if content.startswith('{"'):
        assert describe(folder)["tokenizer"] == {"kind": "unknown", "vocabulary_size": 0}
    else:
        with pytest.raises(ValueError, match="tokenizer.json"):
            describe(folder)


def test_missing_and_cut_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="safetensors"):
        describe(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=str(folder)):
        describe(folder)


def test_the_task_the_family_and_the_labels_are_told(tmp_path):
    def find(source):
        found = describe(source)
        return [found[name] for name in ("family", "task", "num_labels", "problem")]

    for head, task in HEADS.items():
        folder = write_folder(tmp_path / head, "roberta", head)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        labels = len(config["id2label"]) if "Classification" in head else None
        assert find(folder) == ["BERT", task, labels, None]
    assert find(GOLDEN / "gpt2") == ["GPT", "CausalLM", None, None]
    assert find(golden_t5.write_folder(tmp_path / "t5", "flan_t5")) == [
        "T5",
        "Seq2SeqLM",
        None,
        None,
    ]
    numbers = {"problem_type": "regression", "id2label": {"0": "a"}}
    folder = write_folder(tmp_path / "n", "bert", "ForSequenceClassification", **numbers)
    assert find(folder) == ["BERT", "TextRegressor", 1, None]


@pytest.mark.parametrize("fields", [{"model_type": "bart"}, {"n_layer": -3}, {"n_layer": None}])
def test_what_cannot_be_opened_is_described_with_the_reason(tmp_path, edit_golden, fields):
    found = describe(edit_golden(**fields))
    assert (found["family"], found["task"]) == (None, None)
    [[name, value]] = fields.items()
    assert f"`{name}` must be" in found["problem"]
    assert f"Received: {name}={value!r}" in found["problem"]


def test_the_license_of_the_card_is_told(folder):
    assert describe(folder)["license"] is None
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert describe(folder)["license"] == "mit"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sizes_of_the_golden_encoders_are_told(family, tmp_path):
    found = describe(write_folder(tmp_path / "a", family, "ForMaskedLM"))
    names = ("num_layers", "num_heads", "hidden_dim", "intermediate_dim", "vocabulary_size")
    assert [found[name] for name in names] == [3, 4, 48, 37, 101]
    assert found["architectures"] == [f"{FAMILIES[family]}ForMaskedLM"]


@pytest.mark.parametrize(("content", "count"), [(b"\n\x01a" * 9, 9), (b"no model", None)])
def test_the_pieces_of_a_sentence_piece_model_are_counted(folder, content, count):
    (folder / "tokenizer.model").write_bytes(content)
    assert describe(folder)["tokenizer"] == {"kind": "SentencePiece", "vocabulary_size": count}


def test_a_file_that_nothing_here_opens_is_no_tokenizer(folder):
    (folder / "sentencepiece.bpe.model").symlink_to("/etc/hostname")
    assert describe(folder)["tokenizer"] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "[" * 70_000),
        ("vocab.txt", "a\n" * 70_000),
        ("spiece.model", "\n\0" * 70_000),
    ],
)
def test_a_vocabulary_far_larger_than_the_weights_is_not_read(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} must have at most .* for the 8 tokens"):
        describe(folder)


def test_what_is_ignored_or_tied_is_no_parameter(edit_golden, golden, tmp_path):
    def add_mask_and_head(tensors):
        tensors["transformer.h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.uint8)
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()

    wanted, found = describe(golden), describe(edit_golden(add_mask_and_head))
    for name in ("num_parameters", "memory_bytes", "dtypes"):
        assert found[name] == wanted[name]
    assert found["num_tensors"] == wanted["num_tensors"] + 2

    def add_pooler(tensors):
        tensors["bert.pooler.dense.bias"] = np.zeros(48, np.float32)

    folders = [
        write_folder(tmp_path / name, "bert", "ForMaskedLM", change)
        for name, change in (("a", None), ("b", add_pooler))
    ]
    assert len({describe(each)["num_parameters"] for each in folders}) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parameters_are_those_of_the_task_that_is_built(family, tmp_path):
    import lmzoo

    folder = write_folder(tmp_path / "a", family, "ForTokenClassification")
    opened = lmzoo.load(folder)
    assert describe(folder)["num_parameters"] == opened.count_params()


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(5, []), (None, []), ("GPT2LMHeadModel", ["GPT2LMHeadModel"]), (["a", 3, None], ["a"])],
)
def test_names_of_classes_are_a_list_of_strings(edit_golden, value, wanted):
    assert describe(edit_golden(architectures=value))["architectures"] == wanted


def test_a_model_type_that_is_none_is_described_as_none(edit_golden):
    found = describe(edit_golden(model_type=["gpt2"]))
    assert "Received: model_type=['gpt2']" in found["problem"] and found["model_type"] is None


def test_a_number_among_the_tensors_has_no_rows(edit_golden):
    def add(tensors):
        tensors["transformer.h.0.attn.masked_bias"] = np.array(-1e4, np.float32)

    assert describe(edit_golden(add))["problem"] is None


def test_the_context_is_that_of_the_task(tmp_path):
    # RoBERTa's table has two rows before its first position.
    folder = write_folder(tmp_path / "a", "roberta", "ForMaskedLM")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert describe(folder)["max_sequence_length"] == config["max_position_embeddings"] - 2
