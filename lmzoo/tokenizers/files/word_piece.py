"""A WordPiece tokenizer as Hugging Face files, both ways."""

from lmzoo.json_files import read_json, read_text, write_json, write_text
from lmzoo.tokenizers.files import common
from lmzoo.tokenizers.files.post_processors import read_num_separators

__all__ = ["ROLES", "read_word_piece_files", "write_word_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and BERT's own.
ROLES = {
    "unknown_token": ("unk_token", "[UNK]"),
    "start_token": ("cls_token", "[CLS]"),
    "end_token": ("sep_token", "[SEP]"),
    "pad_token": ("pad_token", "[PAD]"),
    "mask_token": ("mask_token", "[MASK]"),
}
# MPNet's, which are RoBERTa's but for the unknown one.
_MPNET_TOKENS = {
    **{"unk_token": "[UNK]", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"},
    "mask_token": "<mask>",
}
# The classes of transformers whose texts have the ids of BERT's or MPNet's class.
_BERT_CLASS, _MPNET_CLASS = "BertTokenizer", "MPNetTokenizer"
_BERT_CLASSES = (
    *(_BERT_CLASS, "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"),
    *("ConvBertTokenizer", "SqueezeBertTokenizer", "LayoutLMTokenizer", "LxmertTokenizer"),
    *("RetriBertTokenizer", "RealmTokenizer", "DPRContextEncoderTokenizer"),
    *("DPRQuestionEncoderTokenizer", "DPRReaderTokenizer"),
)
# Classes that split text into words in code of their own.
_OTHER_CLASSES = ("BertJapaneseTokenizer", "BertweetTokenizer")
# What lmzoo, tokenizer.json and tokenizer_config.json call the options of the normalizer.
_NORMALIZER = {
    "lowercase": ("lowercase", "do_lower_case"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "split_chinese": ("handle_chinese_chars", "tokenize_chinese_chars"),
}
# The normalizers that may stand before the pre-tokenizer Whitespace.
_STEPS = ("NFD", "Lowercase", "StripAccents")
_KIND = "the WordPiece of BERT"


def write_word_piece_files(folder, tokenizer, vocabulary):
    """Writes `tokenizer.json`, `vocab.txt` and the two small files beside them.

    Args:
        folder: pathlib.Path.
        tokenizer: WordPieceTokenizer.
        vocabulary: WordPieceVocabulary. Its own.
    """
    added = common.describe_tokens(vocabulary)
    roles = {theirs: getattr(tokenizer, role) for role, (theirs, _) in ROLES.items()}
    if tokenizer.num_separators == 2:
        roles |= {"bos_token": tokenizer.start_token, "eos_token": tokenizer.end_token}
    ids = _list_model_tokens(vocabulary)
    class_name = _MPNET_CLASS if tokenizer.num_separators == 2 else _BERT_CLASS
    options = {theirs: getattr(tokenizer, name) for name, (_, theirs) in _NORMALIZER.items()}
    if tokenizer.pre_tokenizer == "whitespace":
        class_name, options = common.ANY_CLASS, {}
    else:
        write_text(folder / "vocab.txt", "".join(f"{token}\n" for token in ids))
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    write_json(folder / "special_tokens_map.json", named)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": class_name,
            **options,
            "clean_up_tokenization_spaces": True,
            # A role without a token is named too, or its default would be added.
            **roles,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    write_json(folder / "tokenizer.json", _make_tokenizer_json(tokenizer, ids, added, vocabulary))


def _list_model_tokens(vocabulary):
    """The ids of the tokens but for the last ones that are added and not the model's."""
    outside = {token.content for token in vocabulary.added_tokens if not token.in_model}
    size = len(vocabulary.tokens)
    while size and vocabulary.tokens[size - 1] in outside:
        size -= 1
    return {token: index for index, token in enumerate(vocabulary.tokens[:size])}


def _make_tokenizer_json(tokenizer, ids, added, vocabulary):
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, **token} for index, token in added.items()],
        **_make_steps(tokenizer),
        "post_processor": _make_post_processor(tokenizer, vocabulary.ids),
        "decoder": {"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": tokenizer.unknown_token,
            "continuing_subword_prefix": tokenizer.prefix,
            "max_input_chars_per_word": tokenizer.max_word_characters,
            "vocab": ids,
        },
    }


