"""The license of model cards as people write them, and the files that go with a model."""

import json

import pytest

from lmzoo.hub.files.model_card import copy_documents, read_license

TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}é"


@pytest.mark.parametrize(
    "card, license_name",
    [
        ("---\nlicense: mit\n---\n# A model\n", "mit"),
        ("---\r\nlicense: apache-2.0\r\n---\r\n", "apache-2.0"),
        ("\ufeff---\nlanguage: en\nlicense: 'mit'  # as the code\n---\n", "mit"),
        ("---\nlicense:\n- mit\n- cc-by-4.0\ntags:\n- a\n---\n", "mit, cc-by-4.0"),
        ('---\nlicense: [mit, "cc0-1.0"]\n---\n', "mit, cc0-1.0"),
        ("---\nlicense: other\nlicense_name: my-own\nlicense_link: x\n---\n", "other, my-own"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: mit\nlicense_name: my-own\n---\n", "mit"),
        ("---\nlicense: mit\nlicense: gpl\n---\n", "mit"),
        ("---\nlicense:\n---\n", None),
        ("---\nmodel:\n  license: mit\n---\n", None),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("license: mit\n", None),
        ("# A model\n---\nlicense: mit\n---\n", None),
        ("---\nlicense: mit\n", None),
        ("", None),
        ("---\nlicense: m\x1b[31mit\n---\n", "m[31mit"),
        (f"---\nlicense: {'x' * 5000}\n---\n", "x" * 100),
        (f"---\n{'a: b' * 40_000}\nlicense: mit\n---\n", None),
    ],
)
def test_the_license_is_what_the_metadata_says(tmp_path, card, license_name):
    (tmp_path / "README.md").write_bytes(card.encode())
    assert read_license(tmp_path) == license_name


def test_without_a_readable_card_there_is_none(tmp_path):
    assert read_license(tmp_path) is None
    (tmp_path / "README.md").write_bytes(b"\xff\xfe---\n")
    assert read_license(tmp_path) is None
    (tmp_path / "README.md").unlink()
    (tmp_path / "README.md").mkdir()
    assert read_license(tmp_path) is None


@pytest.mark.parametrize(
    "field",
    [
        TEMPLATE,
        [{"name": "rag", "template": "x"}, {"name": "default", "template": TEMPLATE}, 3],
    ],
)
def test_a_chat_template_of_an_older_folder_gets_a_file_of_its_own(tmp_path, field):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    (old / "tokenizer_config.json").write_text(json.dumps({"chat_template": field}))
    copy_documents(old, new)
    assert (new / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    # One that has a file already is the one that transformers takes.
    (old / "chat_template.jinja").write_text("newer")
    copy_documents(old, new)
    assert (new / "chat_template.jinja").read_text() == "newer"


@pytest.mark.parametrize("field", [None, 3, [], [{"name": "rag", "template": "x"}], {"a": "b"}])
def test_without_a_default_chat_template_no_file_is_written(tmp_path, field):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": field}))
    copy_documents(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer_config.json"]
