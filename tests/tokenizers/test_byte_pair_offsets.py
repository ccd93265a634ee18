"""Which characters the tokens of a byte-pair tokenizer stand for."""

import random

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="module")
def texts(nasty_texts):
    generator = random.Random(0)
    characters = "ab c.d'\n\t  ,猫🙂é\u0301ß½\u3000\u00a0"
    drawn = ["".join(generator.choices(characters, k=generator.randrange(24))) for _ in range(300)]
    return [*nasty_texts, "EU rejects German call.", *drawn]


def find_offsets(tokenizer, text, ids):
    """From the definition: the characters whose bytes a token has, without leading white space."""
    owners = [index for index, char in enumerate(text) for _ in char.encode()]
    place = 0
    for token_id in ids:
        size = len(tokenizer.detokenize_bytes([token_id]).numpy())
        start, end = owners[place], owners[place + size - 1] + 1
        place += size
        # Unicode's White_Space, of which Python counts four control characters more.
        while start < end and text[start].isspace() and text[start] not in "\x1c\x1d\x1e\x1f":
            start += 1
        yield start, end


def test_offsets_are_the_characters_whose_bytes_a_token_has(byte_pair_tokenizer, texts):
    short = [text for text in texts if len(text) < 600]
    rows = byte_pair_tokenizer.tokenize_with_offsets(short)
    assert rows[0].to_list() == byte_pair_tokenizer.tokenize(short).to_list()
    found = zip(*(row.to_list() for row in rows), strict=True)
    for text, (ids, starts, ends) in zip(short, found, strict=True):
        wanted = list(find_offsets(byte_pair_tokenizer, text, ids))
        assert list(zip(starts, ends, strict=True)) == wanted, text


def test_tokens_of_a_word_stand_where_the_reference_says(
    byte_pair_tokenizer, byte_pair_reference, texts
):
    from tokenizers import processors

    byte_pair_reference.post_processor = processors.ByteLevel(trim_offsets=True)
    rows = [row.to_list() for row in byte_pair_tokenizer.tokenize_with_offsets(texts)]
    for text, ids, starts, ends in zip(texts, *rows, strict=True):
        wanted = byte_pair_reference.encode(text, add_special_tokens=False)
        assert ids == wanted.ids
        # Where the reference trims its own idea of white space at both ends, ours is checked above.
        for token, start, end, bounds in zip(
            wanted.tokens, starts, ends, wanted.offsets, strict=True
        ):
            if token.strip("Ġ").isalpha() and token.isascii():
                assert (start, end) == bounds, (text, token)


def test_one_text_and_an_empty_batch_have_offsets(byte_pair_tokenizer):
    ids, starts, ends = byte_pair_tokenizer.tokenize_with_offsets("a cat")
    assert ids.shape == starts.shape == ends.shape
    assert (starts[0], ends[-1]) == (0, 5)
    for row in byte_pair_tokenizer.tokenize_with_offsets([]):
        assert row.shape.as_list() == [0, None]


def test_invalid_bytes_count_as_the_replacements_they_are_read_as(byte_pair_tokenizer):
    broken = b"\xff a\xe7\x8c cat"
    rows = byte_pair_tokenizer.tokenize_with_offsets(tf.constant([broken]))
    mended = byte_pair_tokenizer.tokenize_with_offsets([broken.decode("utf-8", "replace")])
    for row, other in zip(rows, mended, strict=True):
        np.testing.assert_array_equal(row.values, other.values)
