"""The runtime's form of a tokenizer."""

import pathlib
import tempfile

import pytest

from lmzoo.runtime.manifest import TokenizerSpec
from lmzoo.runtime.tokenization import make_tokenizer

_KINDS = {"BytePairTokenizer": "byte_pair", "WordPieceTokenizer": "word_piece"}


def describe(tokenizer):
    """(TokenizerSpec, bytes of its file) of an in-graph tokenizer."""
    kind = _KINDS.get(type(tokenizer).__name__, "sentence_piece")
    roles = ("start", "end", "pad", "unknown", "mask")
    spec = TokenizerSpec(
        kind=kind,
        file="spiece.model" if kind == "sentence_piece" else "tokenizer.json",
        vocabulary_size=tokenizer.vocabulary_size,
        **{f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in roles},
        special_tokens={token: tokenizer.token_to_id(token) for token in tokenizer.special_tokens},
        **{side: _list_strips(tokenizer, side) for side in ("lstrip", "rstrip")},
        added_tokens=[
            (token.content, tokenizer.token_to_id(token.content), token.normalized)
            for token in tokenizer._vocabulary.added_tokens
        ],
        add_start_token=tokenizer.add_start_token,
        num_separators=tokenizer.num_separators,
        prepend_scheme=getattr(tokenizer, "prepend_scheme", None),
    )
    if kind == "sentence_piece":
        return spec, tokenizer._vocabulary.data
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        return spec, (pathlib.Path(folder) / "tokenizer.json").read_bytes()


def _list_strips(tokenizer, side):
    added = [t.content for t in tokenizer._vocabulary.added_tokens if getattr(t, side)]
    return [*getattr(tokenizer, f"_{side}"), *added]


@pytest.fixture(scope="session")
def open_tokenizer():
    """The runtime's tokenizer of an in-graph one: `open_tokenizer(tokenizer)`."""
    return lambda tokenizer: make_tokenizer(*describe(tokenizer))
