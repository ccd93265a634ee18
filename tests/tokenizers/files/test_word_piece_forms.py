"""WordPiece models with normalizers and pre-tokenizers that are not BERT's, against the library."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from lmzoo.tokenizers import WordPieceTokenizer

STEPS = {
    **{"NFD": normalizers.NFD, "Lowercase": normalizers.Lowercase},
    "StripAccents": normalizers.StripAccents,
}
FORMS = [
    ["NFD", "Lowercase", "StripAccents"],
    ["NFD", "StripAccents", "Lowercase"],
    ["NFD", "StripAccents"],
    ["Lowercase"],
    [],
]


@pytest.fixture(scope="module")
def texts(nasty_texts, draw_texts, draw_mark_texts):
    more = ["don't_stop x1\u0967 \u20ac5 a+b=c", "hat hatter Hat"]
    return [*more, *nasty_texts, *draw_texts(70, 300), *draw_mark_texts(70, 200)]


@pytest.fixture(scope="module", params=FORMS, ids=" ".join)
def pair(request, texts, tmp_path_factory):
    """Ours, opened from the library's file, and the library's."""
    normalizer = normalizers.Sequence([STEPS[name]() for name in request.param])
    characters = sorted({c for text in texts for c in normalizer.normalize_str(text)} - {*"\r\n"})
    tokens = ["[PAD]", "[UNK]", "the", "##ing", "hatter"]
    tokens += [token for c in characters for token in (c, f"##{c}")]
    library = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    library.normalizer, library.pre_tokenizer = normalizer, pre_tokenizers.Whitespace()
    library.add_special_tokens(["[PAD]", "[UNK]"])
    library.add_tokens(["hat", AddedToken("Hat", normalized=False)])
    folder = tmp_path_factory.mktemp("library")
    library.save(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    return WordPieceTokenizer.load(folder), library


def assert_same(ours, library, texts):
    ids, starts, ends = (rows.to_list() for rows in ours.tokenize_with_offsets(texts))
    for text, mine, *spans, theirs in zip(
        texts, ids, starts, ends, library.encode_batch(texts), strict=True
    ):
        assert mine == theirs.ids, ascii(text)[:80]
        assert list(zip(*spans, strict=True)) == theirs.offsets, ascii(text)[:80]
    assert ours.tokenize(texts).to_list() == ids


@pytest.mark.quick("NFD StripAccents Lowercase", "")
def test_ids_and_offsets_are_the_librarys(pair, texts):
    assert_same(*pair, texts)


@pytest.mark.slow
def test_ids_and_offsets_of_many_texts_are_the_librarys(pair, draw_texts, draw_mark_texts):
    assert_same(*pair, [*draw_texts(71, 10_000), *draw_mark_texts(71, 10_000)])


@pytest.mark.slow
def test_every_code_point_is_split_as_the_library_does(pair):
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 50_000):
        assert_same(*pair, [f"a{chr(point)}b," for point in points[start : start + 50_000]])


def test_what_is_saved_has_the_same_ids_and_the_same_bytes(pair, texts, tmp_path):
    ours, _ = pair
    ours.save(tmp_path / "first")
    saved = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    saved.encode_special_tokens = True
    ids = [encoding.ids for encoding in saved.encode_batch(texts, add_special_tokens=False)]
    assert ours.tokenize(texts).to_list() == ids
    again = WordPieceTokenizer.load(tmp_path / "first")
    assert again.pre_tokenizer == "whitespace" and again._vocabulary == ours._vocabulary
    again.save(tmp_path / "second")
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    # vocab.txt would be read as BERT's.
    assert names == ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
    for name in names:
        first, second = (tmp_path / part / name for part in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name


def test_a_class_that_splits_as_bert_does_is_refused(pair, tmp_path):
    pair[0].save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "tokenizer_class": "BertTokenizerFast"}))
    with pytest.raises(ValueError, match="'PreTrainedTokenizerFast'.*`tokenizer_class`.*: 'Bert"):
        WordPieceTokenizer.load(tmp_path)


def test_arguments_that_do_not_fit_are_refused():
    roles = dict.fromkeys(("start_token", "end_token", "pad_token", "mask_token"))
    arguments = {"vocabulary": ["[UNK]"], "special_tokens": ["[UNK]"], **roles}
    with pytest.raises(ValueError, match="`pre_tokenizer` must be 'bert' or .* Received: 'x'"):
        WordPieceTokenizer(**arguments, pre_tokenizer="x")
    with pytest.raises(ValueError, match="`split_chinese` must be False with"):
        WordPieceTokenizer(**arguments, pre_tokenizer="whitespace")
