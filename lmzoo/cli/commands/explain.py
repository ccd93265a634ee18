"""What `lmzoo explain` does, and how it shows attention and attributions in a terminal."""

import pathlib
import sys

from lmzoo.cli.opening import open_task, read_stdin
from lmzoo.cli.printing import make_printable, print_json

__all__ = ["explain"]

_SHADES = " ·░▒▓█"
_MOST_ROWS, _MOST_LETTERS, _BAR = 40, 16, 24
_ONLY_ATTENTION = ("target", "kind", "layer", "head", "view")
_ONLY_ATTRIBUTION = ("label", "steps", "word", "baseline")


def explain(arguments):
    """Prints or draws where a model looks in a text, or which words made it decide.

    Args:
        arguments: argparse.Namespace of `lmzoo explain`.
    Raises:
        ImportError: if matplotlib is missing for a PNG.
        ValueError: if an option is for the other view, the file has another suffix, or as
            `lmzoo.explain.attention` and `attribution`.
    """
    _check(arguments)
    text = read_stdin() if arguments.text == "-" else arguments.text
    task = open_task(arguments)
    from lmzoo import explain

    if arguments.attention:
        found = explain.attention(task, text, arguments.pair, arguments.target)
        options = _choose(arguments, ("kind", "layer", "head", "view"))
        plot, lines = explain.plot_attention, lambda: _show_attention(found, **options)
    else:
        options, given = {}, _choose(arguments, _ONLY_ATTRIBUTION)
        if task.labels is None and task.prediction_kind != "completions" and "label" in given:
            # The index of a target.
            given["label"] = int(given["label"])
        found = explain.attribution(task, text, pair=arguments.pair, **given)
        plot, lines = explain.plot_attribution, lambda: _show_attribution(found)
    if arguments.output is not None:
        plot(found, arguments.output, **options)
        print(f"Wrote {arguments.output}.", file=sys.stderr)
    elif arguments.json:
        print_json(_list_attention(found, **options) if arguments.attention else found.to_dict())
    else:
        for line in lines():
            print(make_printable(line))


def _check(arguments):
    """Refuses what is wrong before TensorFlow is imported and a model is opened."""
    unused = _ONLY_ATTRIBUTION if arguments.attention else _ONLY_ATTENTION
    given = [name for name in unused if getattr(arguments, name) is not None]
    if given:
        other = "with" if arguments.attention else "without"
        raise ValueError(
            f"`--{given[0]}` must not be given {other} `--attention`. Received: "
            f"--{given[0]} {getattr(arguments, given[0])}."
        )
    if arguments.output is not None:
        path = pathlib.Path(arguments.output)
        if path.suffix.lower() not in (".png", ".html"):
            raise ValueError(
                f"`--output` must be a .png or .html file. Received: {arguments.output!r}."
            )
        if not path.parent.is_dir():
            raise FileNotFoundError(f"The folder of `--output` must exist. Received: {path}.")


def _choose(arguments, names):
    found = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _list_attention(found, kind=None, layer=None, head=None, view="heads"):
    """The chosen weights, those of all heads and layers averaged, as a dict that JSON holds."""
    matrix = found.rollout(kind) if view == "rollout" else found.average(kind, layer, head)
    queries, keys = _find_sides(found, kind, view)
    return {
        "queries": [token._asdict() for token in queries],
        "keys": [token._asdict() for token in keys],
        "weights": [[round(float(weight), 6) for weight in row] for row in matrix],
    }


def _find_sides(found, kind, view):
    kind = found.kinds[0] if view == "rollout" and kind is None else kind
    return found.list_queries(kind), found.list_keys(kind)


def _show_attention(found, kind=None, layer=None, head=None, view="heads"):
    """A line for each token that looks: its shades over the others, and where it looks most."""
    matrix = found.rollout(kind) if view == "rollout" else found.average(kind, layer, head)
    queries, keys = _find_sides(found, kind, view)
    width = max(len(_shorten(token)) for token in queries)
    for query, row in zip(queries[:_MOST_ROWS], matrix, strict=False):
        # The root, so that small weights show too.
        levels = [round((len(_SHADES) - 1) * float(weight) ** 0.5) for weight in row]
        shades = "".join(_SHADES[level] for level in levels[: 2 * _MOST_ROWS])
        best = sorted(range(len(keys)), key=lambda index: -row[index])[:3]
        names = ", ".join(f"{_shorten(keys[index])} {row[index]:.0%}" for index in best)
        yield f"{_shorten(query):>{width}} |{shades}| {names}"
    if len(queries) > _MOST_ROWS:
        yield f"... and {len(queries) - _MOST_ROWS} tokens; -o FILE.html shows all"


def _show_attribution(found):
    """A line for each word: its value as a number and as a bar."""
    yield (
        f"{found.label}: score {found.score:.3f}, baseline ({found.baseline}) "
        f"{found.baseline_score:.3f}, gap {found.gap:.1e}"
    )
    words = found.words
    if len(words) > _MOST_ROWS:
        top = {id(word) for word in found.top_words(_MOST_ROWS)}
        words = [word for word in words if id(word) in top]
    largest = max((abs(word.value) for word in words), default=0.0) or 1.0
    width = max((len(_shorten(word)) for word in words), default=0)
    for word in words:
        bar = ("█" if word.value > 0 else "▒") * round(_BAR * abs(word.value) / largest)
        yield f"{_shorten(word):>{width}} {word.value:+8.3f} {bar}".rstrip()
    if len(words) < len(found.words):
        yield f"... and {len(found.words) - len(words)} words that matter less"


def _shorten(token):
    return token.text if len(token.text) <= _MOST_LETTERS else token.text[:_MOST_LETTERS] + "…"
