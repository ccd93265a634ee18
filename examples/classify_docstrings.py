"""Which package of the standard library does a docstring come from?

The classes are the ten packages (or modules) with the most docstrings; one docstring in five is
held out. The encoder has fresh weights, or those of `pretrain_bert.py --folder FOLDER`, which has
seen none of the held-out docstrings.
"""

import collections
import pathlib

from _helpers import common, lstms

import lmzoo

QUESTIONS = (
    "Parse the header of a message and return its addresses.",
    "Send the request to the server and read the response.",
)


def read_examples(smoke, num_classes=10):
    """The names of the classes, and the docstrings of each half."""
    docstrings = common.read_docstrings(smoke)
    counts = collections.Counter(docstring.package for docstring in docstrings)
    names = sorted(name for name, _ in counts.most_common(num_classes))
    chosen = [docstring for docstring in docstrings if docstring.package in names]
    held_out = [docstring for docstring in chosen if common.is_held_out(docstring.content)]
    return names, [docstring for docstring in chosen if docstring not in set(held_out)], held_out


def make_task(names, texts, arguments):
    encoder = common.make_encoder(texts, arguments.smoke, arguments.backbone)
    return lmzoo.tasks.TextClassifier(*encoder, labels=names)


def compare(classifier, names, training, held_out, epochs):
    """Accuracy and macro F1 of the model, an LSTM, a bag of words and the most frequent class."""
    texts, labels = zip(*((text, names.index(package)) for package, text in training), strict=True)
    questions = [docstring.text for docstring in held_out]
    truth = [names.index(docstring.package) for docstring in held_out]
    rows = lmzoo.data.make_rows(text=texts, label=labels)
    lstm = lstms.train_lstm_classifier(classifier, rows, epochs)
    asked = lmzoo.data.make_rows(text=questions, label=truth)
    majority = collections.Counter(labels).most_common(1)[0][0]
    answers = {
        "BERT": [names.index(found["label"]) for found in classifier.classify(questions)],
        "LSTM": lstms.predict_logits(lstm, classifier, asked).argmax(-1),
        "bag of words": common.predict_with_bag_of_words(
            texts, labels, questions, ngram_range=(1, 2)
        ),
        "most frequent class": [majority] * len(truth),
    }
    common.print_figures(
        f"{len(truth)} held-out docstrings of {len(names)} packages",
        ["accuracy", "macro F1"],
        {name: common.compute_scores(truth, found, len(names)) for name, found in answers.items()},
    )


def main():
    parser = common.make_parser(__doc__, epochs=10)
    parser.add_argument(
        "--backbone", type=pathlib.Path, metavar="FOLDER", help="begin with that pretrained model"
    )
    arguments = common.parse(parser)
    names, training, held_out = read_examples(arguments.smoke)
    texts, labels = [d.text for d in training], [d.package for d in training]
    print(f"{len(texts)} docstrings of {', '.join(names)}", flush=True)
    classifier = common.open_or_make(arguments, lambda: make_task(names, texts, arguments))
    rows = lmzoo.data.make_rows(text=texts, label=labels)
    common.train(classifier, rows, arguments, learning_rate=5e-4)
    compare(classifier, names, training, held_out, arguments.epochs)
    for question, found in zip(QUESTIONS, classifier.classify(list(QUESTIONS)), strict=True):
        print(question, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
