"""Pictures of a classifier's predictions, drawn by matplotlib."""

import importlib
import pathlib

import numpy as np

from lmzoo.evaluation.class_statistics import NUM_BINS, fill_bins

__all__ = ["draw_confusion", "draw_reliability"]

# Beyond it no number in a cell can be read.
_MAX_NUMBERED = 20


def draw_confusion(path, confusion, labels, title):
    """Draws a confusion matrix.

    Args:
        path: str or path. A PNG file.
        confusion: int (C, C). Rows are true classes, columns predicted ones.
        labels: tuple of str. C names.
        title: str.
    Raises:
        ImportError: if matplotlib is missing.
    """
    size = len(labels)
    side = min(4 + 0.4 * size, 16)
    figure = _make_figure((side + 1, side))
    axes = figure.subplots()
    # Each row by its own size, so that rare classes show too.
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class")
    if size <= _MAX_NUMBERED:
        for (row, column), count in np.ndenumerate(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    step = 1 + (size - 1) // 40
    names = [_plain(label) for label in labels[::step]]
    axes.set_xticks(range(0, size, step), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(0, size, step), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(_plain(title), fontsize=11)
    figure.savefig(pathlib.Path(path), dpi=120, format="png")


def draw_reliability(path, confidences, is_right, title):
    """Draws accuracy by confidence, and how many predictions each bin of confidence has.

    Args:
        path: str or path. A PNG file.
        confidences: float (n,). The probability of each predicted class.
        is_right: bool (n,).
        title: str.
    Raises:
        ImportError: if matplotlib is missing.
    """
    confidence, accuracy, count = fill_bins(confidences, is_right)
    is_filled = count > 0
    centers = (np.arange(NUM_BINS) + 0.5) / NUM_BINS
    figure = _make_figure((5, 6))
    axes, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    accuracy = accuracy[is_filled] / count[is_filled]
    axes.bar(centers[is_filled], accuracy, 0.9 / NUM_BINS, color="C0", label="accuracy")
    means = confidence[is_filled] / count[is_filled]
    axes.plot(means, accuracy, "o", color="C1", markersize=4, label="at its mean confidence")
    axes.plot([0, 1], [0, 1], "--", color="0.5", label="perfect calibration")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.set_title(_plain(title), fontsize=11)
    axes.legend(fontsize=8, loc="upper left")
    below.bar(centers, count, 0.9 / NUM_BINS, color="0.6")
    below.set_ylabel("predictions")
    below.set_xlabel("confidence")
    below.set_xlim(0, 1)
    figure.savefig(pathlib.Path(path), dpi=120, format="png")


def _make_figure(size):
    """A figure without pyplot, which has no window and no state of the process.

    Raises:
        ImportError: if matplotlib is missing.
    """
    try:
        figure = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError(
            "Pictures must have matplotlib to draw them. Received: no module "
            f"{error.name!r}. Run `pip install lmzoo[report]`."
        ) from error
    return figure.Figure(figsize=size, layout="constrained")


def _plain(text):
    """A text without the dollar signs that matplotlib would read as formulas."""
    return text.replace("$", r"\$")
