"""What a program without lmzoo needs to tokenize: one file, and what it does not say."""

import pathlib
import tempfile

__all__ = ["describe_tokenizer"]


def describe_tokenizer(tokenizer):
    """The file of a tokenizer, and the fields that its file leaves open.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
    Returns:
        dict as the arguments of `lmzoo.runtime.TokenizerSpec`, and bytes of the file that `file`
        names.
    Raises:
        TypeError: if the tokenizer has no such file, as that of bytes.
    """
    if tokenizer.standalone_kind is None:
        raise TypeError(
            f"`tokenizer` must have a vocabulary in a file. Received: a {type(tokenizer).__name__}."
        )
    vocabulary = tokenizer._vocabulary
    roles = ("start", "end", "pad", "unknown", "mask")
    kind, name = tokenizer.standalone_kind
    fields = {
        "kind": kind,
        "file": name,
        "vocabulary_size": tokenizer.vocabulary_size,
        **{f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in roles},
        "special_tokens": {
            token: tokenizer.token_to_id(token) for token in tokenizer.special_tokens
        },
        "lstrip": (*tokenizer._lstrip, *(t.content for t in vocabulary.added_tokens if t.lstrip)),
        "rstrip": (*tokenizer._rstrip, *(t.content for t in vocabulary.added_tokens if t.rstrip)),
        "added_tokens": tuple(
            (token.content, tokenizer.token_to_id(token.content), token.normalized)
            for token in vocabulary.added_tokens
        ),
        "add_start_token": tokenizer.add_start_token,
        "num_separators": tokenizer.num_separators,
        "prepend_scheme": getattr(tokenizer, "prepend_scheme", None),
    }
    if kind == "sentence_piece":
        return fields, vocabulary.data
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        return fields, (pathlib.Path(folder) / name).read_bytes()
