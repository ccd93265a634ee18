import gzip
import json

import pytest

from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from lmzoo.tokenizers.training import iterate_texts


def test_the_same_text_gives_the_same_tokenizer(library_text):
    first, second = (
        BytePairTokenizer.train(iter([library_text[:200_000]]), 1000)._vocabulary for _ in "ab"
    )
    assert first == second and len(first.tokens) == 1000


def test_files_and_an_iterator_give_the_same(tmp_path, library_text):
    (tmp_path / "a.txt").write_text(library_text[:50_000], encoding="utf-8", newline="")
    (tmp_path / "b.txt").write_text("é\r\nx\n", encoding="utf-8", newline="")
    paths = [str(tmp_path / "a.txt"), tmp_path / "b.txt"]
    assert "".join(iterate_texts(paths)) == library_text[:50_000] + "é\r\nx\n"
    learned = BytePairTokenizer.train(paths, 400)._vocabulary
    assert learned == BytePairTokenizer.train(iterate_texts(paths), 400)._vocabulary


def test_special_tokens_take_the_first_ids():
    tokenizer = BytePairTokenizer.train(iter(["a"]), 300, ["<end>", "<pad>"])
    assert [tokenizer.id_to_token(index) for index in (0, 1)] == ["<end>", "<pad>"]
    assert tokenizer.end_token == "<end>" and tokenizer.vocabulary_size == 258


def test_nothing_is_printed_unless_asked(capfd):
    BytePairTokenizer.train(iter(["a b c"] * 10), 300)
    assert capfd.readouterr().out == ""


def test_what_holds_no_text_is_refused(tmp_path):
    for name, data in (("empty", b""), ("binary", b"a\x00b"), ("latin", b"caf\xe9\n")):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match="at least one path. Received"):
        BytePairTokenizer.train([], 300)
    with pytest.raises(ValueError, match="must not be empty. Received: '.*empty'"):
        BytePairTokenizer.train([tmp_path / "empty"], 300)
    with pytest.raises(ValueError, match="Received: '.*binary', which has a zero byte"):
        BytePairTokenizer.train([tmp_path / "binary"], 300)
    with pytest.raises(ValueError, match="Received: '.*latin', which has bytes that are not UTF-8"):
        BytePairTokenizer.train([tmp_path / "latin"], 300)
    with pytest.raises(FileNotFoundError, match="Received: '.*missing'"):
        BytePairTokenizer.train([tmp_path / "missing"], 300)
    with pytest.raises(ValueError, match="must give text. Received: an iterator of none"):
        BytePairTokenizer.train(iter([""]), 300)


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="`files_or_iterator` must be files .* Received: b'a.txt'"):
        BytePairTokenizer.train(b"a.txt", 300)
    with pytest.raises(TypeError, match="`files_or_iterator` must be files .* Received: 5"):
        BytePairTokenizer.train(5, 300)
    with pytest.raises(FileNotFoundError, match=r"Received: 'a cat'.* Write iter\(\[text\]\)"):
        BytePairTokenizer.train("a cat", 300)
    with pytest.raises(TypeError, match="`files_or_iterator` must give str. Received: b'a'"):
        BytePairTokenizer.train(iter([b"a"]), 300)
    with pytest.raises(ValueError, match="at least 257: .* Received: 256"):
        BytePairTokenizer.train(iter(["a"]), 256)
    with pytest.raises(TypeError, match="`special_tokens` must be a list .* Received: '<a>'"):
        BytePairTokenizer.train(iter(["a"]), 300, special_tokens="<a>")


TEXTS = ["a cat, a hat\n", "caf\u00e9 \u6211 a cat"]


def write_forms(folder):
    """The same texts in each form that `lmzoo.data` reads."""
    text = "".join(TEXTS)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    for name, content in (("a.txt", text), ("a.jsonl", lines)):
        (folder / name).write_text(content, encoding="utf-8")
        with gzip.open(folder / f"{name}.gz", "wt", encoding="utf-8") as file:
            file.write(content)
    return [folder / name for name in ("a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz")]


def test_every_form_of_a_file_gives_the_same_tokenizer(tmp_path):
    wanted = {
        kind: kind.train(iter(TEXTS), 300)._vocabulary
        for kind in (BytePairTokenizer, WordPieceTokenizer)
    }
    for path in write_forms(tmp_path):
        assert "".join(iterate_texts(path)) == "".join(iterate_texts([str(path)])) == "".join(TEXTS)
        for kind, vocabulary in wanted.items():
            assert kind.train(path, 300)._vocabulary == vocabulary, (kind, path)
            assert kind.train([str(path)], 300)._vocabulary == vocabulary


def test_sentence_piece_reads_the_same_forms(tmp_path):
    wanted = SentencePieceTokenizer.train(iter(TEXTS), 60, "bpe")._vocabulary.tokens
    for path in write_forms(tmp_path):
        assert SentencePieceTokenizer.train(path, 60, "bpe")._vocabulary.tokens == wanted


def test_a_word_at_the_end_of_a_block_stays_whole(tmp_path):
    line = "abc " * 50 + "\n"
    (tmp_path / "a.txt").write_text(line * 12_000)
    pieces = list(iterate_texts(tmp_path / "a.txt"))
    assert len(pieces) > 1 and "".join(pieces) == line * 12_000
    assert all(piece.endswith("\n") for piece in pieces)
