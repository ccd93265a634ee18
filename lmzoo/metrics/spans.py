"""Spans of a tagged text and their scores, by the rules of conlleval.

A tag is "O" or ".", outside every span; or a prefix and a type, "B-PER". The prefixes are B (the
first word of a span), I (inside), E (the last one) and S (the only one). "[" and "]" are whole
spans of one word. So IOB1, IOB2, IOE and IOBES texts are all read, well formed or not.
"""

__all__ = ["find_spans", "is_boundary", "is_inside", "parse_tag", "score_counts", "span_scores"]

# Spans are cut before a tag that opens one and after a tag that closes one.
OPENING, CLOSING = ("B", "S", "[", "]"), ("E", "S", "[", "]")


def parse_tag(tag):
    """Takes a tag apart.

    Args:
        tag: str, such as "O", "B-PER" or "I".
    Returns:
        (prefix, type), both str; the type is "" where the tag has none, and None outside.
    Raises:
        ValueError: if `tag` is no tag.
    """
    prefix, dash, kind = tag.partition("-") if isinstance(tag, str) else ("", "", "")
    if tag in ("O", "."):
        return ("O", None)
    if tag in ("[", "]") or prefix in ("B", "I", "E", "S") and bool(dash) == bool(kind):
        return (prefix, kind)
    raise ValueError(
        "`tag` must be 'O' or a prefix of B, I, E, S and a type, as in 'B-PER'. "
        f"Received: tag={tag!r}."
    )


def is_inside(parsed):
    """Whether a parsed tag is part of a span."""
    return parsed[1] is not None


def is_boundary(previous, current):
    """Whether no span can hold both of two neighbouring parsed tags.

    A span ends between them if the first is inside one, and one begins if the second is. This is
    conlleval's pair of tables in one line. They differ in what no scheme writes: after an E tag,
    conlleval lets a B tag of the same type go on with the span that has ended; and a word tag
    without a type beside ".", "[" or "]" has only one of its end and its beginning there.
    """
    return previous[0] in CLOSING or current[0] in OPENING or previous[1] != current[1]


def find_spans(tags):
    """Lists the spans of one text.

    Args:
        tags: list of str, one for each word.
    Returns:
        list of (type, start, end), where `end` is the word after the last one.
    Raises:
        ValueError: if one is no tag.
    Example:
        >>> find_spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
        [('PER', 0, 2), ('LOC', 3, 4), ('LOC', 4, 5)]
    """
    spans, start, previous = [], 0, parse_tag("O")
    # An outside tag at the end closes the last span.
    for place, tag in enumerate([*tags, "O"]):
        current = parse_tag(tag)
        if is_boundary(previous, current):
            if is_inside(previous):
                spans.append((previous[1], start, place))
            start = place
        previous = current
    return spans


def span_scores(true_tags, predicted_tags):
    """Scores predicted spans: one is right if its first word, its last word and its type are.

    Args:
        true_tags: list of lists of str, a list for each text.
        predicted_tags: the same for the predictions.
    Returns:
        dict with float `precision`, `recall` and `f1` of all spans (0 where there are none), int
        `num_correct`, `num_true` and `num_predicted`, and `types`: for each type, in the order
        of the alphabet, a dict of the same six.
    Raises:
        ValueError: if the lists differ in length, or one holds what is no tag.
    Example:
        >>> scores = span_scores([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]])
        >>> scores["precision"], scores["recall"], scores["types"]["LOC"]["num_true"]
        (1.0, 0.5, 1)

    Reference: conlleval of the CoNLL-2000 shared task, Tjong Kim Sang and Buchholz 2000,
        https://aclanthology.org/W00-0726.
    """
    if len(true_tags) != len(predicted_tags):
        raise ValueError(
            "`predicted_tags` must have as many texts as `true_tags`. Received: "
            f"{len(true_tags)} true texts, {len(predicted_tags)} predicted texts."
        )
    counts = {}
    for index, (true, predicted) in enumerate(zip(true_tags, predicted_tags, strict=True)):
        if len(true) != len(predicted):
            raise ValueError(
                "`predicted_tags` must have a tag for each of `true_tags`. Received: "
                f"{len(true)} true tags, {len(predicted)} predicted tags in text {index}."
            )
        true_spans, predicted_spans = set(find_spans(true)), set(find_spans(predicted))
        spans = (true_spans & predicted_spans, true_spans, predicted_spans)
        for place, group in enumerate(spans):
            for kind, _, _ in group:
                counts.setdefault(kind, [0, 0, 0])[place] += 1
    return score_counts(counts)


def score_counts(counts):
    """Scores from counts.

    Args:
        counts: dict from type to the numbers of correct, true and predicted spans.
    Returns:
        The dict of `span_scores`.
    """
    total = [sum(numbers) for numbers in zip(*counts.values(), strict=True)] or [0, 0, 0]
    types = {kind: _score(*counts[kind]) for kind in sorted(counts)}
    return {**_score(*total), "types": types}


def _score(num_correct, num_true, num_predicted):
    return {
        "precision": num_correct / num_predicted if num_predicted else 0.0,
        "recall": num_correct / num_true if num_true else 0.0,
        "f1": 2 * num_correct / (num_true + num_predicted) if num_true + num_predicted else 0.0,
        "num_correct": num_correct,
        "num_true": num_true,
        "num_predicted": num_predicted,
    }
