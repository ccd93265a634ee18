"""Labels of texts and of tokens."""

from ..prompts import check_batch_size, read_columns

__all__ = [
    "TextClassification",
    "TokenClassification",
    "ZeroShotClassification",
    "check_label_choice",
    "choose_labels",
]


class TextClassification:
    """Gives a task `classify`.

    The task has `multi_label` and `rank_labels(columns, batch_size)`: for each text of the one or
    two columns, all labels as dicts of `label` and `score`, the best first.
    """

    def classify(self, texts, pairs=None, *, top_k=None, threshold=0.5, batch_size=None):
        """Predicts labels and their probabilities.

        Args:
            texts: str or list of str.
            pairs: str or list of str, the second text of each pair; or None.
            top_k: int or None. The number of labels to return for a text, at most C, the best
                first. None returns the best one, or with `multi_label` all whose score is at least
                `threshold`.
            threshold: float in [0, 1]. With `multi_label`, the lowest score to return.
            batch_size: int or None. Texts in one forward pass; None for 32.
        Returns:
            dict with `label` str and `score` float in [0, 1]. A list of such dicts with `top_k` or
            `multi_label`. For a list of texts, a list of these.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if the lists differ in length, a number is out of its range or there is no
                tokenizer.
        """
        check_label_choice(top_k, threshold)
        columns, is_single = read_columns(self.read_texts, texts, pairs)
        threshold = threshold if self.multi_label else None
        ranked = self.rank_labels(columns, batch_size)
        results = [choose_labels(found, top_k, threshold) for found in ranked]
        return results[0] if is_single else results


class ZeroShotClassification:
    """Gives a task `classify` with labels that are named in the call.

    The task has `supports_multi_label` and `rank_candidates(texts, labels, multi_label,
    batch_size)`, which gives what `rank_labels` of a `TextClassification` gives.
    """

    def classify(
        self, texts, labels, *, multi_label=False, top_k=None, threshold=0.5, batch_size=None
    ):
        """Gives labels and scores.

        Args:
            texts: str or list of str. One that is too long loses its end, and a warning says how
                many do; labels are never cut.
            labels: list of str. The candidates.
            multi_label: bool. Whether each label is judged alone, so that several may fit, or none.
                Only with an entailment model.
            top_k: int or None. How many labels of a text to give, the best first; None for the best
                one, or with `multi_label` for all from `threshold` on.
            threshold: float. The lowest score of a label with `multi_label`.
            batch_size: int or None. Pairs of text and label that are computed together; None for
                32. The labels of a text stay together.
        Returns:
            dict with `label` str and `score` float in [0, 1]; a list of them with `top_k` or
            `multi_label`; for a list of texts, a list of these. The scores of a text add up to 1
            unless `multi_label`, or there is one label alone, which an entailment model then weighs
            against its contradiction.
        Raises:
            TypeError: if a text or a label is not a str, or `labels` is not a list.
            ValueError: if there are no labels, one is empty or stands twice, a number is out of its
                range, or the model cannot judge labels alone. If a label leaves no room for a text,
                ValueError or, in a graph, tf.errors.InvalidArgumentError.
        """
        check_label_choice(top_k, threshold)
        check_batch_size(batch_size)
        if multi_label and not self.supports_multi_label:
            raise ValueError(
                "`multi_label` must be False where the model has no label 'contradiction'. "
                f"Received: multi_label={multi_label!r}."
            )
        labels = self._list_candidates(labels)
        texts, is_single = self.read_texts(texts)
        threshold = threshold if multi_label else None
        ranked = self.rank_candidates(texts, labels, bool(multi_label), batch_size)
        results = [choose_labels(found, top_k, threshold) for found in ranked]
        return results[0] if is_single else results

    def _list_candidates(self, labels):
        if isinstance(labels, str):
            raise TypeError(f"`labels` must be a list of str. Received: labels={labels!r}.")
        labels, _ = self.read_texts(labels, "labels")
        if not labels or "" in labels:
            raise ValueError(f"`labels` must hold names. Received: labels={labels}.")
        if len(set(labels)) < len(labels):
            raise ValueError(f"`labels` must hold each name once. Received: labels={labels}.")
        return labels


class TokenClassification:
    """Gives a task `tag`.

    The task has `find_spans(texts, batch_size)`, the spans of each text, and `find_tags(rows,
    batch_size)`, the tags of each list of words.
    """

    def tag(self, texts, batch_size=None):
        """Finds the spans of texts, or tags lists of words.

        Args:
            texts: str or list of str; or a list of lists of words.
            batch_size: int or None. Texts in one forward pass; None for 32.
        Returns:
            For a text, a list of spans, each a dict of `text` str, `label` str (the type, such as
            "PER"), `start` and `end` int (in characters) and `score` float (the mean probability
            of its words' tags). For a list of words, the list of their tags. Words beyond
            `sequence_length` have "O", or the first label where there is no "O". For several texts,
            a list of these. One warning counts the truncated texts.
        Raises:
            TypeError: if a text is neither a str nor a list of str.
            ValueError: if there is no tokenizer.
        """
        texts = self.to_lists(texts)
        if isinstance(texts, list | tuple) and any(isinstance(row, list | tuple) for row in texts):
            for index, words in enumerate(texts):
                if not isinstance(words, list | tuple):
                    raise TypeError(
                        "`texts` must be texts, or a list of words each. Received: "
                        f"{words!r:.60} at index {index} among lists of words."
                    )
            rows = [self.read_texts(words, "words")[0] for words in texts]
            return self.find_tags(rows, batch_size)
        texts, is_single = self.read_texts(texts)
        spans = self.find_spans(texts, batch_size)
        return spans[0] if is_single else spans

    def to_lists(self, texts):
        """Lists in place of other arguments that the task takes."""
        return texts


def check_label_choice(top_k, threshold):
    """Raises ValueError unless `top_k` is a positive int or None, and `threshold` from 0 to 1."""
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"`top_k` must be a positive int. Received: top_k={top_k!r}.")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError(f"`threshold` must be from 0 to 1. Received: threshold={threshold!r:.60}.")


def choose_labels(found, top_k, threshold=None):
    """Selects the labels of a text that a prediction returns.

    Args:
        found: list of dict of `label` str and `score` float, the best first.
        top_k: int or None. The number of labels to return.
        threshold: float or None. Without `top_k`, the lowest score to return; None to return the
            best label alone.
    Returns:
        dict of `label` and `score`, or a list of them where there may be several.
    """
    if top_k is not None:
        return found[:top_k]
    if threshold is not None:
        return [each for each in found if each["score"] >= threshold]
    return found[0]
