"""What an evaluation found: scores with intervals, as a table, as JSON and as pictures."""

import pathlib
import typing

import numpy as np

from lmzoo.evaluation.drawing import draw_confusion, draw_reliability
from lmzoo.evaluation.tables import format_score, make_table
from lmzoo.json_files import write_json

__all__ = ["Evaluation", "Score"]


class Score(typing.NamedTuple):
    """The number of a metric.

    value: float.
    low, high: float or None. Its confidence interval; None where there is a single row.
    num_rows: int. How many rows were resampled.
    unit: str. What they are: "rows", "documents", "windows" or "queries".
    higher_is_better: bool or None. None where neither end is better.
    """

    value: float
    low: float | None
    high: float | None
    num_rows: int
    unit: str
    higher_is_better: bool | None


class Evaluation:
    """The scores of one model on one set of rows; `print` shows them as a table.

    Attributes:
        name: str. The model.
        scores: dict of metric to Score.
        outputs: list of Outputs. What was predicted, beside what is true.
        settings: Settings. How it was evaluated.
        rows_digest: str. A fingerprint of the rows.
        statistics: dict of metric to (Metric, statistic, Outputs), for `lmzoo.evaluation.compare`.
    """

    def __init__(self, name, scores, outputs, settings, rows_digest, statistics):
        self.name = name
        self.scores = scores
        self.outputs = outputs
        self.settings = settings
        self.rows_digest = rows_digest
        self.statistics = statistics

    def __str__(self):
        share = f"{self.settings.confidence:.0%} interval"
        rows = [
            (name, *format_score(score), f"{score.num_rows} {score.unit}")
            for name, score in self.scores.items()
        ]
        return make_table([self.name, "value", share, "of"], rows)

    def __repr__(self):
        values = ", ".join(f"{name}={score.value:.4g}" for name, score in self.scores.items())
        return f"Evaluation({self.name}: {values})"

    def to_dict(self):
        """The scores and how they came about, of values that JSON has."""
        return {
            "model": self.name,
            "scores": {name: score._asdict() for name, score in self.scores.items()},
            "confidence": self.settings.confidence,
            "num_resamples": self.settings.num_resamples,
            "seed": self.settings.seed,
            "rows_digest": self.rows_digest,
        }

    def to_json(self, path):
        """Writes `to_dict` to a file, atomically.

        Args:
            path: str or path.
        Raises:
            OSError: if it cannot be written.
        """
        write_json(pathlib.Path(path), self.to_dict())

    @property
    def confusion(self):
        """int (C, C), the rows of each true and predicted class; None without single classes."""
        for outputs in self.outputs:
            if "true_ids" in outputs.columns:
                size, columns = len(outputs.labels), outputs.columns
                cells = size * columns["true_ids"] + columns["predicted_ids"]
                return np.bincount(cells, minlength=size * size).reshape(size, size)
        return None

    def draw_confusion_matrix(self, path):
        """Draws the confusion matrix of a classifier as a PNG file.

        Args:
            path: str or path.
        Raises:
            ImportError: if matplotlib is missing; `pip install lmzoo[report]`.
            ValueError: if rows have no single classes.
        """
        outputs = self._find_classes("A confusion matrix")
        draw_confusion(path, self.confusion, outputs.labels, self.name)

    def draw_reliability_diagram(self, path):
        """Draws accuracy by confidence as a PNG file, in the bins of the calibration error.

        Args, Raises: as `draw_confusion_matrix`.
        Reference: Guo et al. 2017, https://arxiv.org/abs/1706.04599, figure 1.
        """
        columns = self._find_classes("A reliability diagram").columns
        is_right = columns["true_ids"] == columns["predicted_ids"]
        draw_reliability(path, columns["scores"], is_right, self.name)

    def _find_classes(self, what):
        for outputs in self.outputs:
            if "true_ids" in outputs.columns:
                return outputs
        raise ValueError(
            f"{what} must have a model that gives each row one class. Received: {self.name}, with "
            f"the metrics {', '.join(self.scores)}."
        )
