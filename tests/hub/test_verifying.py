"""The account of a file: every tensor has its place, or the report says which has none."""

import collections
import json

import numpy as np
import pytest

from lmzoo.hub.verifying import verify
from tests.hub import golden_t5
from tests.hub.golden_encoders import FAMILIES, HEADS, read_folder, write_folder

WTE, HEAD = "transformer.wte.weight", "lm_head.weight"
SHARED = "shared.weight"


def uses_of(report):
    return collections.Counter(name for names in report["variables"].values() for name in names)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", HEADS)
def test_each_tensor_of_an_encoder_makes_one_variable(tmp_path, family, head):
    report = verify(write_folder(tmp_path / "a", family, head))
    _, tensors, _ = read_folder(family, head)
    assert report["passed"] and report["problems"] == []
    assert uses_of(report) == dict.fromkeys(tensors, 1)
    assert (report["tied"], report["ignored"]) == ({}, {})
    assert (report["task"], report["num_tensors"]) == (HEADS[head], len(tensors))
    assert report["num_variables"] == len(report["variables"])


@pytest.mark.parametrize("family", golden_t5.FAMILIES)
def test_each_tensor_of_a_t5_makes_one_variable(tmp_path, family):
    report = verify(golden_t5.write_folder(tmp_path / "a", family))
    assert (report["passed"], report["tied"], report["ignored"]) == (True, {}, {})
    assert uses_of(report) == dict.fromkeys(golden_t5.read_tensors(family), 1)


def read_variables(task):
    from lmzoo.hub.model_variables import variables_by_path

    return variables_by_path(task.backbone, getattr(task, "head", None))


def test_the_report_says_what_load_does(tmp_path, golden):
    import safetensors.numpy

    import lmzoo

    folders = [
        golden,
        write_folder(tmp_path / "a", "distilbert", "ForSequenceClassification"),
        golden_t5.write_folder(tmp_path / "b", "flan_t5"),
    ]
    for folder in folders:
        report = verify(folder)
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        variables = read_variables(lmzoo.load(folder))
        assert variables.keys() == report["variables"].keys()
        for path, names in report["variables"].items():
            # Whatever way they are turned and joined, they are the same numbers.
            wanted = np.concatenate([tensors[name].ravel() for name in names])
            np.testing.assert_array_equal(np.sort(variables[path].numpy().ravel()), np.sort(wanted))


