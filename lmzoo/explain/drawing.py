"""Pictures of attention and of attributions, drawn by matplotlib, and the choice of PNG or HTML."""

import contextlib
import importlib
import math
import pathlib
import unicodedata

import numpy as np

from lmzoo.explain.attention_weights import check_index
from lmzoo.explain.page import write_attention, write_attribution

__all__ = ["plot_attention", "plot_attribution"]

VIEWS = ("heads", "rollout")
# Beyond it no label of a token can be read.
_MOST_LABELS = 60
_MOST_WORDS = 40
# Fonts that hold Chinese, Japanese or Korean, as far as they are installed.
_WIDE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC"),
    *("Hiragino Sans GB", "Heiti TC", "Arial Unicode MS", "Unifont"),
)


def plot_attention(attention, path, layer=None, head=None, view="heads", kind=None):
    """Writes a picture of attention weights: a PNG, or a page of HTML to look around in.

    A row of a picture is a token that looks, a column one that is looked at. A page has all views;
    the arguments say what it shows at first.

    Args:
        attention: lmzoo.explain.Attention.
        path: str or path. A file whose suffix is .png or .html.
        layer, head: int or None. The only layer or head; None for all of them. Negative ones count
            from the end.
        view: "heads", a picture of each head, or "rollout" for `Attention.rollout`.
        kind: "encoder", "decoder", "cross" or None; see `Attention.average`.
    Raises:
        ImportError: if matplotlib is missing and the file is a PNG.
        TypeError: if `layer` or `head` is no int.
        ValueError: if an argument is unknown or out of its range, or a page would be too large.

    Example:
        lmzoo.explain.plot_attention(found, "heads.png")
        lmzoo.explain.plot_attention(found, "attention.html", layer=-1, head=3)
    """
    suffix = _check_suffix(path)
    if view not in VIEWS:
        raise ValueError(f"`view` must be 'heads' or 'rollout'. Received: view={view!r:.60}.")
    is_rollout = view == "rollout"
    if is_rollout:
        attention.rollout(kind)
        kind = attention.kinds[0] if kind is None else kind
    kind = attention.check_kind(kind)
    layers, heads = attention.weights[kind].shape[:2]
    layer = None if layer is None else check_index("layer", layer, layers)
    head = None if head is None else check_index("head", head, heads)
    if suffix == ".html":
        write_attention(path, attention, kind, layer, head, view)
    elif is_rollout:
        _draw_matrix(path, attention, kind, attention.rollout(kind), "attention rollout")
    elif layer is not None and head is not None:
        title = f"{kind} attention, layer {layer}, head {head}"
        _draw_matrix(path, attention, kind, attention.average(kind, layer, head), title)
    else:
        chosen_layers = range(layers) if layer is None else [layer]
        chosen_heads = range(heads) if head is None else [head]
        _draw_heads(path, attention, kind, chosen_layers, chosen_heads)


def plot_attribution(attribution, path):
    """Writes a picture of what each word contributes: a PNG of bars, or a page of shaded text.

    Args:
        attribution: lmzoo.explain.Attribution.
        path: str or path. A file whose suffix is .png or .html.
    Raises:
        ImportError: if matplotlib is missing and the file is a PNG.
        ValueError: if the file has another suffix.
    """
    if _check_suffix(path) == ".html":
        write_attribution(path, attribution, attribution.texts)
        return
    words = attribution.words
    if len(words) > _MOST_WORDS:
        # Those that matter most, still in the order of the text.
        top = {id(word) for word in attribution.top_words(_MOST_WORDS)}
        words = [word for word in words if id(word) in top]
    with _draw(path, (6.5, 1.2 + 0.24 * max(len(words), 2))) as (figure, clean):
        _draw_bars(figure.subplots(), attribution, words, clean)


