"""Which comments should a moderator see? Flags insults, threats, spam, personal data, off-topic.

A comment may break several rules, or none. The comments are those of an English and Chinese forum
about cooking that never was; see `data/README.md`. Each label has its own threshold, which is
chosen on validation data: for the best F1, and as the highest that finds nine in ten.
"""

from _helpers import common, lstms
from _helpers.comments import LABELS, SPLITS, draw_rows
from _helpers.moderation import (
    RECALL,
    choose_thresholds,
    fit_bag_of_words,
    list_texts,
    make_truth,
    measure,
    search_words,
)

import lmzoo

EXAMPLES = (
    "Great crust! Write to me at kim@mail.example.",
    "You clown, I know where you live.",
    "免费手机，点击www.lucky7.example！",
    "The custard needs more sugar.",
)


def make_task(rows, smoke):
    encoder = common.make_encoder(list_texts(rows), smoke)
    return lmzoo.tasks.TextClassifier(*encoder, labels=LABELS, multi_label=True)


def compare(classifier, training, validation, test, epochs):
    """Prints the figures of the test; returns the classifier's thresholds of the best F1."""
    lstm = lstms.train_lstm_classifier(classifier, training, epochs)
    scorers = {
        "BERT": lambda rows: classifier.predict(list_texts(rows), verbose=0),
        "LSTM": lambda rows: lstms.predict_logits(lstm, classifier, rows),
        "bag of words": fit_bag_of_words(training),
        "word list": search_words,
    }
    truth = make_truth(validation)
    chosen = {name: f and choose_thresholds(f(validation), truth) for name, f in scorers.items()}
    # A logit of 0 is a probability of 0.5.
    scorers["BERT at 0.5"], chosen["BERT at 0.5"] = scorers["BERT"], (0.0, 0.0)
    for kind, title in (("template", "comments of held-out templates"), ("hand", "by hand")):
        rows = test.select([index for index, row in enumerate(test) if row["kind"] == kind])
        common.print_figures(
            f"{len(rows)} {title}; precision at a recall of {RECALL} in validation",
            ["micro F1", "macro F1", "precision", "recall"],
            {
                name: score and measure(score(rows), make_truth(rows), *chosen[name])
                for name, score in scorers.items()
            },
        )
    return chosen["BERT"][0]


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=6))
    sizes = (200, 60, 60) if arguments.smoke else (6000, 600, 600)
    training, validation, test = (
        draw_rows(split, size, arguments.seed) for split, size in zip(SPLITS, sizes, strict=True)
    )
    print(f"{len(training)} comments to train on", flush=True)
    classifier = common.open_or_make(
        arguments,
        lambda: lmzoo.tasks.TextClassifier(
            *common.make_encoder(list_texts(training), arguments.smoke),
            labels=LABELS,
            multi_label=True,
        ),
    )
    common.train(classifier, training, arguments, learning_rate=5e-4)
    thresholds = compare(classifier, training, validation, test, arguments.epochs)
    for text, logits in zip(EXAMPLES, classifier.predict(list(EXAMPLES), verbose=0), strict=True):
        labels = [label for label, is_it in zip(LABELS, logits >= thresholds, strict=True) if is_it]
        print(text, "->", ", ".join(labels) or "nothing")


if __name__ == "__main__":
    main()
