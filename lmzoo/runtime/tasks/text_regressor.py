"""Text regression."""

import numpy as np

from .text_reading import TextReading, check_finite

__all__ = ["TextRegressor"]


class TextRegressor(TextReading):
    """Predicts numbers for texts; see `lmzoo.tasks.TextRegressor`."""

    @property
    def output_width(self):
        return self.manifest.task_options["num_targets"]

    def score(self, texts, pairs=None, batch_size=None):
        """Predicts the numbers of texts.

        Args:
            texts: str or list of str.
            pairs: str or list of str, the second text of each pair; or None.
            batch_size: int or None. Texts in one run; None for 32.
        Returns:
            float32 array (B,), or (B, num_targets) with several targets; for one text a float, or
            an array (num_targets,).
        Raises:
            TypeError: if a text is not a str or `batch_size` not an int.
            ValueError: if the lists differ in length, `batch_size` is not positive, or there is no
                tokenizer.
        """
        columns, is_single = self.read_columns(texts, pairs)

        def make_row(*texts):
            return self.pack([self.tokenize(text) for text in texts])

        results = [scores for _, scores in self.run_texts(columns, make_row, batch_size)]
        for text, scores in zip(columns[0], results, strict=True):
            check_finite(scores, text)
        num_targets = self.manifest.task_options["num_targets"]
        scores = np.array(results, np.float32).reshape(len(results), num_targets)
        if num_targets == 1:
            scores = scores[:, 0]
        if not is_single:
            return scores
        return float(scores[0]) if num_targets == 1 else scores[0]
