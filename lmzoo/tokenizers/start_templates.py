"""The token before a prompt, as `tokenizer.json` and `tokenizer_config.json` say it."""

from lmzoo.tokenizers.token_files import get_content

__all__ = ["make_template", "read_add_start", "read_start"]


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
    parts = finish.get("processors") if isinstance(finish, dict) else None
    for part in parts if isinstance(parts, list) else [finish]:
        if not isinstance(part, dict) or part.get("type") != "TemplateProcessing":
            continue
        single = part.get("single")
        if not isinstance(single, list) or not all(isinstance(step, dict) for step in single):
            check.refuse("post_processor.single", single, "a list of objects")
        if [list(step) for step in single] == [["SpecialToken"], ["Sequence"]]:
            token = single[0]["SpecialToken"]
            name = token.get("id") if isinstance(token, dict) else None
            if not isinstance(name, str):
                check.refuse("post_processor.single", single, "a token with an `id`")
            return name
    return None


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
