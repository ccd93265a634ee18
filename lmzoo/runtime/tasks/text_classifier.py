"""Text classification."""

import numpy as np

from .text_reading import TextReading, check_finite, check_label_choice, choose_labels, softmax

__all__ = ["TextClassifier"]


class TextClassifier(TextReading):
    """Classifies texts, or pairs of texts; see `lmzoo.tasks.TextClassifier`.

    Attributes:
        labels: tuple of str. The names of the classes, by id.
        multi_label: bool. Whether each class is a decision of its own.
    """

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self.labels = self.manifest.task_options["labels"]
        self.multi_label = self.manifest.task_options["multi_label"]

    def classify(self, texts, pairs=None, *, top_k=None, threshold=0.5, batch_size=None):
        """Predicts labels and their probabilities.

        Args:
            texts: str or list of str.
            pairs: str or list of str, the second text of each pair; or None.
            top_k: int or None. The number of labels to return for a text, the best first. None
                returns the best one, or with `multi_label` all whose score is at least `threshold`.
            threshold: float in [0, 1]. With `multi_label`, the lowest score to return.
            batch_size: int or None. Texts in one run; None for 32.
        Returns:
            dict with `label` str and `score` float in [0, 1]. A list of such dicts with `top_k` or
            `multi_label`. For a list of texts, a list of these.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if the lists differ in length, a number is out of its range or there is no
                tokenizer.
        """
        check_label_choice(top_k, threshold)
        columns, is_single = self.read_columns(texts, pairs)

        def make_row(*texts):
            return self.pack([self.tokenize(text) for text in texts])

        results, threshold = [], threshold if self.multi_label else None
        outputs = self.run_texts(columns, make_row, batch_size)
        for text, (_, logits) in zip(columns[0], outputs, strict=True):
            # A score that is not finite comes of a logit that is not.
            check_finite(logits, text)
            scores = 1 / (1 + np.exp(-logits)) if self.multi_label else softmax(logits)
            results.append(choose_labels(self.labels, scores, top_k, threshold))
        return results[0] if is_single else results
