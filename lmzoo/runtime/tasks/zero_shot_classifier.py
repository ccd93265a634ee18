"""Zero-shot classification by entailment."""

import numpy as np

from ..predictions import ZeroShotClassification
from .packing import count_special_tokens
from .text_reading import TextReading, check_finite, rank_labels, softmax, warn_of_truncation

__all__ = ["ZeroShotClassifier"]

_BATCH_SIZE = 32


class ZeroShotClassifier(ZeroShotClassification, TextReading):
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

    @property
    def supports_multi_label(self):
        """bool. Whether it can judge each label alone."""
        return self._contradiction is not None

    def rank_candidates(self, texts, labels, multi_label, batch_size):
        """See `ZeroShotClassification`."""
        before, behind = self.template.split("{}")
        hypotheses = [self.tokenize(f"{before}{label}{behind}") for label in labels]
        special = count_special_tokens(self.tokenizer, 2, **self._special)
        rooms = [self.sequence_length - special - len(ids) for ids in hypotheses]
        if min(rooms) < 1:
            raise ValueError(
                f"`labels` must leave room for a text in {self.sequence_length} tokens with the "
                f"template. Received: {max(map(len, hypotheses))} tokens."
            )
        scores, are_truncated = self._score(texts, hypotheses, rooms, batch_size)
        ranked = []
        for text, row in zip(texts, scores, strict=True):
            check_finite(row, text)
            ranked.append(rank_labels(labels, self._weigh(row, multi_label)))
        if texts:
            warn_of_truncation(are_truncated, self.sequence_length)
        return ranked

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
