"""The answer of a classifier: how many labels of a text it has, and with which scores."""

__all__ = ["check_label_choice", "choose_labels"]


def check_label_choice(top_k, threshold):
    """Raises ValueError unless `top_k` is a positive int or None, and `threshold` from 0 to 1."""
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"`top_k` must be a positive int. Received: top_k={top_k!r}.")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError(f"`threshold` must be from 0 to 1. Received: threshold={threshold!r:.60}.")


def choose_labels(result, top_k, threshold=None):
    """The labels to give of those of a text.

    Args:
        result: dict of arrays: `labels` bytes (C,), the best first, and `scores` float (C,).
        top_k: int or None. How many to give.
        threshold: float or None. Without `top_k`, the lowest score to give; None to give the best
            label alone.
    Returns:
        dict of `label` str and `score` float, or a list of them where there may be several.
    """
    found = [
        {"label": label.decode("utf-8"), "score": float(score)}
        for label, score in zip(result["labels"], result["scores"], strict=True)
    ]
    if top_k is not None:
        return found[:top_k]
    if threshold is not None:
        return [each for each in found if each["score"] >= threshold]
    return found[0]
