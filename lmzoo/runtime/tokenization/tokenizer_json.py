"""A stranger's `tokenizer.json`: read, compared with what is known, and built anew of parts.

None of its text reaches the library but tokens: no regular expression of the file is compiled.
"""

import json

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

__all__ = ["add_tokens", "open_tokenizer_json"]

_GPT2_RUNS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*%s|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# The regular expressions of lmzoo's pre-tokenizations, in the order of Llama 3, Qwen2, Tekken and
# GPT-4o.
PATTERNS = (
    _GPT2_RUNS % r"\p{N}{1,3}",
    _GPT2_RUNS % r"\p{N}",
    _CASED % ("", "", r"\p{N}"),
    _CASED % (_CONTRACTION, _CONTRACTION, r"\p{N}{1,3}"),
)
_MAX_TOKENS = 1_000_000
_STEPS = {
    "NFD": normalizers.NFD,
    "Lowercase": normalizers.Lowercase,
    "StripAccents": normalizers.StripAccents,
}


def open_tokenizer_json(spec, data):
    """Builds the tokenizer of the `tokenizers` library, without its special tokens.

    Args:
        spec: TokenizerSpec.
        data: bytes of a `tokenizer.json`.
    Returns:
        tokenizers.Tokenizer, and the dict `model` of the file. Its `vocab` is a dict of str to int
        in which special tokens have names that no text has.
    Raises:
        ValueError: if it is broken, does not fit to `spec`, or a part of it is not one of lmzoo's
            tokenizers.
    """
    content = _read(spec, data)
    return _build(spec, content), content["model"]


def _read(spec, data):
    """What the file holds, with its vocabulary checked."""
    try:
        content = json.loads(data)
        vocabulary = content["model"]["vocab"]
    except (RecursionError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`tokenizer.json` must be that of a tokenizer. Received: {data[:40]!r}, where this "
            f"does not hold: {error!r:.200}."
        ) from error
    if not isinstance(vocabulary, dict) or not 0 < len(vocabulary) <= _MAX_TOKENS:
        _refuse("model.vocab", type(vocabulary).__name__, f"an object of at most {_MAX_TOKENS}")
    ids = list(vocabulary.values())
    if set(map(type, ids)) != {int} or sorted(ids) != list(range(len(ids))):
        _refuse("model.vocab", ids[:5], f"tokens with the ids 0 to {len(ids) - 1}")
    if len(ids) > spec.vocabulary_size:
        _refuse("model.vocab", len(ids), f"at most {spec.vocabulary_size} tokens")
    for token, index in spec.special_tokens.items():
        if vocabulary.pop(token, index) != index:
            _refuse("model.vocab", token, f"special tokens with the ids of the manifest, {index}")
        # No word of a text has a space: it splits words, or is written as another character.
        vocabulary[_hide(index)] = index
    if len(vocabulary) != len(ids):
        _refuse("model.vocab", len(ids), "a vocabulary with all special tokens in it")
    return content


def _hide(index):
    return f" {index}"


def _build(spec, content):
    normalizer, pre_tokenizer = content.get("normalizer"), content.get("pre_tokenizer")
    if spec.kind == "word_piece":
        made = Tokenizer(_make_word_piece(spec, content["model"]))
        normalizer, splitter = _make_word_steps(normalizer, pre_tokenizer)
    else:
        made = Tokenizer(_make_byte_pair(spec, content["model"]))
        _expect("normalizer", normalizer, (None, {"type": "NFC"}))
        normalizer = normalizers.NFC() if normalizer else None
        splitter = _make_splitter(pre_tokenizer)
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = splitter
    return add_tokens(spec, made)


def add_tokens(spec, made):
    """Adds the non-special added tokens, and checks their ids."""
    for content, index, normalized in sorted(spec.added_tokens, key=lambda token: token[1]):
        strips = {"lstrip": content in spec.lstrip, "rstrip": content in spec.rstrip}
        made.add_tokens([AddedToken(content, normalized=normalized, **strips)])
        if made.token_to_id(content) != index:
            _refuse("added_tokens", made.token_to_id(content), f"{content!r:.40} with id {index}")
    return made


def _make_byte_pair(spec, model):
    _expect("model.type", model.get("type"), ("BPE",))
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        _expect(f"model.{name}", model.get(name), (None,))
    for name in ("fuse_unk", "byte_fallback"):
        _expect(f"model.{name}", model.get(name), (None, False))
    _expect("model.ignore_merges", model.get("ignore_merges"), (None, False, True))
    unknown = None if spec.unknown_token_id is None else _hide(spec.unknown_token_id)
    try:
        merges = [
            tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge)
            for merge in model["merges"]
        ]
        return models.BPE(
            model["vocab"],
            merges,
            unk_token=unknown,
            fuse_unk=False,
            byte_fallback=False,
            ignore_merges=bool(model.get("ignore_merges")),
        )
    # The library raises Exception itself.
    except Exception as error:
        raise ValueError(
            "`tokenizer.json` must have merges of tokens of its vocabulary. Received: others: "
            f"{error!r:.200}."
        ) from error


