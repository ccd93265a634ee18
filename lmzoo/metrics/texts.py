"""Argument checks and tokens of the metrics of generated texts."""

import re

__all__ = ["check_texts", "check_tokens", "list_references", "split_text"]

SPLITTERS = {
    "words": re.compile(r"\S+"),
    "characters": re.compile(r"\S"),
}


def split_text(text, tokens):
    """Cuts a text into tokens.

    Args:
        text: str.
        tokens: "words" (what spaces separate) or "characters" (all but spaces, for languages that
            have none).
    Returns:
        list of str.
    Raises:
        ValueError: if `tokens` is something else.
    Example:
        >>> split_text("to be", "words"), split_text("to be", "characters")
        (['to', 'be'], ['t', 'o', 'b', 'e'])
    """
    check_tokens(tokens)
    return SPLITTERS[tokens].findall(text)


def check_tokens(tokens):
    """Raises ValueError unless `tokens` is "words" or "characters"."""
    if tokens not in ("words", "characters"):
        raise ValueError(f"`tokens` must be 'words' or 'characters'. Received: tokens={tokens!r}.")


def check_texts(texts, name):
    """Refuses what is not a list of strings.

    Args:
        texts: anything.
        name: str. What the argument is called.
    Raises:
        TypeError: if `texts` is not a list or tuple of str.
    """
    if not isinstance(texts, (list, tuple)):
        raise TypeError(f"`{name}` must be a list of str. Received: {name}={texts!r}.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"`{name}` must be a list of str. Received: {name}[{index}]={text!r}.")


def list_references(predictions, references):
    """Checks predictions and references, and gives each prediction a list of references.

    Args:
        predictions: list of str.
        references: list of str, or of lists of str, one for each prediction.
    Returns:
        list of lists of str.
    Raises:
        TypeError: if something is not a str.
        ValueError: if the lists differ in length, or a prediction has no reference.
    """
    check_texts(predictions, "predictions")
    if not isinstance(references, (list, tuple)):
        raise TypeError(f"`references` must be a list. Received: references={references!r}.")
    if len(predictions) != len(references):
        raise ValueError(
            "`predictions` must be as many as `references`. Received: "
            f"{len(predictions)} predictions, {len(references)} references."
        )
    lists = [[entry] if isinstance(entry, str) else entry for entry in references]
    for index, entry in enumerate(lists):
        check_texts(entry, f"references[{index}]")
        if not entry:
            raise ValueError(
                "`references` must have a text for each prediction. Received: "
                f"references[{index}]={entry!r}."
            )
    return [list(entry) for entry in lists]
