import numpy as np
import pytest

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.unicode.split_patterns import PATTERNS


@pytest.fixture(scope="module")
def texts(nasty_texts, draw_texts, draw_mark_texts, library_text):
    unseen = library_text[2_000_000:2_050_000]
    return [*nasty_texts, *draw_texts(21, 600), *draw_mark_texts(21, 200), unseen]


def retrained(tokenizer, **options):
    vocabulary = tokenizer._vocabulary
    return BytePairTokenizer(
        dict(vocabulary.ids),
        vocabulary.merges,
        vocabulary.special_tokens,
        **{"end_token": "<|endoftext|>", **options},
    )


def assert_same_ids(ours, graph, texts, **options):
    theirs = graph.tokenize(texts, **options).to_list()
    for text, ids in zip(texts, theirs, strict=True):
        assert ours.tokenize(text, **options) == ids, ascii(text)[:80]


def test_ids_and_offsets_are_those_of_the_graph(byte_pair_tokenizer, open_tokenizer, texts):
    ours = open_tokenizer(byte_pair_tokenizer)
    assert_same_ids(ours, byte_pair_tokenizer, texts)
    columns = [rows.to_list() for rows in byte_pair_tokenizer.tokenize_with_offsets(texts)]
    for text, *rows in zip(texts, *columns, strict=True):
        found = ours.tokenize_with_offsets(text)
        assert found == list(zip(*rows, strict=True)), ascii(text)[:80]


@pytest.mark.quick("gpt2_digits", "llama3")
@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "gpt2"])
def test_each_pattern_gives_the_ids_of_the_graph(
    byte_pair_tokenizer, open_tokenizer, texts, pattern
):
    graph = retrained(byte_pair_tokenizer, pattern=pattern, normalize_nfc=pattern == "qwen2")
    assert_same_ids(open_tokenizer(graph), graph, texts[:400])


def test_a_prefix_space_and_ignored_merges_give_the_ids_of_the_graph(
    byte_pair_tokenizer, open_tokenizer, texts
):
    graph = retrained(byte_pair_tokenizer, add_prefix_space=True, ignore_merges=True)
    assert_same_ids(open_tokenizer(graph), graph, texts[:300])


@pytest.mark.quick("rstrip1")
@pytest.mark.parametrize("rstrip", [[], ["<pad>"], ["<|endoftext|>"]])
def test_special_tokens_come_out_where_they_are_allowed(
    byte_pair_tokenizer, open_tokenizer, draw_texts, rstrip
):
    graph = retrained(byte_pair_tokenizer, lstrip=["<pad>"], rstrip=rstrip)
    ours = open_tokenizer(graph)
    texts = [
        "<|endoftext|>a <pad> b<|endoftext|><pad>", " \n\u00a0<pad>\u2003 <pad>x", "<pad", "",
        *(text[:5] + "<pad>" + text[5:] for text in draw_texts(3, 100)),
    ]  # fmt: skip
    for allow_special in (True, ["<pad>"], ["<|endoftext|>"], False):
        assert_same_ids(ours, graph, texts, allow_special=allow_special)
        columns = [rows.to_list() for rows in graph.tokenize_with_offsets(texts, allow_special)]
        for text, *rows in zip(texts, *columns, strict=True):
            assert ours.tokenize_with_offsets(text, allow_special) == list(
                zip(*rows, strict=True)
            ), ascii(text)


def test_added_tokens_are_found_as_the_graph_finds_them(
    byte_pair_tokenizer, open_tokenizer, draw_texts
):
    from lmzoo.tokenizers.vocabulary import AddedToken

    vocabulary = byte_pair_tokenizer._vocabulary
    ids = dict(vocabulary.ids)
    added = [AddedToken("<tool>"), AddedToken("<raw>", normalized=False), AddedToken("the")]
    added += [AddedToken("<l>", lstrip=True), AddedToken("<r>", False, rstrip=True)]
    for token in added:
        ids.setdefault(token.content, len(ids))
    graph = BytePairTokenizer(ids, vocabulary.merges, vocabulary.special_tokens, added_tokens=added)
    ours = open_tokenizer(graph)
    texts = ["a<tool>b<raw><tool> the<pad>", "<tool", "other", "a <l> <r> b<l>\n<l>", " <r> <l>"]
    texts += [text[:4] + "<tool>" + text[4:8] + "<raw>the" for text in draw_texts(5, 60)]
    for allow_special in (False, True, ["<pad>"]):
        assert_same_ids(ours, graph, texts, allow_special=allow_special)
    rows = graph.tokenize(texts)
    for skip_special in (True, False):
        wanted = graph.detokenize(rows, skip_special).numpy()
        for ids, text in zip(rows.to_list(), wanted, strict=True):
            assert ours.detokenize(ids, skip_special) == text.decode()
    assert ours.continues_word == graph.continues_word.tolist()


def test_a_special_token_that_is_a_word_comes_out_of_no_text(byte_pair_tokenizer, open_tokenizer):
    ids = dict(byte_pair_tokenizer._vocabulary.ids)
    special = "a_special_word"
    ids[special] = len(ids)
    graph = BytePairTokenizer(
        ids,
        byte_pair_tokenizer._vocabulary.merges,
        ["<|endoftext|>", "<pad>", special],
        ignore_merges=True,
    )
    ours = open_tokenizer(graph)
    assert ids[special] not in ours.tokenize(special)
    assert_same_ids(ours, graph, [special, f" {special}", f"a {special}"])


def test_text_comes_back_as_the_graph_gives_it(byte_pair_tokenizer, open_tokenizer):
    ours, generator = open_tokenizer(byte_pair_tokenizer), np.random.default_rng(0)
    rows = generator.integers(ours.vocabulary_size, size=(300, 12)).tolist()
    for skip_special in (True, False):
        wanted = byte_pair_tokenizer.detokenize(rows, skip_special).numpy()
        for ids, text in zip(rows, wanted, strict=True):
            assert ours.detokenize(ids, skip_special) == text.decode()
            assert ours.detokenize_continuation(ids) == ours.detokenize(ids)
    assert ours.continues_word == byte_pair_tokenizer.continues_word.tolist()


def test_a_prompt_begins_as_in_the_graph(byte_pair_tokenizer, open_tokenizer):
    for graph in (byte_pair_tokenizer, retrained(byte_pair_tokenizer, add_start_token=True)):
        ours = open_tokenizer(graph)
        wanted = graph.tokenize_prompts(["", "a b"]).to_list()
        assert [ours.tokenize_prompt(text) for text in ("", "a b")] == wanted
        assert ours.tokenize_continuation("ab") == graph.tokenize_continuation(["ab"]).to_list()[0]
