"""What a trained model loses in a file for LiteRT: agreement, perplexity or accuracy, and size.

A language model is measured on the files that `lmzoo demo` holds out, or on text files of your own.
A classifier needs labelled rows: a CSV, TSV or JSONL file with the columns `text` and `label`.

    lmzoo demo
    python examples/benchmarks/quality.py saved_models/demo/model
    python examples/benchmarks/quality.py runs/classifier rows.csv
"""

import argparse
import json
import pathlib
import tempfile

from _harness import common

PRECISIONS = {"float32": None, "float16": "float16", "int8": "int8", "int4": "int4"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", metavar="MODEL", help="a folder, or what else lmzoo.load opens")
    parser.add_argument("data", nargs="*", type=pathlib.Path, metavar="FILE", help="held-out data")
    parser.add_argument("--most", type=int, default=200, metavar="N", help="texts to measure on")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers too")
    arguments = parser.parse_args()

    import lmzoo

    task = lmzoo.load(arguments.model, dtype="float32")
    for name, value in common.describe_machine(threads=None).items():
        print(f"{name}: {value}", flush=True)
    if task.is_generative:
        texts = read_files(arguments.data) if arguments.data else read_held_out()
        data = cut_windows(texts, task, arguments.most)
    else:
        if not arguments.data:
            parser.error("a classifier needs FILE, labelled rows")
        data = read_rows(arguments.data[0], arguments.most)
    rows = compare(task, data)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def read_held_out():
    """The files of Python's own library and manual that `lmzoo demo` does not train on."""
    from lmzoo.cli.commands.demo import collect_corpus

    with tempfile.TemporaryDirectory() as folder:
        _, paths = collect_corpus(pathlib.Path(folder))
        return read_files(paths)


def read_files(paths):
    return [path.read_text(encoding="utf-8") for path in paths]


def cut_windows(texts, task, most):
    """Parts of about three quarters of a context, of one text after the other: list of str."""
    # A token is about four characters.
    size = 3 * task.max_sequence_length
    starts = range(0, max(map(len, texts), default=0), size)
    windows = [text[start : start + size] for start in starts for text in texts]
    return [window for window in windows if len(window) == size][:most]


def read_rows(path, most):
    """(texts, labels) of a file of labelled rows."""
    import lmzoo

    rows = lmzoo.data.read_table(path, label="label")
    rows = [rows[index] for index in range(min(most, len(rows)))]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def compare(task, data):
    """Exports the task in each precision and prints what each loses: list of dict."""
    rows, table = [], None
    for name, quantization in PRECISIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.tflite"
            report = task.export(
                path, quantization=quantization, evaluation_data=data, verbose=False
            )
            size = path.stat().st_size
        quality = dict(report["quality"])
        for figure in ("perplexity", "accuracy"):
            if f"{figure}_before" in quality:
                before, after = quality[f"{figure}_before"], quality[f"{figure}_after"]
                quality[f"{figure}_ratio"] = after / before
        if table is None:
            table = common.Table("each file beside its model", ["file", "bytes/weight", *quality])
        per_weight = size / task.count_params()
        table.add(name, f"{per_weight:.3f}", *(f"{value:.4f}" for value in quality.values()))
        rows.append({"precision": name, "bytes_per_weight": per_weight, **quality})
    return rows


if __name__ == "__main__":
    main()
