"""Text regression."""

from ..predictions import TextRegression
from .text_reading import TextReading, check_finite

__all__ = ["TextRegressor"]


class TextRegressor(TextRegression, TextReading):
    """Predicts numbers for texts; see `lmzoo.tasks.TextRegressor`."""

    @property
    def num_targets(self):
        """int. How many numbers a text has."""
        return self.manifest.task_options["num_targets"]

    @property
    def output_width(self):
        return self.num_targets

    def predict_numbers(self, columns, batch_size):
        """See `TextRegression`."""

        def make_row(*texts):
            return self.pack([self.tokenize(text) for text in texts])

        results = [scores for _, scores in self.run_texts(columns, make_row, batch_size)]
        for text, scores in zip(columns[0], results, strict=True):
            check_finite(scores, text)
        return results
