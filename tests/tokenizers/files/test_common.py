"""The chat template: kept with the tokenizer as text, wherever its folder has it."""

import json

import pytest

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.files.common import read_chat_template

TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}{% endfor %}\u00e9"
)
LIST = [{"name": "rag", "template": "x"}, {"name": "default", "template": TEMPLATE}, 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a small tokenizer."""
    folder = tmp_path_factory.mktemp("tokenizer")
    BytePairTokenizer.train(iter(["a cat, that hat"]), 258).save(folder)
    return folder


def write(folder, field):
    """The files of `folder` with a template in the config, as older folders have it."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**config, "chat_template": field}))


@pytest.mark.parametrize("field", [TEMPLATE, LIST], ids=["text", "list"])
def test_a_template_in_the_config_is_saved_as_a_file(folder, tmp_path, field):
    old = BytePairTokenizer.load(folder)
    assert old.chat_template is None
    old.save(tmp_path / "old")
    assert not (tmp_path / "old" / "chat_template.jinja").exists()
    write(tmp_path / "old", field)
    BytePairTokenizer.load(tmp_path / "old").save(tmp_path / "new")
    assert (tmp_path / "new" / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    assert BytePairTokenizer.load(tmp_path / "new").chat_template == TEMPLATE


def test_the_file_takes_precedence_over_the_config(tmp_path):
    write(tmp_path, TEMPLATE)
    (tmp_path / "chat_template.jinja").write_text("newer")
    assert read_chat_template(tmp_path) == "newer"


@pytest.mark.parametrize("field", [None, 3, [], [{"name": "rag", "template": "x"}], {"a": "b"}])
def test_a_config_without_a_default_template_has_none(tmp_path, field):
    assert read_chat_template(tmp_path) is None
    write(tmp_path, field)
    assert read_chat_template(tmp_path) is None


def test_transformers_finds_the_template_in_what_is_saved(folder, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tokenizer = BytePairTokenizer.load(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = [{"role": "user", "content": "hat"}]
    assert theirs.apply_chat_template(messages, tokenize=False) == "user: hat\u00e9"
