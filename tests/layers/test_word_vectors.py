import gzip
import os
import re

import keras
import numpy as np
import pytest

from lmzoo.layers import load_word_vectors
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

WORDS = ["the", "é", "cat", ". . .", "unknown-word", "hello"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "é", "##the", "Hello", "dog"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY, lowercase=False)


def as_text(words=WORDS, vectors=VECTORS, header=False, end="\n"):
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    for word, vector in zip(words, vectors, strict=True):
        lines.append(" ".join([word, *(repr(float(number)) for number in vector)]))
    return "".join(line + end for line in lines).encode()


def as_binary(words=WORDS, vectors=VECTORS, end=b"\n"):
    """As the original word2vec writes it."""
    parts = [b"%d %d\n" % (len(words), vectors.shape[1])]
    for word, vector in zip(words, vectors, strict=True):
        parts += [word.replace(" ", "_").encode(), b" ", vector.astype("<f4").tobytes(), end]
    return b"".join(parts)


FORMS = {
    "glove": as_text(),
    "glove with carriage returns": as_text(end="\r\n"),
    "word2vec text": as_text(header=True),
    "fasttext": as_text(header=True, end=" \n"),
    "word2vec binary": as_binary(),
    "gensim binary": as_binary(end=b""),
}
every_form = pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)


@every_form
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_gives_the_vectors_of_the_tokens(tmp_path, tokenizer, content, packed):
    path = tmp_path / "vectors"
    path.write_bytes(gzip.compress(content) if packed else content)
    matrix, share = load_word_vectors(path, tokenizer)
    assert matrix.shape == (10, 5) and matrix.dtype == np.float32 and share == 3 / 10
    np.testing.assert_array_equal(matrix[[5, 6]], VECTORS[[0, 1]])
    # "Hello" is not in the file, but "hello" is.
    np.testing.assert_array_equal(matrix[8], VECTORS[5])
    # A piece inside a word is not the word.
    assert not np.isclose(matrix[7], VECTORS[0]).any()
    assert np.isfinite(matrix).all()


def test_other_rows_are_drawn_like_those_that_are_found(tmp_path):
    words = [f"w{number}" for number in range(4000)]
    vectors = np.random.default_rng(1).normal([1, -2], [0.1, 3], (4000, 2)).astype(np.float32)
    path = tmp_path / "a.txt"
    path.write_bytes(as_text(words[:2000], vectors[:2000]))
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    matrix, share = load_word_vectors(path, tokenizer)
    assert share == 2000 / 4005
    others = matrix[2005:]
    np.testing.assert_allclose(others.mean(0), vectors[:2000].mean(0), atol=0.2)
    np.testing.assert_allclose(others.std(0), vectors[:2000].std(0), rtol=0.1)
    again, _ = load_word_vectors(path, tokenizer)
    np.testing.assert_array_equal(again, matrix)
    other, _ = load_word_vectors(path, tokenizer, seed=1)
    assert (other[2005:] != others).all() and (other[5:2005] == matrix[5:2005]).all()


