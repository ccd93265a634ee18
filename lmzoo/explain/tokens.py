"""The text of a request as the tokens that a model reads, each with its place in the text."""

import typing
import unicodedata

import tensorflow as tf

from lmzoo.data.corpus.packing import count_special_tokens, pack
from lmzoo.text_files.checks import check_unicode

__all__ = ["Reading", "Token", "group_words", "read"]

# What stands for white space in the tokens of vocabularies.
_VISIBLE = str.maketrans({"Ġ": "␣", "▁": "␣", "Ċ": "⏎", "č": "⏎", "ĉ": "⇥", "\n": "⏎", "\t": "⇥"})
# Where words are written without spaces: kana and Chinese characters.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
# How many texts a task reads at once, by what it predicts.
_MOST_TEXTS = {
    **dict.fromkeys(("classes", "class_sets", "numbers", "number_rows", "answers"), 2),
    **dict.fromkeys(("tags", "spans", "embeddings", "masked_tokens"), 1),
}


class Token(typing.NamedTuple):
    """One token of a text.

    Attributes:
        text: str. The characters that it stands for; the vocabulary's own form where it stands for
            none alone.
        start, end: int. Where these characters are in the text; -1 for a special token.
        part: "text", "pair", "target", "prefix" or "special". Which text it belongs to.
    """

    text: str
    start: int
    end: int
    part: str


class Reading(typing.NamedTuple):
    """What a model reads of a request, without padding.

    Attributes:
        inputs: dict of tensors (1, T), the inputs of the backbone.
        tokens: list of Token, those of the encoder, or of a decoder alone.
        target_tokens: list of Token, those of the decoder beside an encoder; else None.
        texts: dict of part to str.
    """

    inputs: dict
    tokens: list
    target_tokens: list | None
    texts: dict


def read(task, text, pair=None, target=None, max_new_tokens=32, max_tokens=None):
    """Reads a text as a task reads it.

    Args:
        task: a task of `lmzoo.tasks` with a tokenizer.
        text: str.
        pair: str or None. The second text of a classifier or regressor; the context of a question.
        target: str or None. What follows the text: the continuation of a prompt, or the target of
            an encoder-decoder, None there for the text that it generates.
        max_new_tokens: int. The longest text that it generates.
        max_tokens: int or None. The most tokens, of an encoder-decoder on each side; None for what
            the model reads at once.
    Returns:
        Reading.
    Raises:
        TypeError: if `task` is no task, or a text not a str.
        ValueError: if a text is empty, too long, or one that the task does not read; or if there
            is no tokenizer.
    """
    _check_task(task)
    texts = {"text": text, "pair": pair, "target": target}
    texts = {name: one for name, one in texts.items() if one is not None or name == "text"}
    for name, one in texts.items():
        if not isinstance(one, str):
            raise TypeError(f"`{name}` must be a str. Received: {one!r:.60}.")
        check_unicode(name, one)
        if not one.strip():
            raise ValueError(f"`{name}` must not be empty. Received: {one!r:.60}.")
    unread = "pair" if task.is_generative else "target"
    if unread in texts:
        raise ValueError(
            f"`{unread}` must be None for a {type(task).__name__}. Received: {texts[unread]!r:.60}."
        )
    limit = task.max_sequence_length if task.is_generative else task.sequence_length
    limit = limit if max_tokens is None else min(limit, max_tokens)
    if not task.is_generative:
        return _read_texts(task, texts, limit)
    if not task.is_encoder_decoder:
        return _read_prompt(task, texts, limit)
    if target is None:
        texts["target"] = task.generate(text, max_new_tokens=max_new_tokens)
    return _read_source(task, texts, limit)


def _check_task(task):
    kind = getattr(task, "prediction_kind", None)
    if getattr(task, "backbone", None) is None or kind is None:
        raise TypeError(
            "`task` must be a task of lmzoo.tasks on a backbone. Received: a "
            f"{type(task).__name__}."
        )
    if task.tokenizer is None:
        raise ValueError(
            "`task` must have a tokenizer to read texts. Received: tokenizer=None, a "
            f"{type(task).__name__} that works on ids."
        )