def _make_steps(tokenizer):
    """Describes the normalizer and the pre-tokenizer."""
    if tokenizer.pre_tokenizer == "bert":
        options = {theirs: getattr(tokenizer, name) for name, (theirs, _) in _NORMALIZER.items()}
        return {
            "normalizer": {"type": "BertNormalizer", "clean_text": True, **options},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
        }
    strips = tokenizer.strip_accents
    strips = tokenizer.lowercase if strips is None else strips
    kinds = [
        kind
        for kind, used in zip(_STEPS, (strips, tokenizer.lowercase, strips), strict=True)
        if used
    ]
    return {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": kind} for kind in kinds]},
        "pre_tokenizer": {"type": "Whitespace"},
    }


def _make_post_processor(tokenizer, ids):
    """Describes the start token before a text, and the end token behind it and between two."""
    start, end = tokenizer.start_token, tokenizer.end_token
    if tokenizer.num_separators == 2 and None not in (start, end):
        return {
            "type": "RobertaProcessing",
            "sep": [end, ids[end]],
            "cls": [start, ids[start]],
            "trim_offsets": True,
            "add_prefix_space": False,
        }

    def add(kind, name, segment):
        return [] if name is None else [{kind: {"id": name, "type_id": segment}}]

    def close(name, segment):
        return add("Sequence", name, segment) + add("SpecialToken", end, segment)

    single = add("SpecialToken", start, 0) + close("A", 0)
    special = [token for token in (start, end) if token is not None]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + close("B", 1),
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in special
        },
    }


def read_word_piece_files(folder):
    """Reads `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json` if that is there.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of the arguments of `WordPieceTokenizer`.
    Raises:
        FileNotFoundError, ValueError: as `Tokenizer.load`.
    """
    named = common.read_named(folder)
    class_name = _read_class(folder, named)
    defaults = _MPNET_TOKENS if class_name == _MPNET_CLASS else dict(ROLES.values())
    check = common.FileCheck(folder / "tokenizer_config.json", _KIND)
    check.expect("do_basic_tokenize", named.get("do_basic_tokenize"), (None, True))
    if (folder / "tokenizer.json").is_file():
        found = _read_tokenizer_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        found = _read_vocab_txt(folder / "vocab.txt")
        found["num_separators"] = 2 if class_name == _MPNET_CLASS else 1
    else:
        raise FileNotFoundError(
            f"`folder` must hold tokenizer.json or vocab.txt. Received: {str(folder)!r}."
        )
    if found.get("pre_tokenizer") == "whitespace" and class_name not in (None, common.ANY_CLASS):
        check.refuse(
            "tokenizer_class",
            class_name,
            f"{common.ANY_CLASS!r}, as its tokenizer.json splits otherwise,",
        )
    # As in transformers: a class of its own takes these options from the small file, and the class
    # for every tokenizer.json takes that as it is.
    for name, (_, theirs) in _NORMALIZER.items():
        if theirs in named and class_name != common.ANY_CLASS and "pre_tokenizer" not in found:
            found[name] = named[theirs]
    known = {*found["special_tokens"], *(token.content for token in found["added_tokens"])}
    for source, tokens in common.read_more_added(folder, named, _KIND, defaults):
        tokens = [token for token in tokens if common.get_content(token) not in known]
        for name, more in _read_added(source, tokens, found["vocabulary"]).items():
            found[name] = [*found[name], *more]
    if not found["special_tokens"]:
        found["special_tokens"] = [
            token for token in defaults.values() if token in found["vocabulary"]
        ]
    special = common.find_special(
        found["special_tokens"], found["vocabulary"], named, defaults, folder
    )
    roles = {}
    for role, (name, _) in ROLES.items():
        default = defaults[name]
        roles[role] = common.get_content(named.get(name, default if default in special else None))
    unknown = found.pop("unknown_token", None) or roles["unknown_token"]
    if unknown is None or unknown not in found["vocabulary"]:
        raise ValueError(
            "The vocabulary must hold the unknown token. "
            f"Received: {unknown or '[UNK]'!r:.80} in {str(folder)!r}, which it does not."
        )
    special = {*special, unknown}
    found["special_tokens"] = sorted(special, key=found["vocabulary"].get)
    # What a small file calls special is special.
    found["added_tokens"] = [
        token for token in found["added_tokens"] if token.content not in special
    ]
    return {**found, **roles, "unknown_token": unknown}


