"""Makes `docstring-search`: finds the docstring that answers a question.

An encoder learns that the first line of each docstring belongs to the rest of it. One docstring in
five is held out, by its rest.

With --ask "open a file in binary mode" it trains nothing: the finished model searches all
docstrings of this Python's standard library.
"""

import random

import _zoo as zoo
from _publishing import About, publish, store

import lmzoo

QUESTION = "send a message to a server"
ABOUT = About(
    title="Finds the docstring that answers a question, by embeddings of 128 numbers",
    job="It answers: which function does this? The nearest texts to a question are found without "
    "sharing its words.",
    data="Pairs of the first line and the rest of the docstrings of Python's standard library. "
    "They are under the licence of the Python Software Foundation.",
    held_out="Each held-out first line looks for the rest of its own docstring among those of all "
    "held-out docstrings, one in five, chosen by a hash of the text.",
    limits=[
        "Trained on the docstrings of one library: everyday text and other fields are strange to "
        "it.",
        "English alone, and at most 64 tokens of a text are read.",
        "Where question and text share rare words, a search by words is hard to beat.",
    ],
    usage="""
texts = ["Open a file in binary mode.", "Return the mean of the data.", "Close the socket."]
index = lmzoo.tasks.EmbeddingIndex(model, texts)
print(index.search("average of numbers", k=1))
""",
    text="average of numbers",
    command="embed",
)


def evaluate(embedder, held_out):
    """The evaluations of the model and of BM25."""
    columns, metrics = to_columns(held_out), ["recall@1", "recall@10", "mrr"]
    return [
        lmzoo.evaluate(embedder, columns, metrics, name="docstring-search"),
        *lmzoo.evaluation.baselines.evaluate_baselines(embedder, columns, metrics),
    ]


def to_columns(pairs):
    return {"text": [first for first, _ in pairs], "pair": [body for _, body in pairs]}


def search(embedder, question, k=3):
    """Prints the docstrings of the standard library that are nearest to a question."""
    texts = [docstring.text for docstring in zoo.common.read_docstrings()]
    print(question)
    for found in lmzoo.tasks.EmbeddingIndex(embedder, texts).search(question, k=k):
        print(f"  {found['score']:.2f}  {found['text'].strip().splitlines()[0]}")


def main():
    arguments = zoo.parse(__doc__, "docstring-search", ask="a question to answer")
    if arguments.ask is not None:
        search(lmzoo.load("docstring-search"), arguments.ask)
        return
    training, held_out = zoo.common.read_pairs(arguments.smoke)
    print(f"{len(training)} pairs to train on, {len(held_out)} held out", flush=True)
    texts = (text for pair in training for text in pair)
    encoder = zoo.common.make_encoder(texts, arguments.smoke)
    embedder = lmzoo.tasks.TextEmbedder(*encoder, pooling="mean", sequence_length=64)
    rows = lmzoo.data.make_rows(**to_columns(training))
    epochs = 1 if arguments.smoke else 10
    zoo.fit(embedder, rows, arguments, "search", learning_rate=1e-3, epochs=epochs, batch_size=64)

    stored = store(embedder, arguments)
    sample = random.Random(0).sample(held_out, min(100, len(held_out)))
    rows = [{"text": first, "pair": body} for first, body in sample]
    publish(stored, arguments, ABOUT, evaluate(stored, held_out), rows)


if __name__ == "__main__":
    main()
