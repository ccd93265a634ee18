"""A SentencePiece tokenizer as Hugging Face files, both ways."""

import dataclasses

from lmzoo.json_files import read_bytes, read_json, write_bytes, write_json
from lmzoo.runtime.sentence_piece_file.model import MAX_BYTES, SentencePieceModel
from lmzoo.runtime.sentence_piece_file.normalization_table import WHITE_SPACE_RULES
from lmzoo.tokenizers.files.added_tokens import (
    find_added_special,
    list_added_tokens,
    read_added_tokens,
)
from lmzoo.tokenizers.files.common import (
    ANY_CLASS,
    FileCheck,
    describe_tokens,
    get_content,
    read_additional,
    read_class_name,
    read_named,
)
from lmzoo.tokenizers.files.post_processors import (
    check_add_end,
    check_no_end,
    make_bos_eos_template,
    make_end_template,
    make_template,
    read_add_start,
    read_bos_and_eos,
    read_start,
)
from lmzoo.tokenizers.files.sentence_piece_bpe_json import (
    can_be_bpe_json,
    make_bpe_json,
    read_bpe_json,
    read_prepend_scheme,
)
from lmzoo.tokenizers.files.unigram_json import (
    can_be_unigram_json,
    make_unigram_json,
    read_rules,
    read_unigram_json,
)
from lmzoo.tokenizers.files.xlm_roberta import (
    is_xlm_roberta,
    number_as_file,
    number_as_xlm_roberta,
)

__all__ = ["CLASSES", "ROLES", "read_sentence_piece_files", "write_sentence_piece_files"]

_T5, _LLAMA, _XLM_ROBERTA = "T5Tokenizer", "LlamaTokenizer", "XLMRobertaTokenizer"
CLASSES = (_T5, _LLAMA, _XLM_ROBERTA, ANY_CLASS)
_OTHER_NAMES = {"MT5Tokenizer": _T5}
# What each calls its model file.
_MODEL_FILES = {
    _T5: "spiece.model",
    _LLAMA: "tokenizer.model",
    _XLM_ROBERTA: "sentencepiece.bpe.model",
}
# Those that split text at white space whatever tokenizer.json says.
_SPLITTING = (_T5, _XLM_ROBERTA)
# What lmzoo and Hugging Face call the tokens a model asks for by role, and T5's own.
ROLES = {
    "unknown_token": ("unk_token", "<unk>"),
    "start_token": ("bos_token", None),
    "end_token": ("eos_token", "</s>"),
    "pad_token": ("pad_token", "<pad>"),
    "mask_token": ("mask_token", None),
}
# What the other classes take where no file names a token.
_LLAMA_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}
_XLM_ROBERTA_ROLES = {**_LLAMA_ROLES, "pad_token": "<pad>", "mask_token": "<mask>"}
_KIND = "the SentencePiece of T5, Llama or XLM-RoBERTa"
# What transformers adds where the files do not say it.
_NUM_SENTINELS = 100


def write_sentence_piece_files(folder, tokenizer, vocabulary):
    """Writes the model, the two small files and, where it says the same, `tokenizer.json`.

    Args:
        folder: pathlib.Path.
        tokenizer: SentencePieceTokenizer.
        vocabulary: SentencePieceVocabulary. Its own.
    Raises:
        ValueError: if no class of transformers would give the same ids.
    """
    class_name = _choose_class(tokenizer, vocabulary)
    tokenizer_json = _make_tokenizer_json(tokenizer, vocabulary, class_name)
    if tokenizer_json is None and tokenizer.prepend_scheme is not None:
        raise ValueError(
            "`prepend_scheme` must be None where the model is not of Llama 2's kind, as no file "
            f"can say it. Received: prepend_scheme={tokenizer.prepend_scheme!r}."
        )
    roles = _name_roles(tokenizer)
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    added = _describe_added(tokenizer, vocabulary, class_name)
    own = {vocabulary.tokens[index] for index in vocabulary.own_special_ids()}
    sentinels = [] if vocabulary.has_sentinels else list(vocabulary.sentinel_ids)
    more = [vocabulary.tokens[index] for index in sentinels]
    more += [token for token in vocabulary.special_tokens if token not in {*own, *more}]
    data = vocabulary.data
    if class_name == _XLM_ROBERTA:
        data = number_as_file(vocabulary)
    write_bytes(folder / _name_model_file(tokenizer, vocabulary, class_name), data)
    write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": more})
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": class_name,
            **_make_options(tokenizer, class_name, len(sentinels)),
            "clean_up_tokenization_spaces": False,
            # A role that nothing plays is named too, or its default would be added.
            **roles,
            "additional_special_tokens": more,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    if tokenizer_json is not None:
        write_json(folder / "tokenizer.json", tokenizer_json)


