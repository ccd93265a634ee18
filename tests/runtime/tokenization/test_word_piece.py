import numpy as np
import pytest

from lmzoo.tokenizers import WordPieceTokenizer
from lmzoo.tokenizers.vocabulary import AddedToken


@pytest.fixture(scope="module")
def texts(nasty_texts, draw_texts, draw_mark_texts, library_text):
    unseen = library_text[2_000_000:2_050_000]
    return [*nasty_texts, *draw_texts(31, 600), *draw_mark_texts(31, 300), unseen]


def rebuild(tokenizer, **options):
    return WordPieceTokenizer(list(tokenizer._vocabulary.tokens), **options)


def assert_same(ours, graph, texts, **options):
    """Ids and offsets are those of the graph."""
    rows = graph.tokenize(texts, **options).to_list()
    columns = [rows.to_list() for rows in graph.tokenize_with_offsets(texts, **options)]
    for text, ids, *spans in zip(texts, rows, *columns, strict=True):
        assert ours.tokenize(text, **options) == ids, ascii(text)[:80]
        found = ours.tokenize_with_offsets(text, **options)
        assert found == list(zip(*spans, strict=True)), ascii(text)[:80]


@pytest.mark.quick("options0", "options1")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": False},
        {"strip_accents": False, "split_chinese": False},
        {"max_word_characters": 5},
        {"pre_tokenizer": "whitespace", "split_chinese": False},
        {"pre_tokenizer": "whitespace", "split_chinese": False, "lowercase": False},
    ],
)
def test_ids_and_offsets_are_those_of_the_graph(
    word_piece_tokenizer, open_tokenizer, texts, options
):
    graph = rebuild(word_piece_tokenizer, **options)
    assert_same(open_tokenizer(graph), graph, texts if not options else texts[:300])


def test_special_tokens_come_out_where_they_are_allowed(
    word_piece_tokenizer, open_tokenizer, draw_texts
):
    ours = open_tokenizer(word_piece_tokenizer)
    texts = ["[CLS] a[MASK]b [SEP]", "[mask] [MASK", "", "x [PAD][PAD]"]
    texts += [text[:5] + "[MASK]" + text[5:] for text in draw_texts(3, 100)]
    for allow_special in (True, ["[MASK]"], False):
        assert_same(ours, word_piece_tokenizer, texts, allow_special=allow_special)


def test_a_special_token_that_is_a_word_comes_out_of_no_text(open_tokenizer):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word", "a", "##word"]
    graph = WordPieceTokenizer(tokens, special_tokens=[*tokens[:6], "##word"])
    ours = open_tokenizer(graph)
    assert ours.tokenize("word a aword") == [1, 6, 1]
    assert_same(ours, graph, ["word a aword WORD"])


def test_added_tokens_are_found_as_the_graph_finds_them(
    word_piece_tokenizer, open_tokenizer, draw_texts
):
    tokens = [*word_piece_tokenizer._vocabulary.tokens, "COVID", "<raw>"]
    added = [AddedToken("COVID"), AddedToken("<raw>", normalized=False)]
    added.append(AddedToken(tokens[1000], in_model=True))
    graph = WordPieceTokenizer(tokens, added_tokens=added)
    ours = open_tokenizer(graph)
    texts = ["a covid COVIDb <raw><RAW>", "x"]
    texts += [text[:4] + "covid" + text[4:8] + "<raw>" for text in draw_texts(5, 60)]
    for allow_special in (False, True, ["[MASK]"]):
        assert_same(ours, graph, texts, allow_special=allow_special)
    assert ours.continues_word == graph.continues_word.tolist()


def test_text_comes_back_as_the_graph_gives_it(word_piece_tokenizer, open_tokenizer):
    ours, generator = open_tokenizer(word_piece_tokenizer), np.random.default_rng(0)
    rows = generator.integers(ours.vocabulary_size, size=(300, 12)).tolist()
    dots = [word_piece_tokenizer.token_to_id(token) for token in (".", "?", ",", "'", "s")]
    rows += [[dot, *dots, 200] for dot in dots] + [[0, 2, dots[0]], []]
    for skip_special in (True, False):
        wanted = word_piece_tokenizer.detokenize(rows, skip_special).numpy()
        for ids, text in zip(rows, wanted, strict=True):
            assert ours.detokenize(ids, skip_special) == text.decode()
    assert ours.continues_word == word_piece_tokenizer.continues_word.tolist()