def _draw_bars(axes, attribution, words, clean):
    values = [word.value for word in words]
    colors = ["#3584e4" if value > 0 else "#e66100" for value in values]
    bars = axes.barh(range(len(words)), values, color=colors)
    # Two digits of the largest value, two decimals at least.
    largest = max(map(abs, values), default=0) or 1
    decimals = max(2, 1 - math.floor(math.log10(largest)))
    # Adding 0 makes -0.0 of a rounding 0.0.
    texts = [f"{round(value, decimals) + 0:+.{decimals}f}" for value in values]
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.set_yticks(range(len(words)), [clean(word.text) for word in words], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.axvline(0, color="0.5", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("contribution to the score")
    facts = f"score {attribution.score:.2f}, baseline {attribution.baseline_score:.2f}"
    axes.set_title(clean(f"{attribution.label}: {facts}"), fontsize=10)


def _check_suffix(path):
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in (".png", ".html"):
        raise ValueError(f"`path` must be a .png or .html file. Received: path={str(path)!r:.200}.")
    return suffix


def _draw_matrix(path, attention, kind, matrix, title):
    """One matrix, with the tokens beside it."""
    rows, columns = matrix.shape
    size = (2.5 + 0.22 * min(columns, 60), 2 + 0.22 * min(rows, 60))
    with _draw(path, size) as (figure, clean):
        axes = figure.subplots()
        image = axes.imshow(matrix, cmap="Blues", vmin=0, aspect="auto")
        figure.colorbar(image, ax=axes, label="weight")
        for set_ticks, tokens, angle in (
            (axes.set_xticks, attention.list_keys(kind), 90),
            (axes.set_yticks, attention.list_queries(kind), 0),
        ):
            step = 1 + (len(tokens) - 1) // _MOST_LABELS
            names = [clean(token.text) for token in tokens[::step]]
            set_ticks(range(0, len(tokens), step), names, rotation=angle, fontsize=8)
        axes.set_xlabel("looked at")
        axes.set_ylabel("looks")
        axes.set_title(title, fontsize=11)


def _draw_heads(path, attention, kind, layers, heads):
    """A small matrix of each head, layers from top to bottom."""
    size = 1.1 if len(layers) * len(heads) > 24 else 1.6
    with _draw(path, (0.6 + size * len(heads), 0.9 + size * len(layers))) as (figure, _):
        grid = figure.subplots(len(layers), len(heads), squeeze=False)
        for row, layer in enumerate(layers):
            for column, head in enumerate(heads):
                axes = grid[row, column]
                # The root, so that small weights show too.
                weights = np.sqrt(attention.weights[kind][layer, head])
                axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
                axes.set_xticks([])
                axes.set_yticks([])
                if row == 0:
                    axes.set_title(f"head {head}", fontsize=8)
                if column == 0:
                    axes.set_ylabel(f"layer {layer}", fontsize=8)
        number = len(attention.list_queries(kind))
        figure.suptitle(f"{kind} attention, {number} tokens (shade: square root)", fontsize=10)


@contextlib.contextmanager
def _draw(path, size):
    """A figure without pyplot, which is written as a PNG at the end of the block.

    Args:
        path: str or path.
        size: (float, float). Width and height in inches.
    Yields:
        The figure, and a function that makes a text drawable.
    Raises:
        ImportError: if matplotlib is missing.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        figure = importlib.import_module("matplotlib.figure")
        manager = importlib.import_module("matplotlib.font_manager")
    except ImportError as error:
        raise ImportError(
            "A PNG must have matplotlib to draw it. Received: no module "
            f"{error.name!r}. Run `pip install lmzoo[report]`, or write a .html file."
        ) from error
    installed = {font.name for font in manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _WIDE_FONTS if name in installed)]
    fonts = [manager.get_font(manager.findfont(family)) for family in families]

    def clean(text):
        """The text without formulas, and with the numbers of characters that no font has."""
        shown = []
        for character in text[:40]:
            has_glyph = any(font.get_char_index(ord(character)) for font in fonts)
            is_control = unicodedata.category(character)[0] == "C"
            number = f"U+{ord(character):04X} "
            shown.append(character if has_glyph and not is_control else number)
        return "".join(shown).strip().replace("$", r"\$")

    # matplotlib takes each glyph from the first family that has it.
    with matplotlib.rc_context({"font.family": families}):
        canvas = figure.Figure(figsize=size, layout="constrained")
        yield canvas, clean
        canvas.savefig(pathlib.Path(path), dpi=110, format="png")
