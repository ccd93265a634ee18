"""One trained tokenizer, the library it must agree with, and texts that are hard to get right."""

import io
import pathlib
import sysconfig
import unicodedata

import numpy as np
import pytest
import sentencepiece

from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from tests.tokenizers.laws import make_reference

_LANGUAGES = (
    "Привет, мир! Как дела? 我喜欢编程。今天天气很好。 नमस्ते दुनिया १२३ 안녕하세요 세계 "
    "สวัสดีชาวโลก שלום עולם مرحبا بالعالم Γειά σου Κόσμε ½ ① Ⅳ ²"
)


@pytest.fixture(scope="session")
def library_text():
    """About 3 MB of code and English: the standard library's own files."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)[:3_000_000]


@pytest.fixture(scope="session")
def byte_pair_tokenizer(library_text):
    texts = [library_text[:1_000_000], _LANGUAGES * 50, "a   b\n\n\n    c\t\td " * 100]
    return BytePairTokenizer.train(iter(texts), 3000, special_tokens=["<|endoftext|>", "<pad>"])


@pytest.fixture(scope="session")
def byte_pair_reference(byte_pair_tokenizer, tmp_path_factory):
    return make_reference(byte_pair_tokenizer, tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="session")
def word_piece_tokenizer(library_text, nasty_texts, draw_mark_texts):
    """Has a piece for every character of the texts below, lest two unknown words look alike."""
    texts = [library_text[:1_000_000], _LANGUAGES * 50, *nasty_texts, *draw_mark_texts(0, 500)]
    return WordPieceTokenizer.train(iter(texts), 4000)


@pytest.fixture(scope="session")
def word_piece_reference(word_piece_tokenizer, tmp_path_factory):
    return make_reference(word_piece_tokenizer, tmp_path_factory.mktemp("word_piece_reference"))


@pytest.fixture(scope="session")
def train_model(library_text):
    """Trains a model with the sentencepiece library: `train_model("bpe", **its options)`."""
    lines = [*library_text[:50_000].splitlines(), *[_LANGUAGES] * 15]

    def train(model_type, **options):
        written = io.BytesIO()
        roles = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(filter(None, lines)),
            model_writer=written,
            model_type=model_type,
            minloglevel=2,
            **{"vocab_size": 700, **roles, **options},
        )
        return written.getvalue()

    return train


@pytest.fixture(scope="session")
def unigram_model(train_model):
    return train_model("unigram")


@pytest.fixture(scope="session")
def unigram_tokenizer(unigram_model):
    return SentencePieceTokenizer(unigram_model)


@pytest.fixture(scope="session")
def nasty_texts():
    decomposed = unicodedata.normalize("NFD", "Ångström naïve 각")
    return [
        "",
        " ",
        " " * 10_000,
        "a" + " " * 1000 + "b",
        "\r\n \t\v\f\x85\u2028\u2029 \r\r\n\n x \n",
        "a\x00b\x00\x00 \x00",
        "\ufffd a\ufffdb",
        "\ufeffa\ufeffb \ufeff",
        "".join(map(chr, range(0xA0))),
        "a" + "\u0301" * 500 + "b\u0327\u0301",
        unicodedata.normalize("NFC", decomposed),
        decomposed,
        "\u1112\u1161\u11ab 한",
        "İstanbul ıI iİ",
        "สวัสดีครับ ผมชื่อ",
        "क्षि १२३ ०a०",
        "𠀀𠀁 𪛖 a𠀀b",
        "\u202eabc\u202c \u2066x\u2069 אב1گ",
        "👨\u200d👩\u200d👧\u200d👦 🇫🇷🇩🇪 1\ufe0f\u20e3 ☝🏽",
        "\U000e0041\U000e007f x",
        "\ue000\U000f0000\U0010ffff",
        "\u0378\u1c89\U000105c0 a\u0378",
        "don't you'll we've I'm he'd they're 's 'S !'s ''s 'll'x 'lla 'l 'v \n'm\u00a0't 't's's",
        "'s", "'", "a'", "a'l", "a'v", " 've", "\n'", "3's ½'ll",
        "¹²³ ½ Ⅻ x² 1,000.50",
        "\u00a0\u00a0a \u3000b  \u2003",
        "[MASK] [mask] x[PAD] ［ＭＡＳＫ］ [MA\u200bSK] [MA\u0301SK] [[CLS]]",
        "ΑΣ ΑΣ. Ǆ ǅ ẞß ﬁ ① K ſ ᾈ Ⴀ 豈 \u037e \u1fef ≠ a\u0338=\u0338",
        "<|endoftext|> <|ENDOFTEXT|> ＜|endoftext|＞ <|end\u200boftext|> <pad>",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def draw_texts():
    """Draws texts of mixed code points: `draw_texts(seed, count)`."""

    def draw(seed, count):
        generator = np.random.default_rng(seed)
        common = list("  \n\t'.,!?aeiotslrvdmLES019é") + ["'s", "'ll", "the", " in", "\u00a0", "我"]
        return ["".join(_draw_pieces(generator, common)) for _ in range(count)]

    return draw


@pytest.fixture(scope="session")
def draw_mark_texts():
    """Draws texts in which marks of all kinds meet: `draw_mark_texts(seed, count)`."""
    marks = [0x301, 0x327, 0x334, 0x345, 0x344, 0x94D, 0x1B44, 0x302E, 0x302F, 0x8D4, 0x1DFB]
    marks += [0x16FF0, 0x11357, 0x1D165, 0x1D16D, 0x1D160, 0x1161, 0xAD, 0x200D]
    characters = [*map(chr, marks), *"aÉ 각ᄒ我,"]

    def draw(seed, count):
        generator = np.random.default_rng(seed)
        sizes = generator.integers(14, size=count)
        return [
            "".join(characters[index] for index in generator.integers(len(characters), size=size))
            for size in sizes
        ]

    return draw


def _draw_pieces(generator, common):
    for _ in range(generator.integers(0, 30)):
        if generator.random() < 0.75:
            yield common[generator.integers(len(common))]
            continue
        code_point = int(generator.integers(generator.choice([0x100, 0x3000, 0x10000, 0x110000])))
        yield "?" if 0xD800 <= code_point < 0xE000 else chr(code_point)
