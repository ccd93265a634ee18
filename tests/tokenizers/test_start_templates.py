import pathlib

import pytest

from lmzoo.tokenizers.start_templates import make_template, read_add_start, read_start
from lmzoo.tokenizers.token_files import FileCheck

CHECK = FileCheck(pathlib.Path("folder/tokenizer.json"), "this kind")
BYTE_LEVEL = {"type": "ByteLevel"}
END = {"SpecialToken": {"id": "</s>", "type_id": 0}}


def test_a_template_is_read_again_alone_and_among_others():
    template = make_template("<s>", 1)
    assert template["special_tokens"]["<s>"] == {"id": "<s>", "ids": [1], "tokens": ["<s>"]}
    assert read_start(CHECK, template) == "<s>"
    both = {"type": "Sequence", "processors": [BYTE_LEVEL, template]}
    assert read_start(CHECK, both) == "<s>"


def test_nothing_begins_a_text_without_a_template_or_with_one_that_ends_it():
    template = make_template("<s>", 1)
    plain = {**template, "single": template["single"][1:]}
    encoder = {**template, "single": [*template["single"], END]}
    for finish in (None, BYTE_LEVEL, {"type": "RobertaProcessing"}, plain, encoder):
        assert read_start(CHECK, finish) is None


@pytest.mark.parametrize(
    ("single", "message"),
    [
        (7, "`post_processor.single`.* Received: 7"),
        ([7], r"`post_processor.single`.* Received: \[7\]"),
        ([{"SpecialToken": 8}, {"Sequence": 9}], "an `id` .* Received: .*'SpecialToken': 8"),
    ],
)
def test_a_broken_template_is_refused(single, message):
    with pytest.raises(ValueError, match=message):
        read_start(CHECK, {"type": "TemplateProcessing", "single": single})


@pytest.mark.parametrize(
    ("named", "start", "wanted"),
    [
        ({}, None, (None, False)),
        ({"bos_token": "<s>"}, None, ("<s>", False)),
        ({}, "<s>", ("<s>", True)),
        ({"bos_token": {"content": "<s>"}, "add_bos_token": False}, "<s>", ("<s>", False)),
        ({"bos_token": "<s>", "add_bos_token": True}, None, ("<s>", True)),
    ],
)
def test_the_small_file_counts_more_than_the_template(named, start, wanted):
    assert read_add_start(CHECK, named, start) == wanted


@pytest.mark.parametrize(
    ("named", "start", "message"),
    [
        ({"bos_token": "<b>"}, "<s>", "'<s>', which .* Received: '<b>'"),
        ({"add_bos_token": True}, None, "as `add_bos_token` is true.* Received: None"),
        ({"add_bos_token": "yes"}, None, "`add_bos_token`.* Received: 'yes'"),
    ],
)
def test_files_that_contradict_are_refused(named, start, message):
    with pytest.raises(ValueError, match=message):
        read_add_start(CHECK, named, start)
