"""Forms of tokenizer.json that published byte-level models have, against the library."""

import json

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.byte_pair.vocabulary import BYTE_CHARACTERS
from lmzoo.tokenizers.unicode.split_patterns import NAMES, PATTERNS

ByteLevel, Sequence = pre_tokenizers.ByteLevel, pre_tokenizers.Sequence
CL100K = next(regex for regex in NAMES if "++" in regex)
# A vocabulary that was trained without the alphabet has the bytes of its text alone.
FEW = sorted(BYTE_CHARACTERS)[:100] + ["\u0120", "\u00c3", "\u00a9"]


def split(regex):
    first = pre_tokenizers.Split(Regex(regex), "isolated")
    return Sequence([first, ByteLevel(add_prefix_space=False, use_regex=False)])


def digits():
    first = pre_tokenizers.Digits(individual_digits=True)
    return Sequence([first, ByteLevel(add_prefix_space=False)])


def plain(prefix=False):
    return ByteLevel(add_prefix_space=prefix)


FORMS = {
    "SmolLM, Granite": (digits, BYTE_CHARACTERS, None),
    "Mistral Nemo, Ministral": (lambda: split(PATTERNS["tekken"]), BYTE_CHARACTERS, None),
    "gpt-oss": (lambda: split(PATTERNS["gpt4o"]), BYTE_CHARACTERS, None),
    "cl100k": (lambda: split(CL100K), BYTE_CHARACTERS, None),
    "RoBERTa for tagging": (lambda: plain(True), BYTE_CHARACTERS, None),
    "not all bytes": (plain, FEW, None),
    "not all bytes, an unknown token": (plain, FEW, "[UNK]"),
    "not all bytes, a prefix": (lambda: plain(True), FEW, None),
}


@pytest.fixture(scope="module", params=FORMS)
def pair(request, library_text, tmp_path_factory):
    """Ours, opened from the library's file, and the library's."""
    make, alphabet, unknown = FORMS[request.param]
    library = Tokenizer(models.BPE(unk_token=unknown))
    library.pre_tokenizer, library.decoder = make(), decoders.ByteLevel()
    text = library_text[:60_000]
    if len(alphabet) < 256:
        text = text.encode("ascii", "ignore").decode()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 400,
        initial_alphabet=list(alphabet),
        limit_alphabet=len(alphabet),
        special_tokens=["<|endoftext|>", *([unknown] if unknown else [])],
        show_progress=False,
    )
    library.train_from_iterator([text], trainer)
    library.add_tokens(["hat", "   "])
    library.post_processor = processors.ByteLevel(trim_offsets=False)
    folder = tmp_path_factory.mktemp("library")
    library.save(str(folder / "tokenizer.json"))
    library.encode_special_tokens = True
    return BytePairTokenizer.load(folder), library


def assert_same(ours, library, texts):
    ids = ours.tokenize(texts).to_list()
    wrong = [
        (ascii(text)[:80], mine, theirs.ids)
        for text, mine, theirs in zip(texts, ids, library.encode_batch(texts), strict=True)
        if mine != theirs.ids
    ]
    assert not wrong, wrong[:3]
    assert ours.tokenize_with_offsets(texts)[0].to_list() == ids


@pytest.mark.quick("Mistral Nemo*", "gpt-oss", "not all bytes, an unknown token")
def test_the_ids_are_the_librarys(pair, nasty_texts, draw_texts):
    texts = ["chat   hat", "Hello World's 1234 caf\u00e9", *nasty_texts, *draw_texts(60, 400)]
    assert_same(*pair, texts)


@pytest.mark.slow
def test_the_ids_of_many_texts_are_the_librarys(pair, draw_texts, draw_mark_texts):
    assert_same(*pair, [*draw_texts(61, 10_000), *draw_mark_texts(61, 1000)])


@pytest.mark.quick("gpt-oss", "not all bytes, a prefix")
def test_what_is_saved_has_the_same_ids_and_the_same_bytes(pair, nasty_texts, tmp_path):
    ours, library = pair
    ours.save(tmp_path / "first")
    saved = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    texts = ["chat   hat", "caf\u00e9 1234", *nasty_texts]
    again = BytePairTokenizer.load(tmp_path / "first")
    theirs = [encoding.ids for encoding in saved.encode_batch(texts)]
    assert again.tokenize(texts, allow_special=True).to_list() == theirs
    assert saved.get_vocab() == library.get_vocab()
    again.save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name


def test_offsets_of_known_bytes_are_those_of_their_text(pair):
    ours, _ = pair
    text = "a hat, \u4f60 b\u00e9 x   1"
    ids, starts, ends = (rows.numpy() for rows in ours.tokenize_with_offsets(text))
    found = {}
    for index, start, end in zip(ids, starts, ends, strict=True):
        found.setdefault(ours.detokenize([index]).numpy().decode().strip(), text[start:end])
    for piece in ("a", "hat", ",", "b", "x", "1"):
        assert found.get(piece, piece) == piece
    assert found["hat"] == "hat" and (starts[1:] >= starts[:-1]).all()


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "RobertaTokenizer"])
def test_the_small_file_adds_a_prefix_where_a_class_reads_it(name, tmp_path):
    """As transformers: tokenizer.json alone counts for the class that takes it as it is."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    special = ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    trained = BytePairTokenizer.train(iter(["a cat, a hat " * 9]), 290, special)
    parts = trained._vocabulary
    roles = {"start_token": "<s>", "end_token": "</s>", "pad_token": "<pad>"}
    BytePairTokenizer(
        parts.ids, parts.merges, special, **roles, add_bos_and_eos=True, mask_token="<mask>"
    ).save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "tokenizer_class": name, "add_prefix_space": True}))
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = BytePairTokenizer.load(tmp_path)
    assert ours.add_prefix_space == (name == "RobertaTokenizer")
    texts = ["cat", " cat", "", "\ncat", "a hat"]
    ids = [[0, *row, 1] for row in ours.tokenize(texts).to_list()]
    assert reference(texts).input_ids == ids
    ours.save(tmp_path / "second")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "second")
    assert again(texts).input_ids == ids
