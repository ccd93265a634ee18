"""Which docstring answers a question? Trains an embedder, and searches with it.

It learns that the first line of a docstring is to find the rest. One docstring in five is held out;
among their bodies each of their first lines looks for its own. A question on the command line, such
as "open a file in binary mode", is answered from all bodies. The encoder has fresh weights, or
those of `pretrain_bert.py --folder FOLDER`, which has seen none of the held-out docstrings.
"""

import pathlib

from _helpers import lstms
from _helpers.common import (
    make_encoder,
    make_parser,
    open_or_make,
    parse,
    print_figures,
    read_pairs,
    train,
)

import lmzoo

QUESTION = "send a message to a server"


def make_task(pairs, arguments):
    texts = (text for pair in pairs for text in pair)
    encoder = make_encoder(texts, arguments.smoke, arguments.backbone)
    return lmzoo.tasks.TextEmbedder(*encoder, pooling="mean")


def rank_with_embedder(embedder, questions, bodies):
    """Which bodies come first for each question, the ten best: list of lists of int."""
    index = lmzoo.tasks.EmbeddingIndex(embedder, bodies)
    return [[found["index"] for found in row] for row in index.search(questions, k=10)]


def rank_with_words(questions, bodies):
    """The same by the cosine of TF-IDF weights; None without scikit-learn."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        return None
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    weights = vectorizer.fit_transform(bodies)
    scores = (vectorizer.transform(questions) @ weights.T).toarray()
    return (-scores).argsort(axis=1, kind="stable")[:, :10].tolist()


def rank_with_lstm(embedder, training, held_out, epochs):
    """The same with an LSTM that has learned the same pairs."""
    lstm = lstms.train_lstm_embedder(embedder, training, epochs)
    questions, bodies = lstms.embed_pairs(lstm, embedder, held_out)
    return (-(questions @ bodies.T)).argsort(axis=1, kind="stable")[:, :10].tolist()


def make_rows(pairs):
    firsts, bodies = zip(*pairs, strict=True)
    return lmzoo.data.make_rows(text=firsts, pair=bodies)


def compare(embedder, training, held_out, epochs):
    """The share of first lines whose own body comes first, or is among the first ten."""
    questions, bodies = [first for first, _ in held_out], [body for _, body in held_out]
    ranked = {
        "embedder": rank_with_embedder(embedder, questions, bodies),
        "LSTM": rank_with_lstm(embedder, make_rows(training), make_rows(held_out), epochs),
        "TF-IDF": rank_with_words(questions, bodies),
    }
    rows = {name: None if found is None else recalls(found) for name, found in ranked.items()}
    rows["guessing"] = [min(1.0, k / len(bodies)) for k in (1, 10)]
    title = f"{len(questions)} held-out first lines, each looking for its own of as many bodies"
    print_figures(title, ["recall@1", "recall@10"], rows)


def recalls(ranked):
    count = len(ranked)
    return [sum(own in row[:k] for own, row in enumerate(ranked)) / count for k in (1, 10)]


def main():
    parser = make_parser(__doc__, epochs=10)
    parser.add_argument("question", nargs="?", default=QUESTION, help=f"such as: {QUESTION}")
    parser.add_argument(
        "--backbone", type=pathlib.Path, metavar="FOLDER", help="begin with that pretrained model"
    )
    arguments = parse(parser)
    training, held_out = read_pairs(arguments.smoke)
    print(f"{len(training)} pairs to train on, {len(held_out)} held out", flush=True)
    embedder = open_or_make(arguments, lambda: make_task(training, arguments))
    train(embedder, make_rows(training), arguments, learning_rate=5e-4)
    compare(embedder, training, held_out, arguments.epochs)
    texts = [f"{first}\n{body}" for first, body in training + held_out]
    print(arguments.question)
    for found in lmzoo.tasks.EmbeddingIndex(embedder, texts).search(arguments.question, k=3):
        print(f"  {found['score']:.2f}  {found['text'].splitlines()[0]}")


if __name__ == "__main__":
    main()