def _read_texts(task, texts, limit):
    """Of a task that reads one text or two with special tokens around them."""
    kind = task.prediction_kind
    if len(texts) > _MOST_TEXTS[kind]:
        raise ValueError(
            f"`pair` must be None for a {type(task).__name__}. Received: {texts['pair']!r:.60}."
        )
    if kind == "answers" and len(texts) == 1:
        raise ValueError("`pair` must be the context of the question. Received: pair=None.")
    allowed = list(task.allow_special)
    if kind == "masked_tokens":
        allowed.append(task.tokenizer.mask_token)
    rows, lengths = [], []
    for number, text in enumerate(texts.values()):
        ids, starts, ends = task.tokenizer.tokenize_with_offsets([text], allowed)
        part = tf.fill(tf.shape(ids.flat_values), number)
        columns = [ids.flat_values, starts.flat_values, ends.flat_values, part]
        rows.append(ids.with_flat_values(tf.stack(columns, axis=-1)))
        lengths.append(int(ids.row_lengths()[0]))
    special = task.special_tokens
    length = sum(lengths) + count_special_tokens(task.tokenizer, len(rows), **special)
    _check_length("text", length, limit)
    inputs, features, _ = pack(rows, task.tokenizer, task.sequence_length, **special)
    # `pack` pads on the right.
    inputs = {name: value[:, :length] for name, value in inputs.items()}
    names = list(texts)
    places = [
        (start, end, "special" if number < 0 else names[number])
        for start, end, number in features[0, :length].numpy().tolist()
    ]
    tokens = _make_tokens(task.tokenizer, inputs["token_ids"][0].numpy(), places, texts)
    return Reading(inputs, tokens, None, texts)


def _read_prompt(task, texts, limit):
    """Of a decoder: the prompt and its continuation, as one text."""
    tokenizer, whole = task.tokenizer, "".join(texts.values())
    ids, starts, ends = (one.numpy().tolist() for one in tokenizer.tokenize_with_offsets(whole))
    border = len(texts["text"])
    places = [
        (start, end, "text")
        if start < border or "target" not in texts
        else (start - border, end - border, "target")
        for start, end in zip(starts, ends, strict=True)
    ]
    if tokenizer.add_start_token or not ids:
        ids, places = [tokenizer.start_token_id, *ids], [(-1, -1, "special"), *places]
    _check_length("text", len(ids), limit)
    inputs = _make_inputs(ids)
    # A token across the border ends in the target.
    tokens = _make_tokens(tokenizer, ids, places, {"text": whole, "target": texts.get("target")})
    return Reading(inputs, tokens, None, {**texts, "text": whole})


def _read_source(task, texts, limit):
    """Of an encoder-decoder: the source with its end token, and what the decoder reads."""
    tokenizer, sides = task.tokenizer, {}
    prefix = len(task.prefix)
    for part, text in (("text", task.prefix + texts["text"]), ("target", texts["target"])):
        ids, starts, ends = (
            one.numpy().tolist()
            for one in tokenizer.tokenize_with_offsets(text, list(task.allow_special))
        )
        shift = prefix if part == "text" else 0
        places = [
            (start - shift, end - shift, part) if start >= shift else (-1, -1, "prefix")
            for start, end in zip(starts, ends, strict=True)
        ]
        extra, place = task.start_token_id, (-1, -1, "special")
        if part == "text":
            ids, places = [*ids, tokenizer.end_token_id], [*places, place]
        else:
            ids, places = [extra, *ids], [place, *places]
        _check_length(part, len(ids), limit)
        sides[part] = ids, _make_tokens(tokenizer, ids, places, texts)
    inputs = {
        f"{stack}_{name}": value
        for stack, part in (("encoder", "text"), ("decoder", "target"))
        for name, value in _make_inputs(sides[part][0]).items()
    }
    return Reading(inputs, sides["text"][1], sides["target"][1], texts)


def _make_inputs(ids):
    return {
        "token_ids": tf.constant([ids], tf.int32),
        "padding_mask": tf.ones([1, len(ids)], tf.bool),
    }


def _check_length(name, length, limit):
    if length > limit:
        raise ValueError(
            f"`{name}` must have at most {limit} tokens. Received: {length} tokens, special ones "
            "included."
        )


def _make_tokens(tokenizer, ids, places, texts):
    tokens = []
    for token_id, (start, end, part) in zip(ids, places, strict=True):
        own = texts[part][start:end] if end > start >= 0 else ""
        if not own:
            # A vocabulary may be smaller than the table of embeddings.
            own = tokenizer.id_to_token(int(token_id))
            own = own if part == "special" else own.translate(_VISIBLE)
        tokens.append(Token(own, start, end, part))
    return tokens


def group_words(tokens, texts):
    """Joins the tokens of each word.

    Words are runs of letters, marks and digits; every other character is a word. Between Chinese
    characters, and between kana, the tokens of the tokenizer are the words.

    Args:
        tokens: list of Token.
        texts: dict of part to str.
    Returns:
        list of lists of int: the indices of the tokens of each word, special tokens left out.
    """
    groups = []
    for index, token in enumerate(tokens):
        if token.part == "special":
            continue
        before = tokens[index - 1] if index else None
        if groups and before.part == token.part and _continues(before, token, texts):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _continues(before, token, texts):
    if token.part not in texts:
        return True
    if before.start == token.start or token.start < before.end:
        # Several tokens for one character.
        return True
    if before.end != token.start or token.end <= token.start:
        return False
    return all(map(_is_letter, texts[token.part][token.start - 1 : token.start + 1]))


def _is_letter(character):
    is_unspaced = any(first <= ord(character) <= last for first, last in _UNSPACED)
    return unicodedata.category(character)[0] in "LMN" and not is_unspaced
