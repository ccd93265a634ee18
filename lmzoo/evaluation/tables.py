"""Tables of scores in plain text."""

__all__ = ["format_number", "format_score", "make_table"]


def make_table(header, rows):
    """Aligned columns: the first to the left, all others to the right.

    Args:
        header: list of str.
        rows: list of tuples of str, each as long as the header.
    Returns:
        str, without a newline at its end.
    Example:
        >>> print(make_table(["model", "value"], [("accuracy", "0.5"), ("f1", "0.25")]))
        model     value
        accuracy    0.5
        f1         0.25
    """
    lines = [tuple(header), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def format_number(number, like=None):
    """A number with four digits behind the point below 2, and fewer above.

    Args:
        number: float.
        like: float or None. Another number, whose digits it gets.
    """
    size = abs(number if like is None else like)
    if size >= 1e6:
        return f"{number:.4g}"
    return f"{number:.{4 if size < 2 else 2 if size < 1000 else 1}f}"


def format_score(score):
    """(value, interval) of a Score."""
    if score.low is None:
        return format_number(score.value), "-"
    low, high = (format_number(end, score.value) for end in (score.low, score.high))
    return format_number(score.value), f"{low} - {high}"