def _choose_class(tokenizer, vocabulary):
    """The class that a tokenizer was opened from, where that gives its ids; else one that does."""
    is_bpe_json = can_be_bpe_json(vocabulary, tokenizer.prepend_scheme)
    if tokenizer.add_bos_and_eos:
        return _XLM_ROBERTA if is_xlm_roberta(vocabulary) else ANY_CLASS
    name = tokenizer.tokenizer_class or (ANY_CLASS if is_bpe_json else _T5)
    if name == _LLAMA and (not is_bpe_json or tokenizer.prepend_scheme is None):
        return ANY_CLASS
    if name == _XLM_ROBERTA or (name == _T5 and tokenizer.prepend_scheme is not None):
        return ANY_CLASS
    return name


def _name_model_file(tokenizer, vocabulary, class_name):
    if class_name != ANY_CLASS:
        return _MODEL_FILES[class_name]
    return _MODEL_FILES[_T5 if tokenizer.add_bos_and_eos or vocabulary.sentinel_ids else _LLAMA]


def _make_options(tokenizer, class_name, num_sentinels):
    """What `tokenizer_config.json` holds for a class beside the tokens."""
    add_start = tokenizer.add_start_token
    if class_name == _T5:
        sentinels = {"extra_ids": num_sentinels}
        return {**sentinels, "add_bos_token": True} if add_start else sentinels
    if class_name == _LLAMA:
        return {
            "add_bos_token": add_start,
            "add_eos_token": False,
            "add_prefix_space": tokenizer.prepend_scheme != "never",
            "legacy": tokenizer.prepend_scheme == "always",
        }
    return {} if tokenizer.add_bos_and_eos else {"add_bos_token": add_start}


def _describe_added(tokenizer, vocabulary, class_name):
    """The special and added tokens by id, as `tokenizer.json` describes them."""
    lstrip = (tokenizer.mask_token,) if class_name == _XLM_ROBERTA else tokenizer._lstrip
    added = describe_tokens(vocabulary, lstrip, tokenizer._rstrip)
    if not vocabulary.has_sentinels:
        return added
    # Sentinels of the model's own are no added tokens: they have a space before them there.
    return {index: added[index] for index in added if index not in vocabulary.sentinel_ids}


def _make_tokenizer_json(tokenizer, vocabulary, class_name):
    """What `tokenizer.json` holds; None if it cannot say the same."""
    added = _describe_added(tokenizer, vocabulary, class_name)
    added = [{"id": index, **token} for index, token in added.items()]
    post_processor = _make_post_processor(tokenizer, vocabulary.ids, class_name)
    scheme = tokenizer.prepend_scheme
    if class_name in (_LLAMA, ANY_CLASS) and can_be_bpe_json(vocabulary, scheme):
        return make_bpe_json(vocabulary, added, post_processor, scheme)
    if scheme is None and can_be_unigram_json(vocabulary):
        return make_unigram_json(vocabulary, added, post_processor)
    return None


def _make_post_processor(tokenizer, ids, class_name):
    start = None
    if tokenizer.add_bos_and_eos or tokenizer.add_start_token:
        start = tokenizer.id_to_token(tokenizer.start_token_id)
    if tokenizer.add_bos_and_eos:
        return make_bos_eos_template(start, tokenizer.end_token, ids, tokenizer.num_separators)
    if class_name == _T5:
        return make_end_template(tokenizer.end_token, tokenizer.end_token_id)
    return start and make_template(start, ids[start])


def _name_roles(tokenizer):
    roles = {theirs: getattr(tokenizer, role) for role, (theirs, _) in ROLES.items()}
    if not tokenizer.add_bos_and_eos:
        mask = roles.pop("mask_token")
        return roles if mask is None else {**roles, "mask_token": mask}
    start, end = tokenizer.id_to_token(tokenizer.start_token_id), tokenizer.end_token
    return {**roles, "bos_token": start, "cls_token": start, "sep_token": end}


