"""Can a model sort texts into classes that it was never trained on?

Two small models read docstrings of the standard library with the words of the name of what each
describes, "text file readline". Held-out docstrings are then sorted into ten subjects, such as
"compressed archives": by a GPT, in which the likelihood of a subject rises most after the text
(`ZeroShotClassifier`), and by an embedder, whose vector of it is nearest to the text's. No subject
was ever a label, and nothing is trained for the sorting.
"""

import collections

from _helpers import common, lstms, writing
from _helpers.completions import make_gpt
from _helpers.subjects import PROMPT, SUBJECTS, read_examples

import lmzoo

LENGTH = 160
QUESTIONS = (
    "Return the day of the week of the given date.",
    "Send the mail to all recipients.",
    "Draw the label and its border.",
)


def train_gpt(arguments, pairs):
    texts = [f"{text}{PROMPT} {name}" for text, name in pairs]

    def make():
        size = 500 if arguments.smoke else 2000
        tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(texts), size)
        return make_gpt(tokenizer, LENGTH, arguments.smoke)

    stage = writing.take_stage(arguments, "gpt", 6)
    lm = common.open_or_make(stage, make)
    writing.train_lm(lm, texts, stage, learning_rate=3e-3, batch_size=32, warmup=100)
    # Labels differ in length, and "logging" is frequent: neither is to count.
    options = {"template": f"{PROMPT} {{}}", "normalize": True, "calibrate": True}
    return lmzoo.tasks.ZeroShotClassifier(lm, **options)


def train_embedder(arguments, rows):
    def make():
        texts = (text for pair in rows for text in (pair["text"], pair["pair"]))
        encoder = common.make_encoder(texts, arguments.smoke, max_sequence_length=96)
        return lmzoo.tasks.TextEmbedder(*encoder, pooling="mean")

    stage = writing.take_stage(arguments, "embedder")
    embedder = common.open_or_make(stage, make)
    common.train(embedder, rows, stage, learning_rate=5e-4, batch_size=64, warmup=50)
    return embedder


def compare(zero_shot, embedder, rows, held_out, epochs):
    """Accuracy and macro F1 of subjects that nothing was trained on."""
    import numpy as np

    subjects = sorted({subject for _, subject in held_out})
    texts, truth = zip(*((t, subjects.index(subject)) for t, subject in held_out), strict=True)
    texts = list(texts)
    lstm = lstms.train_lstm_embedder(embedder, rows, epochs)
    # Pairs of any texts: each side has a vector of its own.
    names = [subjects[index % len(subjects)] for index in range(len(texts))]
    asked = lmzoo.data.make_rows(text=names, pair=texts)
    of_names, of_texts = lstms.embed_pairs(lstm, embedder, asked)
    answers = {
        "GPT": [subjects.index(one["label"]) for one in zero_shot.classify(texts, subjects)],
        "embedder": (embedder.embed(texts) @ embedder.embed(subjects).T).argmax(1),
        "LSTM embedder": (of_texts @ of_names[: len(subjects)].T).argmax(1),
        "words in common": lmzoo.evaluation.baselines.BM25().make_scorer(texts)(subjects).argmax(0),
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
    arguments = common.parse(common.make_parser(__doc__, epochs=4))
    pairs, held_out = read_examples(arguments.smoke)
    print(f"{len(pairs)} docstrings to train on, {len(held_out)} held out", flush=True)
    texts, names = map(list, zip(*pairs, strict=True))
    rows = lmzoo.data.make_rows(text=names, pair=texts)
    zero_shot = train_gpt(arguments, pairs)
    embedder = train_embedder(arguments, rows)
    compare(zero_shot, embedder, rows, held_out, arguments.epochs)
    index = lmzoo.tasks.EmbeddingIndex(embedder, list(SUBJECTS))
    for text, found in zip(QUESTIONS, index.search(list(QUESTIONS), k=1), strict=True):
        print(text, "->", f"{found[0]['text']} {found[0]['score']:.2f}")


if __name__ == "__main__":
    main()