def _make_splitter(content):
    kind = content.get("type") if isinstance(content, dict) else content
    _expect("pre_tokenizer.type", kind, ("ByteLevel", "Sequence"))
    if kind == "ByteLevel":
        return _make_byte_level(content, True, (False, True))
    parts = content.get("pretokenizers")
    kinds = [part.get("type") for part in parts] if _are_dicts(parts) else parts
    _expect("pre_tokenizer", kinds, (["Split", "ByteLevel"], ["Digits", "ByteLevel"]))
    first, byte_level = parts
    if kinds[0] == "Digits":
        _expect("pre_tokenizer.individual_digits", first.get("individual_digits"), (True,))
        made = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([made, _make_byte_level(byte_level, True)])
    pattern = first.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else pattern
    _expect("pre_tokenizer.pattern", regex, PATTERNS)
    _expect("pre_tokenizer.behavior", first.get("behavior"), ("Isolated",))
    made = pre_tokenizers.Split(Regex(regex), "isolated")
    return pre_tokenizers.Sequence([made, _make_byte_level(byte_level, False)])


def _make_byte_level(content, use_regex, prefix=(False,)):
    _expect("pre_tokenizer.add_prefix_space", content.get("add_prefix_space"), prefix)
    _expect("pre_tokenizer.use_regex", content.get("use_regex", True), (use_regex,))
    return pre_tokenizers.ByteLevel(content["add_prefix_space"], use_regex=use_regex)


def _make_word_piece(spec, model):
    _expect("model.type", model.get("type"), ("WordPiece",))
    prefix, longest = (
        model.get("continuing_subword_prefix"),
        model.get("max_input_chars_per_word"),
    )
    if not isinstance(prefix, str) or not prefix:
        _refuse("model.continuing_subword_prefix", prefix, "a str that is not empty")
    if type(longest) is not int or not 0 < longest <= 1000:
        _refuse("model.max_input_chars_per_word", longest, "an int from 1 to 1000")
    if spec.unknown_token_id is None:
        _refuse("unknown_token_id", None, "the id of the unknown token")
    return models.WordPiece(
        model["vocab"],
        unk_token=_hide(spec.unknown_token_id),
        max_input_chars_per_word=longest,
        continuing_subword_prefix=prefix,
    )


def _make_word_steps(normalizer, pre_tokenizer):
    kind = pre_tokenizer.get("type") if isinstance(pre_tokenizer, dict) else pre_tokenizer
    _expect("pre_tokenizer.type", kind, ("BertPreTokenizer", "Whitespace"))
    if not isinstance(normalizer, dict):
        _refuse("normalizer", normalizer, "an object")
    if kind == "BertPreTokenizer":
        _expect("normalizer.type", normalizer.get("type"), ("BertNormalizer",))
        _expect("normalizer.clean_text", normalizer.get("clean_text"), (True,))
        for name, allowed in (
            ("handle_chinese_chars", (False, True)),
            ("lowercase", (False, True)),
            ("strip_accents", (None, False, True)),
        ):
            _expect(f"normalizer.{name}", normalizer.get(name), allowed)
        options = {name: normalizer[name] for name in normalizer if name != "type"}
        return normalizers.BertNormalizer(**options), pre_tokenizers.BertPreTokenizer()
    _expect("normalizer.type", normalizer.get("type"), ("Sequence",))
    parts = normalizer.get("normalizers")
    kinds = [part.get("type") for part in parts] if _are_dicts(parts) else parts
    known = ([], ["Lowercase"], ["NFD", "StripAccents"], ["NFD", "Lowercase", "StripAccents"])
    _expect("normalizer.normalizers", kinds, known)
    made = normalizers.Sequence([_STEPS[name]() for name in kinds])
    return made, pre_tokenizers.Whitespace()


def _are_dicts(parts):
    return isinstance(parts, list) and all(isinstance(part, dict) for part in parts)


def _expect(name, value, allowed):
    if not any(type(value) is type(each) and value == each for each in allowed):
        _refuse(name, value, f"one of {', '.join(map(repr, allowed))!s:.200}")


def _refuse(name, value, rule):
    raise ValueError(f"`{name}` of a tokenizer.json must be {rule}. Received: {value!r:.80}.")
