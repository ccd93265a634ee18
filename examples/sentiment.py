"""Praise or blame? Classifies short English and Chinese sentences.

They are in `data/sentiment.tsv`, as is the split; see `data/README.md`. 520 sentences are little
for a model that begins with fresh weights and has never seen either language.
"""

import collections
import pathlib

from _helpers import common, lstms

import lmzoo

FILE = pathlib.Path(__file__).parent / "data" / "sentiment.tsv"
LABELS = ["negative", "positive"]
QUESTIONS = (
    "The soup was wonderful.",
    "The soup was cold and salty.",
    "房间又脏又吵。",
    "太好吃了！",
)


def read_examples(smoke=False):
    """The rows to train on and the rows held out; of a smoke run a fourth of them."""
    columns = {"label": "label", "language": "language", "split": "split"}
    rows = lmzoo.data.read_table(FILE, **columns)
    splits = [row["split"] for row in rows]
    return [
        rows.select(
            [index for index, split in enumerate(splits) if split == name][:: 1 + 3 * smoke]
        )
        for name in ("train", "held_out")
    ]


def make_task(rows, smoke):
    # In Chinese each character is a word, and most of them are in the vocabulary.
    texts = (row["text"] for row in rows)
    return lmzoo.tasks.TextClassifier(*common.make_encoder(texts, smoke), labels=LABELS)


def compare(classifier, training, held_out, epochs):
    """Accuracy in each language of the model and of three baselines."""
    lstm = lstms.train_lstm_classifier(classifier, training, epochs, batch_size=32)
    for language, name in (("en", "English"), ("zh", "Chinese")):
        own = [row for row in training if row["language"] == language]
        asked = [row for row in held_out if row["language"] == language]
        rows = lmzoo.data.make_rows(**{key: [row[key] for row in asked] for key in asked[0]})
        texts, labels = [row["text"] for row in own], [LABELS.index(row["label"]) for row in own]
        questions = [row["text"] for row in asked]
        truth = [LABELS.index(row["label"]) for row in asked]
        # Without spaces between words, characters and pairs of them take their place.
        analyzer = "word" if language == "en" else "char"
        answers = {
            "BERT": [LABELS.index(found["label"]) for found in classifier.classify(questions)],
            "LSTM": lstms.predict_logits(lstm, classifier, rows).argmax(-1),
            "bag of words": common.predict_with_bag_of_words(
                texts, labels, questions, analyzer=analyzer, ngram_range=(1, 2)
            ),
            "most frequent label": [collections.Counter(labels).most_common(1)[0][0]] * len(truth),
        }
        common.print_figures(
            f"{len(truth)} held-out sentences in {name}",
            ["accuracy", "macro F1"],
            {key: common.compute_scores(truth, found, 2) for key, found in answers.items()},
        )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=20))
    training, held_out = read_examples(arguments.smoke)
    print(f"{len(training)} sentences to train on, {len(held_out)} held out", flush=True)
    classifier = common.open_or_make(arguments, lambda: make_task(training, arguments.smoke))
    common.train(classifier, training, arguments, learning_rate=5e-4)
    compare(classifier, training, held_out, arguments.epochs)
    for question, found in zip(QUESTIONS, classifier.classify(list(QUESTIONS)), strict=True):
        print(question, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
