"""A SentencePiece tokenizer as Hugging Face files, both ways."""

import dataclasses

from lmzoo.json_files import read_bytes, read_json, write_bytes, write_json
from lmzoo.tokenizers.files.added_tokens import (
    add_control_pieces,
    find_added_special,
    list_added_tokens,
)
from lmzoo.tokenizers.files.common import (
    FileCheck,
    describe_token,
    get_content,
    read_additional,
    read_named,
)
from lmzoo.tokenizers.files.post_processors import (
    check_add_end,
    make_bos_eos_template,
    make_end_template,
    make_template,
    read_add_start,
    read_bos_and_eos,
    read_start,
)
from lmzoo.tokenizers.files.sentence_piece_bpe_json import (
    can_be_pairs,
    make_pair_form,
    read_pair_form,
)
from lmzoo.tokenizers.files.unigram_json import can_be_fast, make_fast_form, read_fast_form
from lmzoo.tokenizers.sentence_piece.model import MAX_BYTES, PieceType, SentencePieceModel

__all__ = ["ROLES", "read_sentence_piece_files", "write_sentence_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and T5's own.
ROLES = {
    "unknown_token": ("unk_token", "<unk>"),
    "start_token": ("bos_token", None),
    "end_token": ("eos_token", "</s>"),
    "pad_token": ("pad_token", "<pad>"),
    "mask_token": ("mask_token", None),
}
# What the other classes of transformers take where no file names a token.
_LLAMA_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}
_XLM_ROBERTA_ROLES = {
    **{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
    **{"mask_token": "<mask>"},
}
_KIND = "the SentencePiece of T5, Llama or XLM-RoBERTa"
# Each class of transformers that is read, and what it calls the file of its model.
_MODEL_FILES = {
    "T5Tokenizer": "spiece.model",
    "LlamaTokenizer": "tokenizer.model",
    "XLMRobertaTokenizer": "sentencepiece.bpe.model",
}
# The first ids of XLM-RoBERTa, which its model file numbers in another way.
_XLM_ROBERTA_START = ("<s>", "<pad>", "</s>", "<unk>")
# What transformers adds where the files do not say it.
_NUM_SENTINELS = 100


def write_sentence_piece_files(folder, tokenizer, vocabulary):
    """Writes the model, the two small files and, where it says the same, `tokenizer.json`.

    The model file is called as the class of transformers calls it for which the files are made.

    Args:
        folder: pathlib.Path.
        tokenizer: SentencePieceTokenizer.
        vocabulary: SentencePieceVocabulary. Its own.
    """
    roles = _name_roles(tokenizer)
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    is_xlm_roberta = tokenizer.add_bos_and_eos and _is_xlm_roberta(vocabulary)
    # Sentinels of the model's own are no added tokens: they have a space before them there.
    added = {
        vocabulary.ids[token]: describe_token(
            token, lstrip=is_xlm_roberta and token == tokenizer.mask_token
        )
        for token in vocabulary.special_tokens
    }
    if vocabulary.has_sentinels:
        added = {index: added[index] for index in added if index not in vocabulary.sentinel_ids}
    behind = [] if vocabulary.has_sentinels else list(vocabulary.sentinel_ids)
    own = {vocabulary.tokens[index] for index in vocabulary.own_special_ids()}
    more = [vocabulary.tokens[index] for index in behind]
    more += [token for token in vocabulary.special_tokens if token not in {*own, *more}]
    pairs = can_be_pairs(vocabulary)
    if is_xlm_roberta:
        named_class, data = {"tokenizer_class": "XLMRobertaTokenizer"}, _number_as_file(vocabulary)
        file_name = _MODEL_FILES["XLMRobertaTokenizer"]
    else:
        named_class, data = _name_class(tokenizer, pairs, len(behind)), vocabulary.data
        file_name = "tokenizer.model" if pairs else "spiece.model"
    write_bytes(folder / file_name, data)
    write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": more})
    write_json(
        folder / "tokenizer_config.json",
        {
            **named_class,
            "clean_up_tokenization_spaces": False,
            # A role that nothing plays is named too, or its default would be added.
            **roles,
            "additional_special_tokens": more,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    if pairs or can_be_fast(vocabulary):
        added = [{"id": index, **token} for index, token in added.items()]
        make_form = make_pair_form if pairs else make_fast_form
        form = make_form(vocabulary, added, _make_finish(tokenizer, vocabulary.ids, pairs))
        write_json(folder / "tokenizer.json", form)


def _name_roles(tokenizer):
    roles = {theirs: getattr(tokenizer, role) for role, (theirs, _) in ROLES.items()}
    if not tokenizer.add_bos_and_eos:
        mask = roles.pop("mask_token")
        return roles if mask is None else {**roles, "mask_token": mask}
    start, end = tokenizer.id_to_token(tokenizer.start_token_id), tokenizer.end_token
    return {**roles, "bos_token": start, "cls_token": start, "sep_token": end}


def _is_xlm_roberta(vocabulary):
    """Says whether the ids are XLM-RoBERTa's, so that its class of transformers reads them."""
    model = vocabulary.model
    return (
        model.pieces[: len(_XLM_ROBERTA_START)] == _XLM_ROBERTA_START
        and model.pieces[-1] == "<mask>"
        and not vocabulary.sentinel_ids
        and can_be_fast(vocabulary)
    )


def _number_as_xlm_roberta(data):
    """Gives the pieces of a model file the ids of XLM-RoBERTa: `<s> <pad> </s> <unk>`, then all
    pieces but the first three, then `<mask>`.
    """
    model = SentencePieceModel.parse(data)
    if sorted(model.pieces[:3]) != ["</s>", "<s>", "<unk>"]:
        raise ValueError(f"its first pieces are {list(model.pieces[:3])!r:.80}, not XLM-RoBERTa's")
    names = (*_XLM_ROBERTA_START, "<mask>")
    types = [PieceType.UNKNOWN if name == "<unk>" else PieceType.CONTROL for name in names]
    return dataclasses.replace(
        model,
        pieces=(*names[:-1], *model.pieces[3:], names[-1]),
        scores=(*[0.0] * 4, *model.scores[3:], 0.0),
        types=(*types[:-1], *model.types[3:], types[-1]),
    ).serialize()


def _number_as_file(vocabulary):
    """Undoes `_number_as_xlm_roberta`: the bytes of a model file."""
    model = vocabulary.model
    control = PieceType.CONTROL
    return dataclasses.replace(
        model,
        pieces=("<unk>", "<s>", "</s>", *model.pieces[4:-1]),
        scores=(*[0.0] * 3, *model.scores[4:-1]),
        types=(PieceType.UNKNOWN, control, control, *model.types[4:-1]),
    ).serialize()


def _make_finish(tokenizer, ids, pairs):
    """What `tokenizer.json` puts around a text."""
    start = None
    if tokenizer.add_bos_and_eos or tokenizer.add_start_token:
        start = tokenizer.id_to_token(tokenizer.start_token_id)
    if tokenizer.add_bos_and_eos:
        return make_bos_eos_template(start, tokenizer.end_token, ids, tokenizer.num_separators)
    if pairs:
        return start and make_template(start, ids[start])
    return make_end_template(tokenizer.end_token, tokenizer.end_token_id)


def _name_class(tokenizer, pairs, num_sentinels):
    add_start = tokenizer.add_start_token
    if tokenizer.add_bos_and_eos:
        return {"tokenizer_class": "PreTrainedTokenizerFast"}
    if pairs:
        # LlamaTokenizer of transformers 5 would put no space before a text that begins with one.
        return {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": add_start}
    named = {"tokenizer_class": "T5Tokenizer", "extra_ids": num_sentinels}
    return {**named, "add_bos_token": True} if add_start else named


def read_sentence_piece_files(folder):
    """Reads the file of a model, or `tokenizer.json` if there is none.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of the arguments of `SentencePieceTokenizer`, and the tokens that the files add, as
        `list_added_tokens` gives them.
    Raises:
        FileNotFoundError: if neither is there.
        ValueError: if a file is too large, broken, or describes another kind of tokenizer.
    """
    named, fast = read_named(folder), folder / "tokenizer.json"
    form = read_json(fast) if fast.is_file() else {}
    added = list_added_tokens(folder, named, form, _KIND)
    special, more = find_added_special(added), read_additional(folder, named)
    every = dict.fromkeys([*more, *(token["content"] for _, token in added)])
    sentinels = [token for token in every if token.startswith("<extra_id_")]
    found, class_name = _read_model(folder, form, _read_class(named), special)
    is_llama = class_name == "LlamaTokenizer"
    around = _read_around(fast, form, named, class_name)
    add_bos_and_eos = len(around) == 2
    if found["num_sentinels"] is None:
        found["num_sentinels"] = len(sentinels) or (0 if add_bos_and_eos else _NUM_SENTINELS)
    if is_llama:
        named = {**_LLAMA_ROLES, **named}
    elif class_name == "XLMRobertaTokenizer":
        named = {**_XLM_ROBERTA_ROLES, **named}
    elif "extra_ids" in named:
        found["num_sentinels"] = named["extra_ids"]
    if add_bos_and_eos:
        named = {**named, **dict(zip(("bos_token", "eos_token"), around, strict=True))}
        if "<mask>" in special.values():
            named.setdefault("mask_token", "<mask>")
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    if is_llama and not add_bos_and_eos:
        check_add_end(check, named)
    first = around[0] if len(around) == 1 else None
    start, add_start = read_add_start(check, named, first)
    named_more = [token for token in more if token not in sentinels]
    roles = {
        role: get_content(named.get(theirs, default)) for role, (theirs, default) in ROLES.items()
    }
    return {
        **found,
        **roles,
        "special_tokens": [*named_more, *special.values()],
        "start_token": start,
        "add_start_token": add_start and not add_bos_and_eos,
        "add_bos_and_eos": add_bos_and_eos,
    }, added


def _read_class(named):
    """The class of transformers that a folder names, without "Fast"; None if it names none."""
    name = named.get("tokenizer_class")
    return name.removesuffix("Fast") if isinstance(name, str) else None


def _read_model(folder, form, class_name, special):
    """Finds the model.

    Returns:
        dict with `model` and `num_sentinels`, which may be None; and the class of transformers as
        which it is read.
    """
    present = {theirs: name for theirs, name in _MODEL_FILES.items() if (folder / name).is_file()}
    if present:
        # A folder may have a class of its own, and the file of another one.
        theirs = class_name if class_name in present else next(iter(present))
        data = read_bytes(folder / present[theirs], MAX_BYTES)
        if class_name == "XLMRobertaTokenizer" or theirs == "XLMRobertaTokenizer":
            try:
                data = _number_as_xlm_roberta(data)
            except ValueError as error:
                raise ValueError(
                    f"{present[theirs]} must be a SentencePiece model of XLM-RoBERTa. "
                    f"Received: {str(folder)!r}, and {error}."
                ) from error
            return {"model": data, "num_sentinels": 0}, "XLMRobertaTokenizer"
        if theirs == "LlamaTokenizer":
            return {"model": add_control_pieces(data, special), "num_sentinels": 0}, theirs
        return {"model": data, "num_sentinels": None}, theirs
    if not form:
        raise FileNotFoundError(
            f"`folder` must hold {', '.join(_MODEL_FILES.values())} or tokenizer.json. "
            f"Received: {str(folder)!r}."
        )
    model = form.get("model")
    if isinstance(model, dict) and model.get("type", "BPE") == "BPE":
        return read_pair_form(folder / "tokenizer.json", _KIND), "LlamaTokenizer"
    found = read_fast_form(folder / "tokenizer.json", _KIND)
    return found, class_name if class_name == "XLMRobertaTokenizer" else "T5Tokenizer"


def _read_around(fast, form, named, class_name):
    """What stands before a text, or around it: a tuple of no, one or two tokens."""
    if class_name == "XLMRobertaTokenizer":
        # As in transformers, the class decides and not `tokenizer.json`.
        return tuple(
            get_content(named.get(role)) or _XLM_ROBERTA_ROLES[role]
            for role in ("bos_token", "eos_token")
        )
    check, finish = FileCheck(fast, _KIND), form.get("post_processor")
    bos_and_eos = read_bos_and_eos(check, finish)
    if bos_and_eos is not None:
        return bos_and_eos
    if class_name != "LlamaTokenizer":
        return ()
    # Without a `tokenizer.json` prompts have a start.
    start = read_start(check, finish) if form else get_content(named.get("bos_token")) or "<s>"
    return () if start is None else (start,)
