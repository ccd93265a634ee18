"""Zero-shot classification by entailment."""

import numpy as np

from ..prompts import list_texts
from .packing import count_special_tokens
from .text_reading import (
    TextReading,
    check_finite,
    check_label_choice,
    check_size,
    choose_labels,
    softmax,
    warn_of_truncation,
)

__all__ = ["ZeroShotClassifier"]

_BATCH_SIZE = 32


class ZeroShotClassifier(TextReading):
    """Classifies texts with labels that are named in the call; see `lmzoo.tasks`.

    Attributes:
        template: str with one `{}`, which the label replaces.
    """

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        options = self.manifest.task_options
        self.template, count = options["template"], len(options["labels"])
        self._entailment, self._contradiction = options["entailment"], options["contradiction"]
        if self.template.count("{}") != 1:
            raise ValueError(
                "`template` must have one {}, where the label stands. Received: "
                f"template={self.template!r:.80}."
            )
        for index in (self._entailment, self._contradiction):
            if index is not None and index >= count:
                raise ValueError(f"A label's id must be below {count}. Received: {index}.")

    def classify(
        self, texts, labels, *, multi_label=False, top_k=None, threshold=0.5, batch_size=None
    ):
        """Gives labels and scores.

        Args:
            texts: str or list of str. One that is too long loses its end, and a warning says how
                many do; labels are never cut.
            labels: list of str. The candidates.
            multi_label: bool. Whether each label is judged alone, so that several may fit, or none.
            top_k: int or None. How many labels of a text to give, the best first; None for the best
                one, or with `multi_label` for all from `threshold` on.
            threshold: float. The lowest score of a label with `multi_label`.
            batch_size: int or None. Pairs of text and label that are computed together; None for
                32. The labels of a text stay together.
        Returns:
            dict with `label` str and `score` float in [0, 1]; a list of them with `top_k` or
            `multi_label`; for a list of texts, a list of these.
        Raises:
            TypeError: if a text or a label is not a str, or `labels` is not a list.
            ValueError: if there are no labels, one is empty or stands twice, a number is out of its
                range, the model cannot judge labels alone, or a label leaves no room for a text.
        """
        check_label_choice(top_k, threshold)
        check_size(batch_size)
        if multi_label and self._contradiction is None:
            raise ValueError(
                "`multi_label` must be False where the model has no label 'contradiction'. "
                f"Received: multi_label={multi_label!r}."
            )
        labels = _list_labels(labels)
        listed, is_single = self.read_texts(texts)
        before, behind = self.template.split("{}")
        hypotheses = [self.tokenize(f"{before}{label}{behind}") for label in labels]
        special = count_special_tokens(self.tokenizer, 2, **self._special)
        rooms = [self.sequence_length - special - len(ids) for ids in hypotheses]
        if min(rooms) < 1:
            raise ValueError(
                f"`labels` must leave room for a text in {self.sequence_length} tokens with the "
                f"template. Received: {max(map(len, hypotheses))} tokens."
            )
        scores, are_truncated = self._score(listed, hypotheses, rooms, batch_size)
        results = []
        for text, row in zip(listed, scores, strict=True):
            check_finite(row, text)
            found = self._weigh(row, multi_label)
            results.append(choose_labels(labels, found, top_k, threshold if multi_label else None))
        if listed:
            warn_of_truncation(are_truncated, self.sequence_length)
        return results[0] if is_single else results

    def _score(self, texts, hypotheses, rooms, batch_size):
        """The logits of each text, (L, C), and whether it was truncated."""
        size = max(1, (batch_size or _BATCH_SIZE) // len(hypotheses))
        scores, are_truncated = [None] * len(texts), [False] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for start in range(0, len(order), size):
            chosen, rows = order[start : start + size], []
            for index in chosen:
                ids = self.tokenize(texts[index])
                are_truncated[index] = len(ids) > min(rooms)
                # Only the text is cut: labels that are cut could become equal.
                pairs = zip(hypotheses, rooms, strict=True)
                rows += [self.pack([ids[:room], other]) for other, room in pairs]
            outputs = self.run_rows(rows).reshape(len(chosen), len(hypotheses), -1)
            for index, output in zip(chosen, outputs, strict=True):
                scores[index] = output
        return scores, are_truncated

    def _weigh(self, logits, multi_label):
        """The scores of a text's labels: logits (L, C) -> float32 (L,)."""
        entailed = logits[:, self._entailment]
        if self._contradiction is not None and (multi_label or len(logits) == 1):
            # A softmax of two is a sigmoid of their difference.
            return 1 / (1 + np.exp(logits[:, self._contradiction] - entailed))
        return softmax(entailed)


def _list_labels(labels):
    if isinstance(labels, str):
        raise TypeError(f"`labels` must be a list of str. Received: labels={labels!r}.")
    labels = list_texts(labels, "labels")
    if not labels or "" in labels:
        raise ValueError(f"`labels` must hold names. Received: labels={labels}.")
    if len(set(labels)) < len(labels):
        raise ValueError(f"`labels` must hold each name once. Received: labels={labels}.")
    return labels
