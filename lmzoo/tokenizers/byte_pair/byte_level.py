"""The byte-level alphabet: every byte as one printable character, as in a GPT-2 `vocab.json`."""

__all__ = ["BYTE_CHARACTERS", "bytes_to_token", "token_to_bytes"]


def _make_alphabet():
    # Printable Latin-1 stands for itself; the other 68 bytes take the characters from U+0100 on.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_CHARACTERS = _make_alphabet()
_CHARACTER_BYTES = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


def bytes_to_token(data):
    """Writes bytes in the byte-level alphabet.

    Args:
        data: bytes.
    Returns:
        str with one character per byte.
    Example:
    >>> bytes_to_token(b" a")
    'Ġa'
    """
    return "".join(BYTE_CHARACTERS[byte] for byte in data)


def token_to_bytes(token):
    """Reads a token that is written in the byte-level alphabet.

    Args:
        token: str.
    Returns:
        bytes, or None if a character of `token` is not in the alphabet.
    Example:
    >>> token_to_bytes("Ġa")
    b' a'
    """
    try:
        return bytes(_CHARACTER_BYTES[character] for character in token)
    except KeyError:
        return None