def read_sentence_piece_files(folder):
    """Reads the file of a model, or `tokenizer.json` if there is none.

    What the files leave open, or say differently, is decided as transformers 5 decides it:
    T5Tokenizer, LlamaTokenizer and XLMRobertaTokenizer know by themselves where spaces are put;
    with any other class `tokenizer.json` says it, or else the model file. A model file and a
    `tokenizer.json` of different tokens are refused.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of the arguments of `SentencePieceTokenizer`.
    Raises:
        As `Tokenizer.load`.
    """
    named, path = read_named(folder), folder / "tokenizer.json"
    tokenizer_json = read_json(path) if path.is_file() else {}
    added = list_added_tokens(folder, named, tokenizer_json, _KIND)
    special, more = find_added_special(added), read_additional(folder, named)
    every = dict.fromkeys([*more, *(token["content"] for _, token in added)])
    sentinels = [token for token in every if token.startswith("<extra_id_")]
    class_name = _read_class(folder, named)
    found, layout = _read_model(folder, tokenizer_json, class_name)
    around = _read_around(path, tokenizer_json, named, layout, class_name)
    add_bos_and_eos = len(around) == 2
    if found["num_sentinels"] is None:
        found["num_sentinels"] = len(sentinels) or (0 if add_bos_and_eos else _NUM_SENTINELS)
    if layout == _LLAMA:
        named = {**_LLAMA_ROLES, **named}
        if tokenizer_json:
            # As in transformers 5, a `tokenizer.json` says what is added.
            named = {**named, "add_bos_token": None, "add_eos_token": None}
    elif layout == _XLM_ROBERTA:
        named = {**_XLM_ROBERTA_ROLES, **named}
    elif "extra_ids" in named:
        found["num_sentinels"] = named["extra_ids"]
    if add_bos_and_eos:
        named = {**named, **dict(zip(("bos_token", "eos_token"), around, strict=True))}
        if "<mask>" in special.values():
            named.setdefault("mask_token", "<mask>")
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    if layout == _LLAMA and not add_bos_and_eos:
        check_add_end(check, named)
    first = around[0] if len(around) == 1 else None
    start, add_start = read_add_start(check, named, first)
    roles = {
        role: get_content(named.get(theirs, default)) for role, (theirs, default) in ROLES.items()
    }
    scheme = _read_scheme(path, tokenizer_json, named, layout, class_name)
    return {
        **found,
        **roles,
        **_place_added(added, found, tokenizer_json, layout, scheme),
        "special_tokens": [*(t for t in more if t not in sentinels), *special.values()],
        "start_token": start,
        "add_start_token": add_start and not add_bos_and_eos,
        "add_bos_and_eos": add_bos_and_eos,
        "prepend_scheme": scheme,
        "tokenizer_class": ANY_CLASS if class_name is None and layout == _LLAMA else class_name,
    }


def _place_added(added, found, tokenizer_json, layout, scheme):
    """The arguments that added tokens give, as `read_added_tokens` returns them."""
    try:
        model = SentencePieceModel.parse(found["model"])
    except ValueError:
        # The tokenizer says what is wrong with it.
        return {}
    arguments = read_added_tokens(added, model, found["num_sentinels"])
    if layout != _LLAMA:
        # Text is split at white space, so that it makes no difference which token matches some.
        arguments |= {"lstrip": (), "rstrip": ()}
    if layout != _LLAMA or scheme is not None:
        return arguments
    if not tokenizer_json:
        # As in transformers 5, with a model file alone they are searched in the raw text.
        tokens = arguments["added_tokens"]
        raw = (dataclasses.replace(token, normalized=False) for token in tokens)
        return {**arguments, "added_tokens": tuple(raw)}
    for check, token in added:
        # A normalizer that puts a space before text would put it before the token too.
        if not token["special"]:
            name = f"added_tokens.normalized of {token['content']!r:.60}"
            check.expect(name, token.get("normalized"), (None, False))
    return arguments


def _read_class(folder, named):
    """One of `CLASSES`, as transformers 5 chooses it; None if the folder does not say."""
    name = read_class_name(folder, named)
    name = _OTHER_NAMES.get(name, name)
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    check.expect("tokenizer_class", name, (*CLASSES, None))
    return name


def _read_model(folder, tokenizer_json, class_name):
    """Finds the model.

    Returns:
        dict with `model`, bytes, and `num_sentinels`, int or None; and the class whose ids and
        tokens it has, never `ANY_CLASS`.
    """
    present = [theirs for theirs, name in _MODEL_FILES.items() if (folder / name).is_file()]
    path = folder / "tokenizer.json"
    if present:
        owner = class_name if class_name in present else present[0]
        layout = owner if class_name in (None, ANY_CLASS) else class_name
        data = read_bytes(folder / _MODEL_FILES[owner], MAX_BYTES)
        if layout == _XLM_ROBERTA:
            data = number_as_xlm_roberta(folder / _MODEL_FILES[owner], data)
        if tokenizer_json:
            data = _compare(path, tokenizer_json, data, class_name)
        if class_name == _LLAMA:
            _check_llama(folder / _MODEL_FILES[owner], data)
        return {"model": data, "num_sentinels": None if layout == _T5 else 0}, layout
    if not tokenizer_json:
        raise FileNotFoundError(
            f"`folder` must hold {', '.join(_MODEL_FILES.values())} or tokenizer.json. "
            f"Received: {str(folder)!r}."
        )
    model = tokenizer_json.get("model")
    if isinstance(model, dict) and model.get("type", "BPE") == "BPE":
        return {"model": read_bpe_json(path, tokenizer_json, _KIND), "num_sentinels": 0}, _LLAMA
    data, num_sentinels = read_unigram_json(path, tokenizer_json, _KIND, class_name in _SPLITTING)
    layout = _XLM_ROBERTA if class_name == _XLM_ROBERTA else _T5
    return {"model": data, "num_sentinels": num_sentinels}, layout


