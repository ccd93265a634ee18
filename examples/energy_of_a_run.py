"""What does it take to train a model, in energy and carbon, and is it worth that?

Trains the classifier of `sentiment.py` and its baselines, each with a meter beside it, and writes
what the classifier took into its model card, with its held-out figures. Energy is counted by the
processor (RAPL) or an NVIDIA GPU (NVML). Where neither can be read, as in most virtual machines,
codecarbon estimates it (`pip install -e '.[energy]'`), or you say what your machine draws
(`--watts`); otherwise the card says that nothing was measured.
"""

import json
import time

import sentiment
from _helpers import common, lstms

from lmzoo.json_files import write_text
from lmzoo.runs.energy import EnergyMeter

# The world's average of 2023: Ember, Global Electricity Review 2024.
GRAMS_PER_KWH = 480
LABELS = sentiment.LABELS


def measure(function, watts=None):
    """What a function gives, and what it took: dict of seconds, joules (or None) and their source.

    Args:
        function: callable without arguments.
        watts: float or None. What the machine draws, if nothing counts it.
    """
    meter, start = EnergyMeter(), time.perf_counter()
    meter.start()
    result = function()
    energy = meter.stop() or {"joules": None, "source": "not measured"}
    seconds = time.perf_counter() - start
    if energy["joules"] is None and watts is not None:
        energy = {"joules": watts * seconds, "source": f"assumed: {watts:g} W"}
    return result, {"seconds": seconds, **energy}


def add(one, other):
    """What two starts of a run took together."""
    known = None not in (one["joules"], other["joules"])
    return {
        "seconds": one["seconds"] + other["seconds"],
        "joules": one["joules"] + other["joules"] if known else None,
        "source": " and ".join(dict.fromkeys([one["source"], other["source"]])),
    }


def train(classifier, rows, arguments):
    """Trains the classifier; what all starts of its run took stands beside it in `--folder`."""
    steps = int(classifier.optimizer.iterations) if classifier.compiled else 0
    _, spent = measure(
        lambda: common.train(classifier, rows, arguments, learning_rate=5e-4), arguments.watts
    )
    path = arguments.folder and arguments.folder / "spent.json"
    if path and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        spent = before if classifier.optimizer.iterations == steps else add(before, spent)
    if path:
        write_text(path, json.dumps(spent))
    return spent


def describe(spent, grams_per_kwh):
    """dict of what a run took, in words."""
    joules, words = spent["joules"], {"carbon": "unknown", "energy": spent["source"]}
    if joules is not None:
        grams = joules / 3.6e6 * grams_per_kwh
        words["energy"] = f"{joules:,.0f} J ({spent['source']})"
        words["carbon"] = f"{grams:.3g} g CO2 equivalent at {grams_per_kwh:g} g/kWh"
    return {"time": f"{spent['seconds']:.1f} s", **words}


def write_card(folder, words, figures):
    """The README.md of the saved model."""
    found = {f"accuracy, {name}": f"{each[0]:.3f}" for name, each in figures.items() if each}
    table = "".join(f"| {name} | {value} |\n" for name, value in {**words, **found}.items())
    write_text(
        folder / "README.md",
        "---\nlibrary_name: lmzoo\n---\n\n# Praise and blame, in English and Chinese\n\n"
        f"Trained and measured by `examples/energy_of_a_run.py`.\n\n| | |\n|---|---|\n{table}",
    )


def main():
    parser = common.make_parser(__doc__, epochs=20)
    parser.add_argument("--watts", type=float, help="what this machine draws while it trains")
    parser.add_argument("--grams-per-kwh", type=float, default=GRAMS_PER_KWH)
    arguments = common.parse(parser)
    training, held_out = sentiment.read_examples()
    task = common.open_or_make(arguments, lambda: sentiment.make_task(training, arguments.smoke))
    truth, labels = ([LABELS.index(row["label"]) for row in rows] for rows in (held_out, training))
    texts, questions = ([row["text"] for row in rows] for rows in (training, held_out))
    spent, answers = {"BERT": train(task, training, arguments)}, {}
    answers["BERT"] = [LABELS.index(found["label"]) for found in task.classify(questions)]
    lstm, spent["LSTM"] = measure(
        lambda: lstms.train_lstm_classifier(task, training, arguments.epochs), arguments.watts
    )
    answers["LSTM"] = lstms.predict_logits(lstm, task, held_out).argmax(-1)
    answers["bag of words"], spent["bag of words"] = measure(
        lambda: common.predict_with_bag_of_words(texts, labels, questions, analyzer="char"),
        arguments.watts,
    )
    figures = {name: common.compute_scores(truth, found, 2) for name, found in answers.items()}
    common.print_figures(f"{len(truth)} held-out sentences", ["accuracy", "macro F1"], figures)
    for name, each in spent.items():
        words = describe(each, arguments.grams_per_kwh)
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in words.items())}")
    if arguments.folder is not None:
        folder = arguments.folder / "model"
        task.save_pretrained(folder, overwrite=True)
        write_card(folder, describe(spent["BERT"], arguments.grams_per_kwh), figures)
        print(f"The model card is {folder / 'README.md'}")


if __name__ == "__main__":
    main()