def test_an_upper_case_word_of_the_file_comes_before_its_lower_case(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_text("hello 1 1\nHello 2 2\nthe 3 3\nthe 4 4\n")
    matrix, _ = load_word_vectors(path, tokenizer)
    assert matrix[8].tolist() == [2, 2]
    # Of a word that comes twice, the first vector counts.
    assert matrix[5].tolist() == [3, 3]


def test_markers_of_a_space_are_no_part_of_a_word(tmp_path):
    text = "the cat sat on the mat, é happily ever after. " * 30
    byte_pair = BytePairTokenizer.train(iter([text]), 300)
    text = "the one and the other, then the last of the many. " * 30
    sentence_piece = SentencePieceTokenizer.train(iter([text]), 40, num_sentinels=2)
    path = tmp_path / "a.txt"
    path.write_bytes(as_text())
    for tokenizer in (byte_pair, sentence_piece):
        matrix, share = load_word_vectors(path, tokenizer)
        (the,) = tokenizer.tokenize([" the"]).to_list()
        assert len(the) == 1 and 0 < share < 0.1
        np.testing.assert_array_equal(matrix[the[0]], VECTORS[0])
    (accent,) = byte_pair.tokenize([" é"]).to_list()
    matrix, _ = load_word_vectors(path, byte_pair)
    np.testing.assert_array_equal(matrix[accent[-1]], VECTORS[1])


def test_the_matrix_is_what_a_keras_embedding_takes(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_bytes(as_text())
    matrix, _ = load_word_vectors(str(path), tokenizer)
    embedding = keras.layers.Embedding(*matrix.shape, weights=[matrix])
    np.testing.assert_array_equal(embedding(np.array([[6]]))[0, 0], VECTORS[1])


BINARY = as_binary()
HEADER = b"6 5\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"vectors of 1 to `max_dim` numbers. .* with 0 numbers"),
        (b"word\n", r"with 0 numbers, max_dim=2048"),
        (b"this is no file of vectors\n", r"a:1: A vector must be numbers. Received: b'is'"),
        (b"the 1 2\nthe\n", r"a:2: A line must have a word and 2 numbers. Received: b'the"),
        (b"the 1 2\n\ncat 1 2\n", r"a:2: A line must have a word and 2 numbers"),
        (b"cat 1 2\nthe 1 x\n", r"a:2: A vector must be numbers"),
        (b"the 1 nan\n", r"a:1: A vector must have finite numbers .* Received: nan"),
        (b"the 1 1e39\n", r"a:1: .*finite numbers of at most 1e\+06. Received: 1e\+39"),
        (b"the 1 2e6\n", r"Received: 2000000"),
        (b"dog 1 2\ncat 1 2\n", None),
        (b"cat 1 2\n", r"at least one token of `tokenizer`. Received: file='.*a' with none"),
        (b"x" * 200_000, r"a:1: A line must have at most \d+ bytes. Received: b'xxx"),
        (b"the " + b"1 " * 50_000 + b"\n", r"a:1: A line must have at most"),
        (b"9 3000\nthe 1\n", r"with 3000 numbers, max_dim=2048"),
        (b"9 0\nthe 1\n", r"with 0 numbers"),
        (b"3 2\nthe 1 2\ncat 1 2\n", r"with 2 of 3. Is it truncated"),
        (b"1 2\nthe 1 2\ncat 1 2\n", r"with 2 of 1"),
        (BINARY[:-7], r"with 5 of 6. Is it truncated"),
        (BINARY[: len(HEADER) + 2], r"word 0: A word must end with a space .*b'th'"),
        (BINARY + b"more", r"must end after 6 words. .* with b'more'"),
        (HEADER + b"\xff" * 5000, r"word 0: A word must end with a space after at most 1000"),
        (b"999999999999 5\n" + BINARY[len(HEADER) :], r"with 6 of 999999999999|word 6: A word"),
        (BINARY.replace(VECTORS[0].tobytes(), b"\xff" * 20), r"word 0: A vector must have finite"),
        (gzip.compress(as_text())[:-20], "must be a whole gzip file"),
        (gzip.compress(b"the 1 2\n" * 1_000_000), "at most 100 times its size"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, tokenizer, content, reason):
    path = tmp_path / "a"
    path.write_bytes(content)
    if reason is None:
        assert load_word_vectors(path, tokenizer)[1] == 0.1
        return
    with pytest.raises(ValueError, match=reason) as caught:
        load_word_vectors(path, tokenizer)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_a_pipe_and_a_missing_file_are_refused(tmp_path, tokenizer):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"must be a regular file. Received: file='.*pipe'"):
        load_word_vectors(tmp_path / "pipe", tokenizer)
    with pytest.raises(FileNotFoundError, match=re.escape(f"file={str(tmp_path / 'gone')!r}")):
        load_word_vectors(tmp_path / "gone", tokenizer)
    with pytest.raises(ValueError, match="`max_dim` must be positive. Received: max_dim=0"):
        load_word_vectors(tmp_path / "gone", tokenizer, max_dim=0)
