import pathlib

import pytest

from lmzoo.tokenizers.files import post_processors
from lmzoo.tokenizers.files.common import FileCheck

CHECK = FileCheck(pathlib.Path("folder/tokenizer.json"), "this kind")
BYTE_LEVEL = {"type": "ByteLevel"}
PROCESSORS = ("RobertaProcessing", "BertProcessing")
END = {"SpecialToken": {"id": "</s>", "type_id": 0}}


def test_a_template_is_read_again_alone_and_among_others():
    template = post_processors.make_template("<s>", 1)
    assert template["special_tokens"]["<s>"] == {"id": "<s>", "ids": [1], "tokens": ["<s>"]}
    assert post_processors.read_start(CHECK, template) == "<s>"
    both = {"type": "Sequence", "processors": [BYTE_LEVEL, template]}
    assert post_processors.read_start(CHECK, both) == "<s>"


def test_nothing_begins_a_text_without_a_template_or_with_one_that_ends_it():
    template = post_processors.make_template("<s>", 1)
    plain = {**template, "single": template["single"][1:]}
    encoder = {**template, "single": [*template["single"], END]}
    for finish in (None, BYTE_LEVEL, {"type": "RobertaProcessing"}, plain, encoder):
        assert post_processors.read_start(CHECK, finish) is None


def test_what_stands_around_an_encoders_text_is_read():
    template = post_processors.make_bos_eos_template("<s>", "</s>", {"<s>": 0, "</s>": 2}, 2)
    assert len(template["pair"]) == 6 and template["special_tokens"]["</s>"]["ids"] == [2]
    both = {"type": "Sequence", "processors": [BYTE_LEVEL, template]}
    own = [{"type": kind, "cls": ["<s>", 0], "sep": ["</s>", 2]} for kind in PROCESSORS]
    for finish in (template, both, *own):
        assert post_processors.read_bos_and_eos(CHECK, finish) == ("<s>", "</s>")
        assert post_processors.read_start(CHECK, finish) is None
    for finish in (
        None,
        BYTE_LEVEL,
        post_processors.make_template("<s>", 1),
        post_processors.make_end_template("</s>", 1),
    ):
        assert post_processors.read_bos_and_eos(CHECK, finish) is None


@pytest.mark.parametrize(
    ("finish", "message"),
    [
        ({"type": "RobertaProcessing", "sep": 8}, r"cls, sep`.* Received: \[None, 8\]"),
        ({"type": "BertProcessing", "cls": [5], "sep": ["a"]}, r"with an `id`.*: \[5, 'a'\]"),
        ({"type": "TemplateProcessing", "single": 6}, "`post_processor.single`.* Received: 6"),
    ],
)
def test_a_broken_pair_of_tokens_is_refused(finish, message):
    with pytest.raises(ValueError, match=message):
        post_processors.read_bos_and_eos(CHECK, finish)


def test_a_token_behind_what_is_to_be_continued_is_refused():
    post_processors.check_add_end(CHECK, {"add_eos_token": False})
    with pytest.raises(ValueError, match="`add_eos_token`, this kind. Received: True"):
        post_processors.check_add_end(CHECK, {"add_eos_token": True})


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
        post_processors.read_start(CHECK, {"type": "TemplateProcessing", "single": single})


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
    assert post_processors.read_add_start(CHECK, named, start) == wanted


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
        post_processors.read_add_start(CHECK, named, start)
