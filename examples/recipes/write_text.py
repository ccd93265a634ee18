"""Writes the text of the recipes: the docstrings of this Python's library, and the sentences of
`examples/data`; and what `docstring-classifier` of the zoo is measured on. Nothing is downloaded.

Run `python examples/recipes/write_text.py` before the first recipe.
"""

import argparse
import csv
import json
import pathlib
import sys

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "zoo")]

import docstring_classifier  # noqa: E402
from _helpers import common  # noqa: E402


def write_lines(path, rows):
    """Writes JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    print(f"{path}: {len(rows)} lines", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/text"))
    parser.add_argument("--smoke", action="store_true", help="little text")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)

    halves = [], []
    for docstring in common.read_docstrings(arguments.smoke):
        halves[common.is_held_out(docstring.content)].append({"text": docstring.text})
    for name, rows in zip(("train", "held_out"), halves, strict=True):
        write_lines(folder / f"docstrings_{name}.jsonl", rows)
    for name, pairs in zip(("train", "held_out"), common.read_pairs(arguments.smoke), strict=True):
        rows = [{"source": body, "target": first} for first, body in pairs]
        write_lines(folder / f"summaries_{name}.jsonl", rows)
        texts = [{"text": f"{body}\n\nIn short: {first}"} for first, body in pairs]
        write_lines(folder / f"prompts_{name}.jsonl", texts)
    with (EXAMPLES / "data" / "sentiment.tsv").open(encoding="utf-8", newline="") as file:
        sentences = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for name in ("train", "held_out"):
        rows = [{key: row[key] for key in ("text", "label")} for row in sentences
                if row["split"] == name]  # fmt: skip
        write_lines(folder / f"sentiment_{name}.jsonl", rows)
    rows = docstring_classifier.read_examples(arguments.smoke)[True]
    write_lines(folder / "subjects_held_out.jsonl", rows)


if __name__ == "__main__":
    main()
