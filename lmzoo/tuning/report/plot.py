"""The picture of a search: parallel coordinates, and what mattered."""

import importlib.util

from lmzoo.tuning.report.axes import make_axes

__all__ = ["draw_search"]


def draw_search(path, report):
    """Writes a PNG, where matplotlib is installed.

    Args:
        path: pathlib.Path.
        report: dict, as `make_report` gives it, with a trial that has a score.
    Returns:
        bool. Whether it was written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    axes, trials = make_axes(report)
    # A figure without pyplot has no window and no state of the process.
    figure = Figure(figsize=(11.7, 8.3), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[2, 1])
    colors = colormaps["viridis"]
    for index, trial in enumerate(trials):
        points = [
            (number, axis.places[index])
            for number, axis in enumerate(axes)
            if axis.places[index] is not None
        ]
        is_best = trial["rank"] == 1
        share = index / max(len(trials) - 1, 1)
        top.plot(
            *zip(*points, strict=True),
            color="C3" if is_best else colors(1 - share),
            linewidth=2.5 if is_best else 1,
            alpha=1.0 if is_best else 0.6,
            marker="o",
            markersize=3,
        )
    # Labels stay legible where lines cross them.
    label = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5}
    for number, axis in enumerate(axes):
        top.axvline(number, color="0.7", linewidth=0.8, zorder=0)
        for place, text in axis.ticks:
            top.text(number + 0.02, place, text, fontsize=8, va="center", bbox=label, zorder=5)
    top.set_xticks(range(len(axes)), [axis.name for axis in axes])
    top.set_xlim(-0.2, len(axes) - 0.6)
    top.set_yticks([])
    top.set_frame_on(False)
    number = len(report["trials"])
    title = f"{number} trials, {len(trials)} with a score; the better the darker, the best in red"
    top.set_title(title, fontsize=10)
    _draw_importance(bottom, report["importance"])
    figure.savefig(path, dpi=110)
    return True


def _draw_importance(axes, importance):
    axes.set_title("importance (random forest, permutations)", fontsize=10)
    if not importance:
        axes.text(0.5, 0.5, "too few trials to tell", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    names = list(importance)[::-1]
    bars = axes.barh(names, [importance[name] for name in names], color="C0")
    axes.bar_label(bars, [f"{importance[name]:.0%}" for name in names], padding=3, fontsize=8)
    axes.set_xlim(0, 1.1 * max(importance.values()))
    axes.spines[["top", "right"]].set_visible(False)
