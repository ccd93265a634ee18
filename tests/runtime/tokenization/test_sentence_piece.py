import numpy as np
import pytest
import sentencepiece

from lmzoo.tokenizers import SentencePieceTokenizer
from lmzoo.tokenizers.vocabulary import AddedToken
from tests.tokenizers.sentence_piece.test_tokenizer import CONFIGURATIONS, is_tie


@pytest.fixture(scope="module")
def texts(nasty_texts, draw_texts, draw_mark_texts, library_text):
    unseen = library_text[2_000_000:2_030_000].splitlines()
    return [*nasty_texts, *draw_texts(41, 400), *draw_mark_texts(41, 100), *unseen[:300]]


def assert_same(ours, graph, texts, ties=0.02, **options):
    """Ids are those of the graph, but for ties, which each release of the library breaks anew."""
    reference = sentencepiece.SentencePieceProcessor(model_proto=graph._vocabulary.data)
    count = 0
    for text, ids in zip(texts, graph.tokenize(texts, **options).to_list(), strict=True):
        found = ours.tokenize(text, **options)
        if found != ids:
            count += 1
            assert is_tie(reference, found, ids), ascii(text)[:80]
    assert count <= ties * len(texts)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@pytest.mark.parametrize("name", ["plain", "bytes", "every space", "as it is", "symbols"])
def test_ids_are_those_of_the_graph(train_model, open_tokenizer, texts, model_type, name):
    graph = SentencePieceTokenizer(train_model(model_type, **CONFIGURATIONS[name]))
    ours = open_tokenizer(graph)
    assert_same(ours, graph, texts)
    words = texts[:50]
    wanted = graph.tokenize_continuation(words).to_list()
    differ = [
        ours.tokenize_continuation(text) != ids for text, ids in zip(words, wanted, strict=True)
    ]
    assert sum(differ) <= 2


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_a_space_is_put_where_the_graph_puts_it(train_model, open_tokenizer, texts, scheme):
    data = train_model("bpe", byte_fallback=True, remove_extra_whitespaces=False)
    graph = SentencePieceTokenizer(data, prepend_scheme=scheme)
    ours = open_tokenizer(graph)
    assert_same(ours, graph, texts[:300])
    marked = ["<extra_id_0>a <extra_id_1> b", "a<extra_id_0>", "\u2581a", "</s></s>x", ""]
    for allow_special in (True, ["<extra_id_0>"]):
        assert_same(ours, graph, marked, allow_special=allow_special)
    assert ours.tokenize_continuation("ab") == graph.tokenize_continuation(["ab"]).to_list()[0]


def test_special_tokens_come_out_where_they_are_allowed(
    unigram_tokenizer, open_tokenizer, draw_texts
):
    ours = open_tokenizer(unigram_tokenizer)
    texts = ["a <extra_id_3> b</s>", "<extra_id_300> <pad", "", "<unk> \u2047"]
    texts += [text[:5] + "<extra_id_0>" + text[5:] for text in draw_texts(3, 100)]
    for allow_special in (True, ["<extra_id_0>"], False):
        assert_same(ours, unigram_tokenizer, texts, allow_special=allow_special)


@pytest.mark.quick("nmt_nfkc_cf")
@pytest.mark.parametrize("rules", ["identity", "nmt_nfkc_cf"])
def test_added_tokens_are_found_as_the_graph_finds_them(
    train_model, open_tokenizer, draw_texts, rules
):
    added = [AddedToken("COVID"), AddedToken("<raw>", normalized=False)]
    added += [AddedToken("<l>", lstrip=True), AddedToken("<r>", False, rstrip=True)]
    graph = SentencePieceTokenizer(
        train_model("bpe", byte_fallback=True, normalization_rule_name=rules),
        added_tokens=added,
        extra_tokens=["COVID", "<raw>", "<l>", "<r>"],
        lstrip=["</s>"],
    )
    ours = open_tokenizer(graph)
    texts = ["a covid COVIDb <raw><RAW>\u2460", "x", "<raw>", "a <l> <r> b <l>", "a </s> <r> <l>x"]
    texts += [text[:4] + "COVID" + text[4:8] + "<raw>" for text in draw_texts(5, 60)]
    for allow_special in (False, True, ["</s>"]):
        assert_same(ours, graph, texts, allow_special=allow_special)
    rows = graph.tokenize(texts).to_list()
    for ids in rows:
        assert ours.detokenize(ids) == graph.detokenize(ids).numpy().decode()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_text_comes_back_as_the_graph_gives_it(train_model, open_tokenizer, name):
    graph = SentencePieceTokenizer(train_model("bpe", **CONFIGURATIONS[name]))
    ours, generator = open_tokenizer(graph), np.random.default_rng(0)
    rows = generator.integers(ours.vocabulary_size, size=(200, 8)).tolist()
    space = next(i for i, token in enumerate(graph._vocabulary.tokens) if token == "\u2581")
    rows += [[], [space], [space, space, 300], [0, space, 1, 400], [2, 400], [1, 1]]
    for skip_special in (True, False):
        wanted = graph.detokenize(rows, skip_special).numpy()
        inside = graph.detokenize_bytes(rows, skip_special).numpy()
        for ids, text, data in zip(rows, wanted, inside, strict=True):
            assert ours.detokenize(ids, skip_special) == text.decode(), ids
            assert ours.detokenize_bytes(ids, skip_special) == data
    ids = rows[0]
    wanted = graph.detokenize_continuation(ids).numpy().decode()
    assert ours.detokenize_continuation(ids) == wanted
    assert ours.continues_word == graph.continues_word.tolist()


@pytest.mark.quick("options0-*", "options3-*")
@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, {}),
        ({"byte_fallback": True}, {"prepend_scheme": "always"}),
        ({"normalization_rule_name": "identity"}, {"added_tokens": ["1"]}),
        ({}, {"added_tokens": [AddedToken("1", normalized=False)]}),
    ],
)
def test_offsets_are_those_of_the_graph(train_model, open_tokenizer, texts, options, arguments):
    graph = SentencePieceTokenizer(train_model("bpe", **options), **arguments)
    ours = open_tokenizer(graph)
    columns = [rows.to_list() for rows in graph.tokenize_with_offsets(texts)]
    for text, *rows in zip(texts, *columns, strict=True):
        found = ours.tokenize_with_offsets(text)
        assert found == list(zip(*rows, strict=True)), ascii(text)[:80]


def test_offsets_in_normalized_text_are_refused(train_model, open_tokenizer):
    ours = open_tokenizer(SentencePieceTokenizer(train_model("bpe"), added_tokens=["1"]))
    with pytest.raises(ValueError, match=r"Received: \['1'\]"):
        ours.tokenize_with_offsets("a1")
