import os
import re

import pytest

import lmzoo


@pytest.fixture
def folder(tmp_path):
    """Reviews as IMDB's archive has them."""
    files = {
        "pos/0_9.txt": "Great!<br /><br />Go.",
        "pos/10_8.txt": "",
        "pos/2_7.txt": "\ufeffFine\r\n",
        "neg/0_3.txt": "Bad. Très mal.",
        "neg/.DS_Store": "hidden",
        "neg/._0_3.txt": "hidden",
        "neg/notes.md": "not a text",
        ".cache/a.txt": "hidden",
        "unsup/0_0.txt": "Unlabelled.",
        "urls_pos.txt": "not in a folder",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_a_folder_is_a_label_and_a_file_a_text(folder):
    rows = lmzoo.data.read_folders(folder)
    assert rows.columns == ("text", "label")
    assert list(rows) == [
        {"text": "Bad. Très mal.", "label": "neg"},
        {"text": "Great!<br /><br />Go.", "label": "pos"},
        {"text": "", "label": "pos"},
        {"text": "Fine\r\n", "label": "pos"},
    ]
    assert rows.place(2) == str(folder / "pos" / "10_8.txt")


def test_texts_without_a_label_are_taken_where_they_are_named(folder):
    rows = lmzoo.data.read_folders(str(folder), labels=["unsup"])
    assert list(rows) == [{"text": "Unlabelled.", "label": "unsup"}]
    assert len(lmzoo.data.read_folders(folder, labels=("unsup", "pos", "neg"))) == 5


def test_a_label_without_a_folder_is_told_with_those_there_are(folder):
    with pytest.raises(ValueError, match=r"labels=\['neu'\], but there are \['neg', 'pos', 'uns"):
        lmzoo.data.read_folders(folder, labels=["pos", "neu"])


@pytest.mark.parametrize("labels", ["pos", [1]])
def test_labels_are_strings(folder, labels):
    with pytest.raises(TypeError, match=re.escape(f"Received: labels={labels!r}")):
        lmzoo.data.read_folders(folder, labels=labels)


def test_a_folder_without_labels_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=rf"Received: folder={str(folder / 'pos')!r} with \[\]"):
        lmzoo.data.read_folders(folder / "pos")
    with pytest.raises(ValueError, match=rf"Received: folder={str(folder)!r} with \['neg'"):
        lmzoo.data.read_folders(folder, labels=[])


def test_a_label_without_a_text_is_named(folder):
    (folder / "neu").mkdir()
    with pytest.raises(ValueError, match=rf"Received: {str(folder / 'neu')!r}, which has none"):
        lmzoo.data.read_folders(folder)


@pytest.mark.parametrize("name", ["gone", "urls_pos.txt"])
def test_a_folder_is_a_folder(folder, name):
    with pytest.raises(NotADirectoryError, match=rf"Received: folder={str(folder / name)!r}"):
        lmzoo.data.read_folders(folder / name)


def test_a_file_in_another_encoding_is_named_with_its_line(folder):
    (folder / "neg" / "0_3.txt").write_bytes("fine\nsüß".encode("latin-1"))
    with pytest.raises(ValueError, match=r"0_3\.txt:2: Text must be in UTF-8. Received: b'\\xfc"):
        lmzoo.data.read_folders(folder)[0]


def test_a_binary_file_is_named(folder):
    (folder / "neg" / "0_3.txt").write_bytes(b"\x89PNG\0")
    with pytest.raises(ValueError, match=r"0_3\.txt: .* Received: b'\\x89PNG\\x00', which has"):
        lmzoo.data.read_folders(folder)[0]


def test_a_label_whose_name_is_not_unicode_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with open(folder + b"/0.txt", "w") as file:
        file.write("a")
    with pytest.raises(ValueError, match=r"`folder`, the name of a label: .*lone surrogate"):
        lmzoo.data.read_folders(tmp_path)


def test_a_text_over_the_limit_is_named(tmp_path):
    (tmp_path / "pos").mkdir()
    path = tmp_path / "pos" / "0.txt"
    path.write_text("x" * 50)
    limits = lmzoo.data.ReadLimits(max_record_bytes=50)
    rows = lmzoo.data.read_folders(tmp_path, limits=limits)
    assert rows[0]["text"] == "x" * 50
    # It grew after it was found.
    path.write_text("x" * 51)
    with pytest.raises(ValueError, match=r"0.txt: A record must have at most 50 bytes"):
        rows[0]
    with pytest.raises(ValueError, match=r"0.txt: A record must have at most 50 bytes"):
        lmzoo.data.read_folders(tmp_path, limits=limits)
