"""The tokens around a text, as `tokenizer.json` and `tokenizer_config.json` say them."""

from lmzoo.tokenizers.files.common import get_content

__all__ = [
    "check_add_end",
    "check_no_end",
    "make_bos_eos_template",
    "make_end_template",
    "make_template",
    "read_add_start",
    "read_bos_and_eos",
    "read_num_separators",
    "read_start",
]


def make_template(start, start_id):
    """Describes that a text begins with a token.

    Args:
        start: str.
        start_id: int. Its id.
    Returns:
        dict. A post-processor of `tokenizer.json`.
    """
    first, second = (
        [
            {"SpecialToken": {"id": start, "type_id": place}},
            {"Sequence": {"id": name, "type_id": place}},
        ]
        for place, name in enumerate("AB")
    )
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": [*first, *second],
        "special_tokens": {start: {"id": start, "ids": [start_id], "tokens": [start]}},
    }


def make_bos_eos_template(start, end, ids, num_separators):
    """Describes that a text stands between two tokens, as an encoder's.

    Args:
        start, end: str.
        ids: dict of str to int. With those of both.
        num_separators: int. How many end tokens stand between two texts.
    Returns:
        dict. A post-processor of `tokenizer.json`.
    """
    opening, closing = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (start, end))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [opening, first, closing],
        "pair": [opening, first, *[closing] * num_separators, second, closing],
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in (start, end)
        },
    }


def make_end_template(end, end_id):
    """Describes that a text ends with a token, as T5's.

    Args:
        end: str or None. If None, nothing stands behind a text.
        end_id: int or None. Its id.
    Returns:
        dict. A post-processor of `tokenizer.json`.
    """
    close = [] if end is None else [{"SpecialToken": {"id": end, "type_id": 0}}]
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    special = {} if end is None else {end: {"id": end, "ids": [end_id], "tokens": [end]}}
    return {
        "type": "TemplateProcessing",
        "single": [first, *close],
        "pair": [first, *close, second, *close],
        "special_tokens": special,
    }


def read_bos_and_eos(check, finish):
    """Reads which tokens an encoder's text stands between.

    Args:
        check: FileCheck. Of the file.
        finish: what stands as `post_processor`.
    Returns:
        start, end: two str; or None if a text does not both begin and end with a token.
    Raises:
        ValueError: if a template is broken.
    """
    for part in _list_parts(finish):
        if part.get("type") in ("RobertaProcessing", "BertProcessing"):
            named = [part.get("cls"), part.get("sep")]
            if not all(isinstance(pair, list) and pair for pair in named):
                check.refuse("post_processor.cls, sep", named, "tokens with their ids")
            names = [pair[0] for pair in named]
        elif part.get("type") == "TemplateProcessing":
            steps = _read_steps(check, part)
            if [list(step) for step in steps] != [["SpecialToken"], ["Sequence"], ["SpecialToken"]]:
                continue
            names = [_get_id(step["SpecialToken"]) for step in (steps[0], steps[2])]
        else:
            continue
        if not all(isinstance(name, str) for name in names):
            check.refuse("post_processor", names, "tokens with an `id`")
        return tuple(names)
    return None


def read_num_separators(check, post_processor):
    """Reads how many tokens stand between the texts of a pair.

    Args:
        check: FileCheck. Of the file.
        post_processor: what stands as `post_processor`, in which `read_bos_and_eos` finds tokens.
    Returns:
        int.
    Raises:
        ValueError: if it is not 1 or 2.
    """
    for part in _list_parts(post_processor):
        if part.get("type") in ("RobertaProcessing", "BertProcessing"):
            return 2 if part["type"] == "RobertaProcessing" else 1
        if part.get("type") == "TemplateProcessing":
            pair = part.get("pair") if isinstance(part.get("pair"), list) else []
            steps = [list(step) for step in pair if isinstance(step, dict)] if pair else []
            places = [place for place, step in enumerate(steps) if step == ["Sequence"]]
            # The library's default for a pair, where only `single` was given, is the bare texts.
            if len(steps) == len(places) == 2:
                return 1
            count = places[1] - places[0] - 1 if len(places) == 2 else None
            if count not in (1, 2):
                check.refuse("post_processor.pair", pair, "1 or 2 tokens between two texts")
            return count
    return 1


def read_start(check, finish):
    """Reads which token a text begins with.

    Args:
        check: FileCheck. Of the file.
        finish: what stands as `post_processor`.
    Returns:
        str, or None if a text begins with none, or if, as an encoder's, it ends with one too.
    Raises:
        ValueError: if a template is broken.
    """
    for part in _list_parts(finish):
        if part.get("type") != "TemplateProcessing":
            continue
        single = _read_steps(check, part)
        if [list(step) for step in single] == [["SpecialToken"], ["Sequence"]]:
            name = _get_id(single[0]["SpecialToken"])
            if not isinstance(name, str):
                check.refuse("post_processor.single", single, "a token with an `id`")
            return name
    return None


def check_no_end(check, post_processor):
    """Refuses a template that adds a token behind a text alone, which is to be continued.

    Args:
        check: FileCheck. Of the file.
        post_processor: what stands as `post_processor`.
    Raises:
        ValueError: if there is one, or if a template is broken.
    """
    for part in _list_parts(post_processor):
        if part.get("type") == "TemplateProcessing":
            kinds = [list(step) for step in _read_steps(check, part)]
            if kinds == [["Sequence"], ["SpecialToken"]]:
                check.refuse("post_processor.single", part["single"], "nothing behind a text")


def _list_parts(finish):
    parts = finish.get("processors") if isinstance(finish, dict) else None
    parts = parts if isinstance(parts, list) else [finish]
    return [part for part in parts if isinstance(part, dict)]


def _read_steps(check, template):
    single = template.get("single")
    if not isinstance(single, list) or not all(isinstance(step, dict) for step in single):
        check.refuse("post_processor.single", single, "a list of objects")
    return single


def _get_id(token):
    return token.get("id") if isinstance(token, dict) else None


def check_add_end(check, named):
    """Refuses that something is to stand behind a text that is to be continued.

    Args:
        check: FileCheck. Of `tokenizer_config.json`.
        named: dict, as `read_named` gives it.
    Raises:
        ValueError: if `add_eos_token` is true.
    """
    check.expect("add_eos_token", named.get("add_eos_token"), (None, False))


def read_add_start(check, named, start):
    """Decides which token a text begins with: `add_bos_token` counts more than a template.

    Args:
        check: FileCheck. Of `tokenizer_config.json`.
        named: dict, as `read_named` gives it.
        start: str or None. What a template puts before a text.
    Returns:
        start_token: str or None. The template's, or else the one that is named.
        add_start_token: bool.
    Raises:
        ValueError: if the two files name different tokens, or none where one is asked for.
    """
    role = get_content(named.get("bos_token"))
    if start is not None and role not in (None, start):
        check.refuse("bos_token", role, f"{start!r}, which tokenizer.json puts before a text,")
    wanted = named.get("add_bos_token")
    check.expect("add_bos_token", wanted, (None, False, True))
    role = start if role is None else role
    if wanted and role is None:
        check.refuse("bos_token", role, "a token, as `add_bos_token` is true,")
    if wanted is None:
        wanted = start is not None
    return role, bool(wanted)
