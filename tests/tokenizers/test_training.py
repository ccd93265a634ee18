import pytest

from lmzoo.tokenizers import BytePairTokenizer
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
    with pytest.raises(ValueError, match="must name a file. Received: an empty list"):
        BytePairTokenizer.train([], 300)
    with pytest.raises(ValueError, match="Received: '.*empty', empty"):
        BytePairTokenizer.train([tmp_path / "empty"], 300)
    with pytest.raises(ValueError, match="Received: '.*binary', a binary file"):
        BytePairTokenizer.train([tmp_path / "binary"], 300)
    with pytest.raises(ValueError, match="Received: '.*latin', where byte 3"):
        BytePairTokenizer.train([tmp_path / "latin"], 300)
    with pytest.raises(FileNotFoundError, match="Received: '.*missing'"):
        BytePairTokenizer.train([tmp_path / "missing"], 300)
    with pytest.raises(ValueError, match="must give text. Received: an iterator of none"):
        BytePairTokenizer.train(iter([""]), 300)


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="`files_or_iterator` must be a list .* Received: 'a.txt'"):
        BytePairTokenizer.train("a.txt", 300)
    with pytest.raises(TypeError, match="`files_or_iterator` must give str. Received: b'a'"):
        BytePairTokenizer.train(iter([b"a"]), 300)
    with pytest.raises(ValueError, match="at least 257: .* Received: 256"):
        BytePairTokenizer.train(iter(["a"]), 256)
    with pytest.raises(TypeError, match="`special_tokens` must be a list .* Received: '<a>'"):
        BytePairTokenizer.train(iter(["a"]), 300, special_tokens="<a>")
