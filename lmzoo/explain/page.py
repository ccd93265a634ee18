"""Pages of HTML that need nothing else: the tokens of a text, and where a model looks or why."""

import html
import json
import pathlib

from lmzoo.json_files import write_text

__all__ = ["write_attention", "write_attribution"]

_VIEWER = pathlib.Path(__file__).parent / "viewer"
# About 16 MB of a page.
_MOST_WEIGHTS = 12_000_000


def write_attention(path, attention, kind, layer, head, view):
    """Writes a page on which one chooses layer and head, and hovers over tokens.

    Args:
        path: str or path.
        attention: Attention.
        kind, layer, head, view: what it shows at first.
    Raises:
        ValueError: if there are too many weights for a page and no `layer` to write alone.
    """
    count = sum(weights.size for weights in attention.weights.values())
    only = None
    if count > _MOST_WEIGHTS:
        if layer is None:
            raise ValueError(
                f"A page must have at most {_MOST_WEIGHTS} weights. Received: {count}. "
                "Give a `layer`, or a shorter text."
            )
        only, layer = layer, 0
    data = {
        "attention": attention.to_dict(only),
        "options": {"kind": kind, "layer": layer, "head": head, "view": view},
    }
    # What could end the element is escaped as JSON knows it.
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    script = (_VIEWER / "attention.js").read_text(encoding="utf-8")
    start = (
        'const found = JSON.parse(document.getElementById("data").textContent);\n'
        'showAttention(document.getElementById("attention"), found.attention, found.options);'
    )
    body = (
        '<h1>Attention</h1><div id="attention"></div>'
        f'<script type="application/json" id="data">{text}</script>'
        f"<script>{script}\n{start}</script>"
    )
    _write(path, "Attention", body, ["page.css", "attention.css"])


def write_attribution(path, attribution, texts):
    """Writes a page of a text whose words are shaded by what they contribute.

    Args:
        path: str or path.
        attribution: Attribution.
        texts: dict of part to str, for what stands between words.
    """
    largest = max((abs(word.value) for word in attribution.words), default=0.0) or 1.0
    parts = []
    for name, text in texts.items():
        at, pieces = 0, []
        for word in attribution.words:
            if word.part != name or word.start < at:
                continue
            # Blue for the label, orange against it.
            color = "53, 132, 228" if word.value > 0 else "230, 97, 0"
            shade = f"rgba({color}, {0.7 * abs(word.value) / largest:.3f})"
            pieces.append(html.escape(text[at : word.start]))
            pieces.append(
                f'<ruby style="background: {shade}">{html.escape(text[word.start : word.end])}'
                f"<rt>{word.value:+.2f}</rt></ruby>"
            )
            at = word.end
        parts.append(f'<p class="text">{"".join(pieces)}{html.escape(text[at:])}</p>')
    title = f"Why {attribution.label}"
    facts = (
        f"Integrated gradients. Score {attribution.score:.3f}, with {attribution.baseline} "
        f"embeddings {attribution.baseline_score:.3f}; gap {attribution.gap:.1e}. Blue words speak "
        "for it, orange ones against it."
    )
    body = f'<h1>{html.escape(title)}</h1>{"".join(parts)}<p class="quiet">{html.escape(facts)}</p>'
    _write(path, title, body, ["page.css"])


def _write(path, title, body, styles):
    style = "".join((_VIEWER / name).read_text(encoding="utf-8") for name in styles)
    write_text(
        pathlib.Path(path),
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>"
        f"{body}</body></html>\n",
    )
