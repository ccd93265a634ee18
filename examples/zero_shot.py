"""Can a model sort texts into classes that it was never trained on?

Trains a classifier of pairs on the standard library: does this docstring belong to a function or
class of this name? "This is about header parser." is entailed by its own docstring and contradicted
by others. Ten subjects are then asked of the docstrings of modules that were left out altogether,
so that neither these texts nor these labels were seen. No label of a class was ever learnt.
"""

import collections
import random

from _helpers import common, lstms
from _helpers.subjects import LABELS, SUBJECTS, TEMPLATE, make_rows, read_examples

import lmzoo

QUESTIONS = (
    "Return the day of the week of the given date.",
    "Send the mail to all recipients.",
    "Draw the label and its border.",
)


def make_task(pairs, smoke):
    texts = (part for pair in pairs for part in pair)
    # A segment for each of the two texts.
    encoder = common.make_encoder(texts, smoke, num_segments=2)
    return lmzoo.tasks.TextClassifier(*encoder, labels=LABELS)


def ask_lstm(lstm, task, texts, subjects):
    """The number of the subject whose pair is entailed most, for each text."""
    import numpy as np

    pairs = [TEMPLATE.format(subject) for subject in subjects] * len(texts)
    rows = lmzoo.data.make_rows(
        text=[text for text in texts for _ in subjects],
        pair=pairs,
        label=["entailment"] * len(pairs),
    )
    logits = lstms.predict_logits(lstm, task, rows)
    return np.argmax((logits[:, 1] - logits[:, 0]).reshape(len(texts), -1), axis=1)


def compare(task, rows, held_out, epochs):
    """Accuracy and macro F1 of subjects that nothing was trained on."""
    import numpy as np

    subjects = sorted({subject for _, subject in held_out})
    texts, truth = zip(*((t, subjects.index(subject)) for t, subject in held_out), strict=True)
    zero_shot = lmzoo.tasks.ZeroShotClassifier(task, template=TEMPLATE)
    found = zero_shot.classify(list(texts), subjects)
    search = lmzoo.evaluation.baselines.BM25().make_scorer(list(texts))
    lstm = lstms.train_lstm_classifier(task, rows, epochs)
    guesses = np.random.default_rng(0).integers(len(subjects), size=len(texts))
    answers = {
        "BERT": [subjects.index(each["label"]) for each in found],
        "LSTM": ask_lstm(lstm, task, texts, subjects),
        "words in common": search(subjects).argmax(0),
        "most frequent subject": [collections.Counter(truth).most_common(1)[0][0]] * len(truth),
        "guessing": guesses,
    }
    common.print_figures(
        f"{len(texts)} docstrings of held-out modules, {len(subjects)} subjects",
        ["accuracy", "macro F1"],
        {
            name: common.compute_scores(truth, numbers, len(subjects))
            for name, numbers in answers.items()
        },
    )
    return zero_shot


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=4))
    pairs, held_out = read_examples(arguments.smoke)
    print(f"{len(pairs)} docstrings to train on, {len(held_out)} held out", flush=True)
    rows = make_rows(pairs, random.Random(arguments.seed))
    task = common.open_or_make(arguments, lambda: make_task(pairs, arguments.smoke))
    common.train(task, rows, arguments, learning_rate=5e-4, warmup=200)
    zero_shot = compare(task, rows, held_out, arguments.epochs)
    for text in QUESTIONS:
        found = zero_shot.classify(text, list(SUBJECTS))
        print(text, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
