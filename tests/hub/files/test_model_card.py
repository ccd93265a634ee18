"""The license of model cards as people write them, and the files that go with a model."""

import pytest

from lmzoo.hub.files.model_card import copy_documents, read_license


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


def test_card_and_license_are_copied_as_they_are(tmp_path):
    (tmp_path / "new").mkdir()
    for name in ("README.md", "LICENSE", "NOTICE.txt"):
        (tmp_path / name).write_bytes(f"{name}\r\n\xff".encode("latin-1"))
    (tmp_path / "notes.txt").write_text("x")
    copy_documents(tmp_path, tmp_path / "new")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert copied.keys() == {"README.md", "LICENSE", "NOTICE.txt"}
    assert all(data == (tmp_path / name).read_bytes() for name, data in copied.items())


def test_a_huge_card_is_refused_before_it_is_copied(tmp_path):
    (tmp_path / "new").mkdir()
    with open(tmp_path / "README.md", "wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(ValueError, match="at most 16777216 bytes. Received: .*16777217"):
        copy_documents(tmp_path, tmp_path / "new")
