"""One page of pictures of a run: loss, learning rate, gradient norm and throughput."""

import importlib.util

from lmzoo.runs.metrics_log import read_lines

__all__ = ["draw_report", "smooth"]

_PANELS = (
    ("loss", "loss"),
    ("learning_rate", "learning rate"),
    ("gradient_norm", "gradient norm, before clipping"),
    ("tokens_per_second", "tokens a second"),
)
# Points beyond this make no other picture and a slow one.
_MAX_POINTS = 5000


def draw_report(folder, report):
    """Writes `report.png`, where matplotlib is installed (`pip install lmzoo[report]`).

    Args:
        folder: pathlib.Path. Of the run; its logs are read.
        report: dict. What `make_report` gave.
    Returns:
        bool. Whether it was written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    from lmzoo.runs.report import list_rows

    lines = read_lines(folder / "metrics.jsonl")
    lines = lines[:: 1 + len(lines) // _MAX_POINTS]
    validation = read_lines(folder / "validation.jsonl")
    # A figure without pyplot has no window and no state of the process.
    figure = Figure(figsize=(11.7, 8.3), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[4, 1.25])
    for axes, (name, title) in zip(top.subplots(2, 2).flat, _PANELS, strict=True):
        points = [(line["step"], line[name]) for line in lines if line[name] is not None]
        axes.set_title(title, loc="left", fontsize=10)
        axes.grid(alpha=0.3)
        axes.set_xlabel("step")
        if not points:
            axes.text(0.5, 0.5, "not recorded", ha="center", transform=axes.transAxes)
            continue
        axes.plot(*zip(*points, strict=True), linewidth=0.6, alpha=0.4, color="C0")
        axes.plot(*zip(*smooth(points), strict=True), linewidth=1.5, color="C0", label="training")
        if name == "loss" and validation:
            held_out = [(line["step"], line["val_loss"]) for line in validation]
            axes.plot(
                *zip(*held_out, strict=True), "o-", markersize=3, color="C1", label="held out"
            )
            axes.legend(fontsize=9)
        if name == "tokens_per_second":
            axes.set_ylim(bottom=0)
    _write_rows(bottom, list_rows(report))
    figure.suptitle(folder.resolve().name, fontsize=12)
    figure.savefig(folder / "report.png", dpi=110)
    return True


def smooth(points):
    """The mean of each point and those around it, over a fiftieth of all points.

    Args:
        points: list of (float, float).
    Returns:
        list of (float, float).
    """
    reach = len(points) // 100
    found = []
    for index, (step, _) in enumerate(points):
        near = [value for _, value in points[max(0, index - reach) : index + reach + 1]]
        found.append((step, sum(near) / len(near)))
    return found


def _write_rows(figure, rows):
    """The numbers in three columns."""
    height = -(-len(rows) // 3)
    for index, (name, value) in enumerate(rows):
        column, row = divmod(index, height)
        y = 0.92 - 0.9 * row / height
        figure.text(0.02 + 0.33 * column, y, name, fontsize=8, color="0.35", va="top")
        figure.text(0.315 + 0.33 * column, y, value, fontsize=8, va="top", ha="right")
