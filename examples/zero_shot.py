"""Can a model sort texts into classes that it was never trained on?

A small GPT reads docstrings of the standard library, each with the words of the name of what it
describes: "Read the next line from the file. This is about text file readline". Held-out docstrings
are then sorted into ten subjects, such as "compressed archives", by the likelihood of each of them
after the text. No subject was ever a label, and nothing is trained for the sorting.
"""

import collections

from _helpers import common, writing
from _helpers.completions import make_gpt
from _helpers.subjects import QUESTION, SUBJECTS, read_examples, score_labels

import lmzoo

LENGTH = 160
QUESTIONS = (
    "Return the day of the week of the given date.",
    "Send the mail to all recipients.",
    "Draw the label and its border.",
)


def train_lm(arguments, texts):
    def make():
        size = 500 if arguments.smoke else 2000
        tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(texts), size)
        return make_gpt(tokenizer, LENGTH, arguments.smoke)

    lm = common.open_or_make(arguments, make)
    writing.train_lm(lm, texts, arguments, learning_rate=3e-3, batch_size=32, warmup=100)
    return lm


def compare(zero_shot, lm, texts, held_out, epochs):
    """Accuracy and macro F1 of subjects that nothing was trained on."""
    import numpy as np

    subjects = sorted({subject for _, subject in held_out})
    asked, truth = zip(*((t, subjects.index(subject)) for t, subject in held_out), strict=True)
    asked = list(asked)
    print("Training the LSTM beside it", flush=True)
    lstm = lmzoo.evaluation.baselines.LSTMLM(lm.tokenizer, max_sequence_length=LENGTH)
    lstm.fit(texts, epochs, batch_size=64, learning_rate=4e-3, verbose=False)
    kneser_ney = lmzoo.evaluation.baselines.KneserNeyLM(lm.tokenizer).fit(texts, verbose=False)
    search = lmzoo.evaluation.baselines.BM25().make_scorer(asked)
    found = zero_shot.classify(asked, subjects)
    answers = {
        "GPT": [subjects.index(each["label"]) for each in found],
        "LSTM": score_labels(lstm, asked, subjects).argmax(1),
        "Kneser-Ney": score_labels(kneser_ney, asked, subjects).argmax(1),
        "words in common": search(subjects).argmax(0),
        "most frequent subject": [collections.Counter(truth).most_common(1)[0][0]] * len(truth),
        "guessing": np.random.default_rng(0).integers(len(subjects), size=len(truth)),
    }
    common.print_figures(
        f"{len(truth)} held-out docstrings, {len(subjects)} subjects",
        ["accuracy", "macro F1"],
        {
            name: common.compute_scores(truth, numbers, len(subjects))
            for name, numbers in answers.items()
        },
    )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=14))
    pairs, held_out = read_examples(arguments.smoke)
    print(f"{len(pairs)} docstrings to train on, {len(held_out)} held out", flush=True)
    texts = [f"{text}{QUESTION} {name}" for text, name in pairs]
    lm = train_lm(arguments, texts)
    # Labels differ in length, and "logging" is frequent: neither is to count.
    zero_shot = lmzoo.tasks.ZeroShotClassifier(
        lm, template=f"{QUESTION} {{}}", normalize=True, calibrate=True
    )
    compare(zero_shot, lm, texts, held_out, max(1, arguments.epochs // 2))
    for text in QUESTIONS:
        found = zero_shot.classify(text, list(SUBJECTS))
        print(text, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
