"""Text classification."""

import numpy as np

from ..predictions import TextClassification
from .text_reading import TextReading, check_finite, rank_labels, softmax

__all__ = ["TextClassifier"]


class TextClassifier(TextClassification, TextReading):
    """Classifies texts, or pairs of texts; see `lmzoo.tasks.TextClassifier`.

    Attributes:
        labels: tuple of str. The names of the classes, by id.
        multi_label: bool. Whether each class is a decision of its own.
    """

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self.labels = self.manifest.task_options["labels"]
        self.multi_label = self.manifest.task_options["multi_label"]

    def rank_labels(self, columns, batch_size):
        """See `TextClassification`."""

        def make_row(*texts):
            return self.pack([self.tokenize(text) for text in texts])

        ranked, outputs = [], self.run_texts(columns, make_row, batch_size)
        for text, (_, logits) in zip(columns[0], outputs, strict=True):
            # A score that is not finite comes of a logit that is not.
            check_finite(logits, text)
            scores = 1 / (1 + np.exp(-logits)) if self.multi_label else softmax(logits)
            ranked.append(rank_labels(self.labels, scores))
        return ranked
