import json

import pytest

from lmzoo.runtime.manifest import TASKS, Manifest
from tests.runtime.making_files import make_manifest, make_tokenizer_spec

_PACKING = {"sequence_length": 8, "add_start": True, "add_end": True, "allow_special": ["<a>"]}


def change(**changes):
    content = json.loads(make_manifest().to_json())
    for name, value in changes.items():
        *parents, last = name.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
    return json.dumps(content).encode()


def test_a_manifest_comes_back_as_it_was():
    spec = make_tokenizer_spec(
        lstrip=["<|endoftext|>"], added_tokens=[["x", 5, True]], num_separators=2
    )
    options = {**_PACKING, "labels": ["a", "é"], "multi_label": False}
    manifest = make_manifest(tokenizer=spec, task="TextClassifier", task_options=options)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.tokenizer.added_tokens == (("x", 5, True),)
    assert Manifest.from_json(manifest.to_json()).to_json() == manifest.to_json()
    assert make_manifest(tokenizer=None) == Manifest.from_json(
        make_manifest(tokenizer=None).to_json()
    )


def test_what_has_a_default_may_be_missing():
    content = json.loads(make_manifest().to_json())
    for name in ("end_token_ids", "generation_defaults", "lmzoo_version"):
        del content[name]
    manifest = Manifest.from_json(json.dumps(content).encode())
    assert (manifest.end_token_ids, manifest.generation_defaults) == ((), {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff", "utf-8"),
        (b"[1]", r"Received: b'\[1\]'"),
        (b'{"format": "other"}', "other"),
        (change(version=2), "Received: version=2"),
        (b"[" * 100_000, "too many brackets"),
        (b'{"format": "lmzoo", "version": NaN}', "manifest='NaN'"),
        (b'{"format": "lmzoo", "format": "lmzoo"}', "manifest='format'"),
        (b" " * (1 << 20) + b"1", "Received: 1048577"),
        (b"1" * 5000, "Exceeds the limit"),
        (change(extra=1), "Received: manifest='extra'"),
        (json.dumps({"format": "lmzoo", "version": 1, "task": "a"}).encode(), "Received: task"),
        (change(task="Robot"), "task='Robot'"),
        (change(parameters=-1), "parameters=-1"),
        (change(parameters=True), "parameters=True"),
        (change(parameters=1.0), "parameters=1.0"),
        (change(quantization="int2"), "quantization='int2'"),
        (change(vocabulary_size=0), "vocabulary_size=0"),
        (change(vocabulary_size=10**9), "vocabulary_size=1000000000"),
        (change(max_sequence_length="8"), "max_sequence_length='8'"),
        (change(end_token_ids=[320]), "end_token_ids=320"),
        (change(end_token_ids=[0] * 1001), "end_token_ids="),
        (change(generation_defaults=[]), r"generation_defaults=\[\]"),
        (change(lmzoo_version="\ud800"), "lmzoo_version="),
        (change(lmzoo_version="1" * 5000), "lmzoo_version="),
        (change(task_options={"a": 1}), "task_options={'a': 1}"),
        (change(tokenizer=[]), r"tokenizer=\[\]"),
        (change(tokenizer__kind="words"), "kind='words'"),
        (change(tokenizer__file="../a"), "file='../a'"),
        (change(tokenizer__file="spiece.model"), "file='spiece.model'"),
        (change(tokenizer__end_token_id=300), "token_id=300"),
        (change(tokenizer__special_tokens={"a": 300}), "token_id=300"),
        (change(tokenizer__special_tokens=["a"]), r"special_tokens=\['a'\]"),
        (change(tokenizer__special_tokens={"a": None}), "special_tokens=None"),
        (change(tokenizer__lstrip=["a"]), "lstrip='a'"),
        (change(tokenizer__lstrip="a"), "lstrip='a'"),
        (change(tokenizer__added_tokens=[["a", 1]]), r"added_tokens=\['a', 1\]"),
        (change(tokenizer__added_tokens=[["a", 1, 2]]), "added_tokens=2"),
        (change(tokenizer__num_separators=3), "num_separators=3"),
        (change(tokenizer__prepend_scheme="often"), "prepend_scheme='often'"),
        (change(tokenizer__add_start_token=0), "add_start_token=0"),
    ],
)
def test_a_manifest_of_a_stranger_is_refused_by_field(data, message):
    with pytest.raises(ValueError, match=message):
        Manifest.from_json(data)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_all_of_its_options_and_no_others(task):
    values = {
        "labels": ["a", "b"], "multi_label": False, "num_targets": 1, "no_answer": False,
        "no_answer_threshold": 0, "stride": 4, "max_question_tokens": 4, "max_answer_tokens": 4,
        "embedding_dim": 8, "template": "{}", "entailment": 0, "contradiction": None,
        "prefix": "a: ", "start_token_id": 0, **_PACKING,
    }  # fmt: skip
    options = {name: values[name] for name in TASKS[task]}
    assert set(make_manifest(task=task, task_options=options).task_options) == set(options)
    with pytest.raises(ValueError, match="task_options={'more': 1"):
        make_manifest(task=task, task_options={"more": 1, **options})


@pytest.mark.parametrize("number", [float("inf"), 10**400, "1", True])
def test_a_number_is_finite(number):
    options = {
        **_PACKING, "no_answer": True, "no_answer_threshold": number, "stride": 4,
        "max_question_tokens": 4, "max_answer_tokens": 4,
    }  # fmt: skip
    with pytest.raises(ValueError, match="no_answer_threshold="):
        make_manifest(task="QuestionAnswerer", task_options=options)
