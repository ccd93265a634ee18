import itertools

import pytest
import tensorflow as tf
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from lmzoo.tokenizers.unicode.bert_basic_tokenizer import BertBasicTokenizer

MODES = [(True, True), (True, False), (False, True), (False, False)]


class Splitters:
    """Ours and the reference, each giving lists of words; with one word for a row and a place."""

    def __init__(self, lowercase, strip_accents, split_chinese=True):
        splitter = BertBasicTokenizer(lowercase, strip_accents, split_chinese)
        signature = [tf.TensorSpec([None], tf.string)]
        self._split = tf.function(splitter.split, signature, autograph=False)
        self._normalizer = BertNormalizer(
            lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=split_chinese
        )
        self._pre_tokenizer = BertPreTokenizer()

    def ours(self, texts):
        points, word_splits, row_words, sources, _ = self._split(tf.constant(texts))
        assert sources.shape == points.shape
        words = tf.strings.unicode_encode(
            tf.RaggedTensor.from_row_splits(points, word_splits), "UTF-8"
        )
        words, rows = words.numpy(), row_words.numpy()
        return [
            [word.decode() for word in words[start:end]]
            for start, end in itertools.pairwise(rows.tolist())
        ]

    def theirs(self, texts):
        normalized = map(self._normalizer.normalize_str, texts)
        split = map(self._pre_tokenizer.pre_tokenize_str, normalized)
        return [[word for word, _ in words] for words in split]

    def assert_same(self, texts):
        pairs = zip(texts, self.ours(texts), self.theirs(texts), strict=True)
        wrong = [(ascii(text)[:80], mine, other) for text, mine, other in pairs if mine != other]
        assert not wrong, wrong[:3]


@pytest.fixture(scope="module", params=MODES, ids=str)
def splitters(request):
    return Splitters(*request.param)


def test_words_are_the_reference_words(splitters, nasty_texts, draw_texts):
    splitters.assert_same([*nasty_texts, *draw_texts(21, 2000)])


def test_marks_are_sorted_and_dropped_as_the_reference_does(splitters, draw_mark_texts):
    splitters.assert_same(draw_mark_texts(22, 3000))


def test_each_text_alone_is_split_as_among_others(splitters, nasty_texts, draw_mark_texts):
    # Whether a text has such marks decides for the batch which branch is taken.
    texts = [*nasty_texts, *draw_mark_texts(23, 30), "ab CD."]
    alone = [splitters.ours([text])[0] for text in texts]
    assert alone == splitters.ours(texts)


def test_chinese_may_stay_together(nasty_texts, draw_texts):
    Splitters(True, True, False).assert_same([*nasty_texts, *draw_texts(24, 500), "我喜x欢豈"])


def test_no_row_and_empty_rows(splitters):
    assert splitters.ours(["", "a", "", "\xad", "b c", ""]) == [[], ["a"], [], [], ["b", "c"], []]
    *_, row_words, sources, row_starts = splitters._split(tf.constant([], tf.string))
    assert row_words.numpy().tolist() == [0]
    assert sources.shape == row_starts.shape == (0,)


@pytest.mark.slow
def test_every_code_point_becomes_what_the_reference_makes_of_it(splitters):
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 100_000):
        characters = [chr(point) for point in points[start : start + 100_000]]
        splitters.assert_same(characters)
        splitters.assert_same([f"a{character}b" for character in characters])


@pytest.mark.slow
def test_every_code_point_meets_marks_as_in_the_reference(splitters):
    points = [*range(0x300, 0xD800), *range(0xF900, 0x32000), *range(0xE0000, 0xE0200)]
    for start in range(0, len(points), 50_000):
        characters = [chr(point) for point in points[start : start + 50_000]]
        splitters.assert_same([f"a\u302e{character}\U0001d165\u0327b" for character in characters])
