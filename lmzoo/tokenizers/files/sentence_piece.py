"""A SentencePiece tokenizer as Hugging Face files, both ways."""

from lmzoo.json_files import read_bytes, read_json, write_bytes, write_json
from lmzoo.tokenizers.files.added_tokens import (
    add_control_pieces,
    find_added_special,
    list_added_tokens,
)
from lmzoo.tokenizers.files.common import (
    FileCheck,
    describe_special,
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
from lmzoo.tokenizers.sentence_piece.model import MAX_BYTES

__all__ = ["ROLES", "read_sentence_piece_files", "write_sentence_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and T5's own.
ROLES = {
    "unknown_token": ("unk_token", "<unk>"),
    "start_token": ("bos_token", None),
    "end_token": ("eos_token", "</s>"),
    "pad_token": ("pad_token", "<pad>"),
}
# The same where the file is called as Llama's and Mistral's.
_LLAMA_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}
_KIND = "the SentencePiece of T5 or Llama"
# What transformers adds where the files do not say it.
_NUM_SENTINELS = 100


def write_sentence_piece_files(folder, tokenizer, vocabulary):
    """Writes the model, the two small files and, where it says the same, `tokenizer.json`.

    The model is called `tokenizer.model` where it has Llama 2's form, else `spiece.model`.

    Args:
        folder: pathlib.Path.
        tokenizer: SentencePieceTokenizer.
        vocabulary: SentencePieceVocabulary. Its own.
    """
    roles = _name_roles(tokenizer)
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    # Sentinels of the model's own are no added tokens: they have a space before them there.
    added = {vocabulary.ids[token]: describe_special(token) for token in vocabulary.special_tokens}
    if vocabulary.has_sentinels:
        added = {index: added[index] for index in added if index not in vocabulary.sentinel_ids}
    behind = [] if vocabulary.has_sentinels else list(vocabulary.sentinel_ids)
    own = {vocabulary.tokens[index] for index in vocabulary.own_special_ids()}
    more = [vocabulary.tokens[index] for index in behind]
    more += [token for token in vocabulary.special_tokens if token not in {*own, *more}]
    pairs = can_be_pairs(vocabulary)
    write_bytes(folder / ("tokenizer.model" if pairs else "spiece.model"), vocabulary.data)
    write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": more})
    write_json(
        folder / "tokenizer_config.json",
        {
            **_name_class(tokenizer, pairs, len(behind)),
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
        return roles
    start, end = tokenizer.id_to_token(tokenizer.start_token_id), tokenizer.end_token
    mask = "<mask>" if "<mask>" in tokenizer.special_tokens else None
    return {**roles, "bos_token": start, "cls_token": start, "sep_token": end, "mask_token": mask}


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
    """Reads `spiece.model`, or `tokenizer.model`, or `tokenizer.json` if there is neither.

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
    found, is_llama = _read_model(folder, form, special)
    around = _read_around(fast, form, named, is_llama)
    add_bos_and_eos = len(around) == 2
    if found["num_sentinels"] is None:
        found["num_sentinels"] = len(sentinels) or (0 if add_bos_and_eos else _NUM_SENTINELS)
    if is_llama:
        named = {**_LLAMA_ROLES, **named}
    elif "extra_ids" in named:
        found["num_sentinels"] = named["extra_ids"]
    if add_bos_and_eos:
        named = {**named, **dict(zip(("bos_token", "eos_token"), around, strict=True))}
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


def _read_model(folder, form, special):
    """Finds the model: `model` and `num_sentinels`, which may be None, and if it is as Llama's."""
    if (folder / "spiece.model").is_file():
        model = read_bytes(folder / "spiece.model", MAX_BYTES)
        return {"model": model, "num_sentinels": None}, False
    if (folder / "tokenizer.model").is_file():
        model = read_bytes(folder / "tokenizer.model", MAX_BYTES)
        return {"model": add_control_pieces(model, special), "num_sentinels": 0}, True
    if not form:
        raise FileNotFoundError(
            "`folder` must hold spiece.model, tokenizer.model or tokenizer.json. "
            f"Received: {str(folder)!r}."
        )
    model = form.get("model")
    is_pairs = isinstance(model, dict) and model.get("type", "BPE") == "BPE"
    read_form = read_pair_form if is_pairs else read_fast_form
    return read_form(folder / "tokenizer.json", _KIND), is_pairs


def _read_around(fast, form, named, is_llama):
    """What stands before a text, or around it: a tuple of no, one or two tokens."""
    check, finish = FileCheck(fast, _KIND), form.get("post_processor")
    bos_and_eos = read_bos_and_eos(check, finish)
    if bos_and_eos is not None:
        return bos_and_eos
    if not is_llama:
        return ()
    # Without a `tokenizer.json` prompts have a start.
    start = read_start(check, finish) if form else get_content(named.get("bos_token")) or "<s>"
    return () if start is None else (start,)
