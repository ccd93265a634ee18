"""The report of a search as one HTML file, which asks no other host for anything."""

import html

from lmzoo.json_files import write_text
from lmzoo.tuning.report.axes import make_axes

__all__ = ["write_page"]

_STYLE = """
:root { color-scheme: light dark; --line: #4477aa; --best: #cc3311; --soft: #8888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; min-width: 40rem; }
svg text { fill: currentColor; font-size: 12px; }
.axis { stroke: var(--soft); }
.trial { fill: none; stroke: var(--line); stroke-opacity: .45; stroke-width: 1.5; }
.trial.best { stroke: var(--best); stroke-opacity: 1; stroke-width: 3; }
.trial:hover { stroke-opacity: 1; stroke-width: 4; }
.bar { fill: var(--line); }
table { border-collapse: collapse; } th, td { padding: .2rem .6rem; text-align: left; }
th, td { border-bottom: 1px solid var(--soft); white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.best { font-weight: bold; } .reason { white-space: normal; }
"""
_WIDTH, _HEIGHT, _MARGIN = 1100, 420, 60


def write_page(path, report):
    """Writes the page: parallel coordinates, importance, and a table of all trials.

    Args:
        path: pathlib.Path.
        report: dict, as `make_report` gives it, with a trial that has a score.
    """
    best = next(trial for trial in report["trials"] if trial["rank"] == 1)
    goal = "lowest" if report["direction"] == "min" else "highest"
    title = f"Search for the {goal} {report['objective']}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_escape(title)}</h1>",
        f"<p>{len(report['trials'])} trials by {_escape(report['tuner'])}, "
        f"{report['failed']} failed, {report['seconds']:,.0f} seconds. The best is trial "
        f"{_escape(best['trial'])} with {best['objective']:.6g}.</p>",
        "<h2>Parallel coordinates</h2>",
        f'<div class="wide">{_draw_lines(report)}</div>',
        "<h2>Importance</h2>",
        _draw_bars(report["importance"]),
        "<h2>Trials</h2>",
        f'<div class="wide">{_make_table(report)}</div>',
        "</body></html>",
    ]
    write_text(path, "\n".join(parts) + "\n")


def _escape(value):
    return html.escape(str(value))


def _draw_lines(report):
    axes, trials = make_axes(report)
    step = (_WIDTH - 3 * _MARGIN) / max(len(axes) - 1, 1)

    def place(number, share):
        x = _MARGIN + number * step
        return f"{x:.1f},{_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN):.1f}"

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Parallel coordinates of {len(trials)} trials">'
    ]
    for number, axis in enumerate(axes):
        x = _MARGIN + number * step
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{_MARGIN}" '
            f'y2="{_HEIGHT - _MARGIN}"/>'
        )
        name = _escape(axis.name)
        parts.append(f'<text x="{x:.1f}" y="{_MARGIN - 24}" text-anchor="middle">{name}</text>')
    for index, trial in enumerate(trials):
        points = " ".join(
            place(number, axis.places[index])
            for number, axis in enumerate(axes)
            if axis.places[index] is not None
        )
        kind = "trial best" if trial["rank"] == 1 else "trial"
        values = ", ".join(f"{name} {_format(each)}" for name, each in trial["values"].items())
        words = f"trial {trial['trial']}: {trial['objective']:.6g} ({values})"
        parts.append(
            f'<polyline class="{kind}" points="{points}"><title>{_escape(words)}</title></polyline>'
        )
    for number, axis in enumerate(axes):
        for share, text in axis.ticks:
            x, y = (float(each) for each in place(number, share).split(","))
            parts.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}">{_escape(text)}</text>')
    return "\n".join([*parts, "</svg>"])


def _draw_bars(importance):
    if not importance:
        return "<p>Too few trials to tell.</p>"
    height = 26 * len(importance) + 10
    longest = max(importance.values())
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Importance">']
    for index, (name, share) in enumerate(importance.items()):
        y = 26 * index + 4
        width = 600 * share / longest
        parts.append(f'<text x="190" y="{y + 14}" text-anchor="end">{_escape(name)}</text>')
        parts.append(f'<rect class="bar" x="200" y="{y}" width="{width:.1f}" height="18"/>')
        parts.append(f'<text x="{206 + width:.1f}" y="{y + 14}">{share:.0%}</text>')
    return "\n".join([*parts, "</svg>"])


def _make_table(report):
    names = list(dict.fromkeys(name for trial in report["trials"] for name in trial["values"]))
    head = ["trial", "status", report["objective"], "epochs", "seconds", *names, "why"]
    rows = ["<table><thead><tr>", *(f"<th>{_escape(name)}</th>" for name in head), "</tr></thead>"]
    order = sorted(report["trials"], key=lambda trial: (trial["rank"] or 1 << 30, trial["trial"]))
    for trial in order:
        rows.append('<tr class="best">' if trial["rank"] == 1 else "<tr>")
        cells = [trial["trial"], trial["status"], trial["objective"], trial["epochs"]]
        cells += [trial["seconds"], *(trial["values"].get(name) for name in names)]
        for cell in cells:
            kind = ' class="number"' if isinstance(cell, int | float) else ""
            rows.append(f"<td{kind}>{_escape(_format(cell))}</td>")
        rows.append(f'<td class="reason">{_escape(trial["reason"] or "")}</td></tr>')
    return "".join([*rows, "</table>"])


def _format(value):
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
