"""One decoder three times: does pretraining help a GPT that is to classify?

A GPT is pretrained on docstrings of the standard library, trained on (fine-tuned) with those of ten
packages, and then classifies these with the same decoder under a new head: which package is a
docstring from? The split is that of `classify_docstrings.py`; pretraining has seen no held-out one.
"""

import collections
import tempfile

from _helpers import common, lstms, writing
from classify_docstrings import QUESTIONS, read_examples

import lmzoo
from lmzoo.evaluation import baselines

# Epochs of the language model; `--epochs` are those of the classifier.
STAGES = {"pretrained": 3, "fine-tuned": 3}


def train_stage(arguments, name, make, texts, learning_rate):
    """A `CausalLM` that was trained on texts in one of the stages."""
    stage = writing.take_stage(arguments, name, STAGES[name])
    lm = common.open_or_make(stage, make)
    writing.train_lm(lm, texts, stage, learning_rate, warmup=20)
    return lm


def go_on(lm):
    """The same weights with a new optimizer; those of `lm` stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        lm.save_pretrained(folder)
        return lmzoo.load(folder)


def train_classifier(arguments, name, make, rows):
    stage = writing.take_stage(arguments, name)
    classifier = common.open_or_make(stage, make)
    common.train(classifier, rows, stage, learning_rate=1e-3, warmup=50)
    return classifier


def load_classifier(lm, names):
    """The decoder of a `CausalLM` under a new head."""
    with tempfile.TemporaryDirectory() as folder:
        lm.save_pretrained(folder)
        return lmzoo.load(folder, task="TextClassifier", labels=names, pooling="mean")


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=6))
    smoke = arguments.smoke
    names, training, held_out = read_examples(smoke)
    texts, asked = [d.text for d in training], [d.text for d in held_out]
    found = common.read_docstrings(smoke)
    every = [d.text for d in found if not common.is_held_out(d.content)]
    print(f"{len(every)} docstrings to pretrain on, {len(texts)} to fine-tune on", flush=True)
    size = 500 if smoke else 4000
    train = lmzoo.tokenizers.BytePairTokenizer.train
    tokenizer = train(iter(every), vocabulary_size=size)

    pretrained = train_stage(
        arguments, "pretrained", lambda: writing.make_gpt(tokenizer, smoke), every, 2e-3
    )
    tuned = train_stage(arguments, "fine-tuned", lambda: go_on(pretrained), texts, 1e-3)
    fresh = writing.make_gpt(tokenizer, smoke)
    lstm = baselines.LSTMLM(tokenizer, 32 if smoke else 256)
    print("Training the LSTM language model beside it", flush=True)
    lstm.fit(every, epochs=1, batch_size=64, learning_rate=4e-3, verbose=False)
    models = {
        "GPT, pretrained": pretrained,
        "GPT, fine-tuned too": tuned,
        "LSTM": lstm,
        "Kneser-Ney": baselines.KneserNeyLM(tokenizer).fit(every, False),
    }
    rows = {name: [writing.measure_bits(model, asked)] for name, model in models.items()}
    title = f"Bits per byte of {len(asked)} held-out docstrings"

    labelled = lmzoo.data.make_rows(text=texts, label=[d.package for d in training])
    truth = [names.index(d.package) for d in held_out]
    classifier = train_classifier(
        arguments, "classifier", lambda: load_classifier(tuned, names), labelled
    )
    other = train_classifier(arguments, "fresh", lambda: load_classifier(fresh, names), labelled)
    lstm = lstms.train_lstm_classifier(classifier, labelled, arguments.epochs)
    asked_rows = lmzoo.data.make_rows(text=asked, label=truth)
    labels = [names.index(d.package) for d in training]
    answers = {
        "GPT, pretrained": classifier.predict(asked, verbose=0).argmax(-1),
        "GPT, fresh": other.predict(asked, verbose=0).argmax(-1),
        "LSTM": lstms.predict_logits(lstm, classifier, asked_rows).argmax(-1),
        "bag of words": common.predict_with_bag_of_words(texts, labels, asked, ngram_range=(1, 2)),
        "most frequent class": [collections.Counter(labels).most_common(1)[0][0]] * len(truth),
    }
    common.print_figures(title, ["bits/byte"], rows, writing.LOWER)
    common.print_figures(
        f"Classes of {len(truth)} held-out docstrings, {len(names)} packages",
        ["accuracy", "macro F1"],
        {name: common.compute_scores(truth, found, len(names)) for name, found in answers.items()},
    )
    for question, found in zip(QUESTIONS, classifier.classify(list(QUESTIONS)), strict=True):
        print(question, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
