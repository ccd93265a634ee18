"""Added tokens, which the tests of the plain tokenizer do not reach."""

import json

import numpy as np
import pytest
from tokenizers import AddedToken as TheirToken
from tokenizers import Tokenizer

from lmzoo.tokenizers import AddedToken, WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# "is" is a token of the model too; two begin alike; one has accents, one is Chinese, one has a
# space. (The library fills the memory where nothing is left of a normalized token.)
NORMALIZED = [
    "covid19",
    "Covid",
    "is",
    "Caf\u00e9",
    "\u65b0\u51a0",
    "new york",
    "x-ray",
    "##s",
]
RAW = ["<E1>", "COVID", "hat\u0301", "\t\t", "the"]
ADDED = [*map(AddedToken, NORMALIZED), *(AddedToken(text, normalized=False) for text in RAW)]


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def pair(request, tmp_path_factory):
    """Ours, opened from files of the library, and the library's."""
    words = [
        *"abcdehilnorstuvwxyzCHINE<>19\u65b0\u51a0\u00e9-[]/#\u0301",
        "is",
        "this",
        "cafe",
        "new",
        "hat",
        "the",
        "york",
    ]
    tokens = [*SPECIAL, *words, *(f"##{word}" for word in words)]
    folder = tmp_path_factory.mktemp("library")
    plain = WordPieceTokenizer(tokens, lowercase=request.param)
    plain.save(folder)
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.add_tokens([TheirToken(text, normalized=True) for text in NORMALIZED])
    library.add_tokens([TheirToken(text, normalized=False) for text in RAW])
    library.save(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    return WordPieceTokenizer.load(folder), library


def draw(seed, count):
    generator = np.random.default_rng(seed)
    parts = [
        *NORMALIZED,
        *RAW,
        *"  \n\t<>1isth\u0301\u0327\xad\u65b0\u5f20\x00\u00c9",
        "COVID19",
        "cafe\u0301",
    ]
    parts += ["NEW\u00a0York", "[MASK]", "E1", "is", "\u302e"]
    sizes = generator.integers(14, size=count)
    return ["".join(parts[i] for i in generator.integers(len(parts), size=size)) for size in sizes]


def assert_same(ours, library, texts):
    ids, starts, ends = (rows.to_list() for rows in ours.tokenize_with_offsets(texts))
    theirs = library.encode_batch(texts, add_special_tokens=False)
    wrong = [
        (ascii(text), mine, encoding.ids)
        for text, mine, encoding in zip(texts, ids, theirs, strict=True)
        if mine != encoding.ids
    ]
    assert not wrong, wrong[:3]
    assert ours.tokenize(texts).to_list() == ids
    for text, first, last, encoding in zip(texts, starts, ends, theirs, strict=True):
        spans = list(zip(first, last, strict=True))
        pieces = [text[start:end].strip() for start, end in encoding.offsets]
        assert [text[start:end].strip() for start, end in spans] == pieces, ascii(text)


@pytest.mark.quick("uncased")
def test_added_tokens_are_found_as_the_library_finds_them(pair, nasty_texts):
    texts = ["Covid19 is here", "thisis", "a\u65b0\u51a0b \u65b0 \u51a0", "New   york new-york"]
    texts += ["<E1>bob<e1> Covid COVID", "", "caf\u00e9s CAFE\u0301 x-ray is", *nasty_texts]
    assert_same(*pair, [*texts, *draw(0, 2000), "is".join(nasty_texts)])


@pytest.mark.slow
def test_added_tokens_are_found_in_many_texts(pair):
    assert_same(*pair, draw(1, 10_000))


def test_special_tokens_are_found_beside_added_ones(pair):
    ours, library = pair
    library = Tokenizer.from_str(library.to_str())
    texts = ["[MASK] is [CLS]<E1>", *draw(2, 500)]
    theirs = [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]
    assert ours.tokenize(texts, allow_special=True).to_list() == theirs


def test_what_is_saved_has_the_same_ids_and_the_same_bytes(pair, tmp_path):
    ours, _ = pair
    ours.save(tmp_path / "first")
    library = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    library.encode_special_tokens = True
    assert_same(ours, library, draw(3, 300))
    again = WordPieceTokenizer.load(tmp_path / "first")
    assert again._vocabulary == ours._vocabulary
    again.save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name
    lines = (tmp_path / "first" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert "is" in lines and "covid19" not in lines


def test_an_added_token_stays_in_text(pair):
    ours, _ = pair
    ids = ours.tokenize("this covid19 [MASK]", allow_special=True)
    assert ours.token_to_id("covid19") in ids.numpy() and ours.mask_token_id in ids.numpy()
    assert ours.detokenize(ids).numpy().decode() == "th is covid19"


def test_a_token_of_one_word_only_is_refused_by_name(pair, tmp_path):
    pair[0].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"][-1]["single_word"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="`added_tokens.single_word of .*`.* Received: True"):
        WordPieceTokenizer.load(tmp_path)