def _compare(path, tokenizer_json, data, class_name):
    """Refuses a `tokenizer.json` that contradicts the model file beside it.

    Returns:
        bytes. The model file; with the white space of T5Tokenizer where only that file says it.
    """
    check, section = FileCheck(path, _KIND), tokenizer_json.get("model")
    check.expect_section("model", section)
    try:
        model = SentencePieceModel.parse(data)
    except ValueError:
        # The tokenizer says what is wrong with it.
        return data
    kind = section.get("type", "BPE")
    check.expect("model.type", kind, ({"unigram": "Unigram", "bpe": "BPE"}[model.model_type],))
    tokens = section.get("vocab")
    if kind == "Unigram":
        rows = tokens if isinstance(tokens, list) else []
        names = [row[0] if isinstance(row, list) and row else None for row in rows]
    else:
        check.expect_section("model.vocab", tokens)
        places = {index: token for token, index in tokens.items() if isinstance(index, int)}
        names = [places.get(index) for index in range(len(model.pieces))]
    for index, piece in enumerate(model.pieces):
        name = names[index] if index < len(names) else None
        if name != piece:
            check.refuse(f"model.vocab at id {index}", name, f"{piece!r:.60}, as the model file,")
    if kind == "Unigram":
        rules = read_rules(path, tokenizer_json, _KIND, class_name in _SPLITTING)
        if rules == WHITE_SPACE_RULES and not model.rules and class_name in (_T5, ANY_CLASS):
            return dataclasses.replace(model, rules=rules).serialize()
        if rules != model.rules:
            check.refuse(
                "normalizer", tokenizer_json.get("normalizer"), "the table of the model file"
            )
    return data


def _check_llama(path, data):
    """Refuses a model file that normalizes text, as LlamaTokenizer does not."""
    try:
        model = SentencePieceModel.parse(data)
    except ValueError:
        return
    if model.model_type != "bpe" or model.rules or model.remove_extra_whitespaces:
        raise ValueError(
            f"{path.name} must be a BPE model that does not normalize text, as LlamaTokenizer is "
            f"named. Received: {str(path)!r}, a {model.model_type} model. Name "
            f'"{ANY_CLASS}" as `tokenizer_class` for what the model file says.'
        )


def _read_scheme(path, tokenizer_json, named, layout, class_name):
    """The `prepend_scheme`: the class's, or that of `tokenizer.json`, or else the library's."""
    if layout != _LLAMA:
        return None
    check = FileCheck(path.with_name("tokenizer_config.json"), _KIND)
    if class_name == _LLAMA:
        for name in ("add_prefix_space", "legacy"):
            check.expect(name, named.get(name), (None, False, True))
        if named.get("add_prefix_space") is False:
            return "never"
        return "always" if named.get("legacy") else "first"
    if tokenizer_json:
        return read_prepend_scheme(path, tokenizer_json, _KIND)
    return "first" if named.get("legacy") is False else None


def _read_around(path, tokenizer_json, named, layout, class_name):
    """What the post-processor adds before a text, or around it: no, one or two tokens."""
    if layout == _XLM_ROBERTA:
        # As in transformers, the class decides and not `tokenizer.json`.
        return tuple(
            get_content(named.get(role)) or _XLM_ROBERTA_ROLES[role]
            for role in ("bos_token", "eos_token")
        )
    check, post_processor = FileCheck(path, _KIND), tokenizer_json.get("post_processor")
    bos_and_eos = read_bos_and_eos(check, post_processor)
    if bos_and_eos is not None:
        return bos_and_eos
    if layout != _LLAMA:
        return ()
    if tokenizer_json:
        check_no_end(check, post_processor)
        start = read_start(check, post_processor)
    else:
        # A model file alone is Llama's; where a class is named, nothing is added unasked.
        start = get_content(named.get("bos_token")) or "<s>" if class_name is None else None
    return () if start is None else (start,)
