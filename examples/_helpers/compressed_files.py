"""What `compress_model.py` measures of each step, its table and its picture."""

import zlib

from export_litert import run_file

from _helpers import common, lstms

COLUMNS = ("kilobytes", "zipped", "ms a text", "accuracy", "as the whole")


def measure(task, rows, path, quantization=None):
    """Exports a task and runs its file: the labels it gives, bytes, and milliseconds a text."""
    task.export(path, quantization=quantization, overwrite=True, verbose=False)
    labels, _, seconds, _ = run_file(path, [row["text"] for row in rows])
    return labels, path.read_bytes(), 1000 * seconds


def count_equal(labels, others):
    """float. The share of labels that are equal."""
    return sum(map(str.__eq__, labels, others)) / len(labels)


def predict_baselines(task, training, held_out, epochs):
    """dict of baseline to the labels it gives."""
    names = task.labels.names
    lstm = lstms.train_lstm_classifier(task, training, epochs)
    numbers = lstms.predict_logits(lstm, task, held_out).argmax(-1)
    texts, labels = ([row[name] for row in training] for name in ("text", "label"))
    words = common.predict_with_bag_of_words(
        texts, labels, [row["text"] for row in held_out], ngram_range=(1, 2)
    )
    found = {"LSTM": [names[number] for number in numbers]}
    return found if words is None else found | {"bag of words": words.tolist()}


def make_table(measured, truth):
    """dict of row to numbers, in the order of `COLUMNS`.

    Args:
        measured: dict of row to (labels, bytes or None, milliseconds or None); the first is the
            whole model.
        truth: list of str.
    """
    wanted = next(iter(measured.values()))[0]
    return {
        name: [
            data and len(data) / 1000,
            data and len(zlib.compress(data)) / 1000,
            milliseconds,
            count_equal(labels, truth),
            count_equal(labels, wanted),
        ]
        for name, (labels, data, milliseconds) in measured.items()
    }


def print_table(table, title):
    width = max(map(len, table))
    print(f"\n{title}\n  {'':{width}}" + "".join(f"  {name:>12}" for name in COLUMNS))
    for row, numbers in table.items():
        cells = ["-" if number is None else f"{number:.3f}" for number in numbers]
        print(f"  {row:{width}}" + "".join(f"  {cell:>12}" for cell in cells), flush=True)


def draw(table, path):
    """A picture of size, accuracy and time; says so where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullLocator
    except ImportError:
        print("matplotlib is not installed, so there is no picture")
        return
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, (_, zipped, milliseconds, accuracy, _) in table.items():
        if zipped is None:
            axes.axhline(accuracy, linestyle=":", color="gray")
            axes.annotate(name, (1, accuracy), xycoords=("axes fraction", "data"), ha="right")
            continue
        axes.scatter(zipped, accuracy, s=100 * milliseconds, alpha=0.6)
        axes.annotate(name, (zipped, accuracy), xytext=(6, 6), textcoords="offset points")
    axes.set(xscale="log", xlabel="kilobytes, zipped", ylabel="held-out accuracy")
    axes.margins(x=0.15)
    axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Size and accuracy; the area of a point is the time for a text")
    figure.savefig(path, dpi=120)
    print(f"The picture is {path}")
