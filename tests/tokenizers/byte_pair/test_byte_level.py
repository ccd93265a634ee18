from tokenizers.pre_tokenizers import ByteLevel

from lmzoo.tokenizers.byte_pair.byte_level import BYTE_CHARACTERS, bytes_to_token, token_to_bytes


def test_the_alphabet_is_the_references():
    assert set(BYTE_CHARACTERS) == set(ByteLevel.alphabet()) and len(BYTE_CHARACTERS) == 256
    splitter = ByteLevel(add_prefix_space=False, use_regex=False)
    for text in ("".join(map(chr, range(0x80))), "é我\U0001f600"):
        assert splitter.pre_tokenize_str(text)[0][0] == bytes_to_token(text.encode())


def test_bytes_come_back():
    data = bytes(range(256))
    assert token_to_bytes(bytes_to_token(data)) == data


def test_what_is_not_in_the_alphabet_gives_none():
    assert token_to_bytes("a b") is None