def test_what_is_ignored_is_told_with_the_name_of_its_list(edit_golden, tmp_path):
    def add_masks(tensors):
        tensors["transformer.h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.uint8)
        tensors["transformer.h.1.attn.masked_bias"] = np.float32(-1e4).reshape(1)

    report = verify(edit_golden(add_masks))
    assert report["passed"]
    names = ("transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias")
    assert report["ignored"] == dict.fromkeys(names, "causal masks")

    def add_counters(tensors):
        tensors["bert.embeddings.position_ids"] = np.arange(9)
        tensors["cls.seq_relationship.weight"] = np.zeros((2, 48), np.float32)
        tensors["bert.pooler.dense.bias"] = np.full(48, np.nan, np.float32)

    report = verify(write_folder(tmp_path / "a", "bert", "ForMaskedLM", add_counters))
    assert report["passed"]
    assert set(report["ignored"].values()) == {
        "position and segment counters",
        "next-sentence head",
        "pooler that the task does not have",
    }


def test_what_is_tied_is_told_beside_it_and_in_its_place(edit_golden, tmp_path):
    def add_head(tensors):
        tensors[HEAD] = tensors[WTE].copy()

    def head_alone(tensors):
        tensors[HEAD] = tensors.pop(WTE)

    report = verify(edit_golden(add_head))
    assert (report["passed"], report["tied"]) == (True, {HEAD: WTE})
    assert report["variables"]["token_embedding/embeddings"] == [WTE]
    report = verify(edit_golden(add_head, tie_word_embeddings=False))
    assert (report["passed"], report["tied"]) == (True, {})
    assert report["variables"]["token_embedding/output_embeddings"] == [HEAD]
    report = verify(edit_golden(head_alone))
    assert (report["passed"], report["tied"]) == (True, {HEAD: WTE})
    assert report["variables"]["token_embedding/embeddings"] == [HEAD]

    def stacks_alone(tensors):
        table = tensors.pop(SHARED)
        for stack in ("encoder", "decoder"):
            tensors[f"{stack}.embed_tokens.weight"] = table.copy()

    report = verify(golden_t5.write_folder(tmp_path / "a", "t5", stacks_alone))
    copies = {f"{stack}.embed_tokens.weight": SHARED for stack in ("encoder", "decoder")}
    assert (report["passed"], report["tied"]) == (True, copies)


def test_a_head_that_a_file_leaves_out_is_told_as_a_second_use(tmp_path):
    def drop_head(tensors):
        del tensors[HEAD]

    report = verify(golden_t5.write_folder(tmp_path / "a", "flan_t5", drop_head))
    assert report["passed"]
    output = "token_embedding/output_embeddings"
    assert report["tied"] == {output: "token_embedding/embeddings"}
    assert report["variables"][output] == [SHARED]


def rename(tensors):
    tensors["transformer.h.0.ln_3.bias"] = tensors.pop("transformer.h.0.ln_1.bias")


def transpose(tensors):
    name = "transformer.h.0.mlp.c_fc.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)


def count(tensors):
    tensors["transformer.ln_f.bias"] = np.arange(48)


def spoil(tensors):
    tensors["transformer.ln_f.bias"][[3, 5]] = np.nan, np.inf


def contradict(tensors):
    tensors[HEAD] = tensors[WTE] + 1


@pytest.mark.parametrize(
    "change, problems",
    [
        (
            rename,
            [
                "'transformer.h.0.ln_1.bias' is missing",
                "'transformer.h.0.ln_3.bias' is not expected and on no list",
            ],
        ),
        (
            transpose,
            ["'transformer.h.0.mlp.c_fc.weight' has shape (37, 48), its config says (48, 37)"],
        ),
        (count, ["'transformer.ln_f.bias' holds I64, which is none of F64, F32, BF16, F16"]),
        (spoil, ["'transformer.ln_f.bias' has 2 values that are not finite"]),
        (contradict, [f"{HEAD!r} and {WTE!r} differ and are one weight by the config"]),
    ],
)
def test_what_is_wrong_is_told(edit_golden, change, problems):
    report = verify(edit_golden(change))
    assert not report["passed"]
    assert report["problems"] == problems
    json.dumps(report)


def test_missing_and_unexpected_tensors_are_all_listed(edit_golden):
    def rename_block(tensors):
        for name in [name for name in tensors if name.startswith("transformer.h.1.")]:
            tensors[name.replace(".h.1.", ".h.7.")] = tensors.pop(name)

    report = verify(edit_golden(rename_block))
    assert len(report["missing"]) == len(report["unexpected"]) == 12
    assert all(name.startswith("transformer.h.1.") for name in report["missing"])
    assert all(name.startswith("transformer.h.7.") for name in report["unexpected"])


def test_values_of_bfloat16_beyond_a_chunk_are_all_looked_at(edit_golden, monkeypatch):
    import ml_dtypes

    def narrow(tensors):
        for name, array in tensors.items():
            tensors[name] = array.astype(ml_dtypes.bfloat16)
        tensors["transformer.wpe.weight"][-1, -1] = np.inf

    monkeypatch.setattr("lmzoo.hub.verifying._CHUNK", 100)
    report = verify(edit_golden(narrow))
    assert report["problems"] == ["'transformer.wpe.weight' has 1 values that are not finite"]


def test_a_variable_that_nothing_sets_is_told(golden, monkeypatch):
    from lmzoo.hub import verifying

    def forget(*arguments):
        spec = make_spec(*arguments)
        del spec.mapping["final_norm/beta"]
        return spec

    make_spec = verifying.make_folder_spec
    monkeypatch.setattr(verifying, "make_folder_spec", forget)
    assert "no tensor is known for the variable 'final_norm/beta'" in verify(golden)["problems"]


def test_a_tokenizer_with_more_words_than_the_model_is_told(edit_golden):
    folder = edit_golden()
    words = {f"w{index}": index for index in range(102)}
    (folder / "vocab.json").write_text(json.dumps(words))
    assert verify(folder)["problems"] == ["the tokenizer has 102 words and the model 101"]


def test_a_tokenizer_that_cannot_be_opened_is_told(edit_golden):
    folder = edit_golden()
    content = {"model": {"type": "BPE", "vocab": {"a": 0}}, "normalizer": {"type": "Strip"}}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    report = verify(folder)
    [problem] = report["problems"]
    assert not report["passed"]
    assert problem.startswith("the tokenizer cannot be opened: tokenizer.json must have ")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text('{"a": 0}')
    [problem] = verify(folder)["problems"]
    assert problem.startswith("the tokenizer cannot be opened: `folder` must hold merges.txt.")


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"model_type": "bart"}, "one of bert, .*Received: model_type='bart'"),
        ({"n_layer": 0}, "cannot be used: `n_layer` must .*Received: n_layer=0"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(edit_golden, fields, words):
    with pytest.raises(ValueError, match=words):
        verify(edit_golden(**fields))


def test_a_config_is_not_read_through_a_link_out_of_the_folder(edit_golden, tmp_path):
    folder = edit_golden(model_type="not to be told")
    (folder / "config.json").rename(tmp_path / "config.json")
    (folder / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(ValueError, match="`source` must hold regular files.* which leads to"):
        verify(folder)


def test_a_revision_is_one_of_a_model_on_the_hub(golden):
    with pytest.raises(ValueError, match="revision='main'"):
        verify(golden, revision="main")