def _read_class(folder, named):
    """The class of transformers that a folder is for."""
    name = common.read_class_name(folder, named, implied=(_MPNET_CLASS,))
    has_form = (folder / "tokenizer.json").is_file()
    known = (None, *_BERT_CLASSES, _MPNET_CLASS, *([common.ANY_CLASS] if has_form else []))
    if name in _OTHER_CLASSES or (name not in known and not has_form):
        raise ValueError(
            f"vocab.txt must be for {_BERT_CLASS}, {_MPNET_CLASS} or a class that splits text as "
            f"they do. Received: {name!r:.80} in {str(folder)!r}. Tokenize with the library that "
            "has that class, and give the model token ids: without tokenizer files "
            "`lmzoo.load(folder)` opens it alone."
        )
    return name if name in known else common.ANY_CLASS


def _read_tokenizer_json(path):
    content, check = read_json(path), common.FileCheck(path, _KIND)
    model, normalizer, pre_tokenizer = (
        content.get(name) for name in ("model", "normalizer", "pre_tokenizer")
    )
    check.expect_section("model", model)
    # Files of old versions of the tokenizers library do not name the type.
    check.expect("model.type", model.get("type", "WordPiece"), ("WordPiece",))
    vocabulary = common.read_vocabulary(check, model.get("vocab"))
    tokens = content.get("added_tokens") or []
    return {
        "vocabulary": vocabulary,
        **_read_added(check, tokens, vocabulary),
        "unknown_token": common.get_content(model.get("unk_token")),
        "prefix": model.get("continuing_subword_prefix", "##"),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
        "num_separators": read_num_separators(check, content.get("post_processor")),
        **_read_steps(check, normalizer, pre_tokenizer),
    }


def _read_steps(check, normalizer, pre_tokenizer):
    """The normalizer and the pre-tokenizer, as arguments of `WordPieceTokenizer`."""
    check.expect_section("pre_tokenizer", pre_tokenizer)
    kinds = ("BertPreTokenizer", "Whitespace")
    check.expect("pre_tokenizer.type", pre_tokenizer.get("type"), kinds)
    if pre_tokenizer["type"] == "BertPreTokenizer":
        check.expect_section("normalizer", normalizer)
        check.expect("normalizer.type", normalizer.get("type"), ("BertNormalizer",))
        check.expect("normalizer.clean_text", normalizer.get("clean_text"), (True,))
        return {name: normalizer.get(theirs) for name, (theirs, _) in _NORMALIZER.items()}
    steps = [normalizer]
    if normalizer is None:
        steps = []
    elif isinstance(normalizer, dict) and normalizer.get("type") == "Sequence":
        steps = normalizer.get("normalizers")
    names = steps
    if isinstance(steps, list):
        names = [step.get("type") if isinstance(step, dict) else step for step in steps]
    known = ([], ["Lowercase"], ["NFD", "StripAccents"], list(_STEPS))
    known += (["NFD", "StripAccents", "Lowercase"],)
    check.expect("normalizer", names, known)
    return {
        "lowercase": "Lowercase" in names,
        "strip_accents": "StripAccents" in names,
        "split_chinese": False,
        "pre_tokenizer": "whitespace",
    }


def _read_added(check, tokens, vocabulary):
    """The special and added tokens; those that are new are put into `vocabulary`."""
    model_tokens = set(vocabulary)
    # White space is left out anyway, so it does not matter whether a token matches some.
    tokens = check.read_added(tokens, vocabulary, refused=("single_word",), takes_non_special=True)
    added = [
        common.read_added_token(token, token["content"] in model_tokens)
        for token in tokens
        if not token["special"] and token["content"]
    ]
    special = [token["content"] for token in tokens if token["special"]]
    return {"special_tokens": special, "added_tokens": added}


def _read_vocab_txt(path):
    # Not splitlines: it also splits at U+2028 and others, which are tokens of published files.
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    if not lines[-1]:
        lines.pop()
    vocabulary = {}
    for index, line in enumerate(lines):
        if vocabulary.setdefault(line, index) != index:
            raise ValueError(
                f"vocab.txt must hold a token once. Received: {line!r:.80} on the lines "
                f"{vocabulary[line] + 1} and {index + 1} of {str(path)!r}."
            )
    vocabulary = common.read_vocabulary(common.FileCheck(path, _KIND), vocabulary)
    return {"vocabulary": vocabulary, "special_tokens": [], "added_tokens": []}
