"""Which words made a classifier decide, and whether they are the ones that matter.

The classifier is that of `sentiment.py`. Integrated gradients and attention rollout rank the words
of each held-out sentence; then the best one, two and three words are deleted, and the figures say
how often the decision changes. Words that matter change it more often than random words do.
`--pictures FOLDER` draws one sentence (PNG needs matplotlib, HTML nothing).
"""

import pathlib
import random
import warnings

import numpy as np
import sentiment
from _helpers import common

import lmzoo

SENTENCES = ("The room was quiet, but the food was cold and salty.", "味道不错，可是服务太差了。")
MOST_WORDS = 3
# How often random words are drawn for each sentence.
DRAWS = 5


def rank_by_gradients(classifier, text):
    """The words of a text, those that speak most for its label first; and the rest of the sum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = lmzoo.explain.attribution(classifier, text)
    share = abs(found.gap) / max(abs(found.score - found.baseline_score), 1e-9)
    return sorted(found.words, key=lambda word: -word.value), share


def rank_by_rollout(classifier, text, words):
    """The words that the first token, which the head reads, takes most from."""
    found = lmzoo.explain.attention(classifier, text)
    row = found.rollout()[0]

    def add_up(word):
        return sum(
            weight
            for token, weight in zip(found.tokens, row, strict=True)
            if word.start <= token.start and token.end <= word.end
        )

    return sorted(words, key=lambda word: -add_up(word))


def delete(text, words):
    """The text without some of its words."""
    for word in sorted(words, key=lambda word: -word.start):
        text = text[: word.start] + text[word.end :]
    return " ".join(text.split())


def measure(classifier, texts):
    """How often the label changes without 1, 2 and 3 words, by who chose the words."""
    labels = [found["label"] for found in classifier.classify(texts)]
    generator, shortened, owners, shares = random.Random(0), [], [], []
    for text, label in zip(texts, labels, strict=True):
        words, share = rank_by_gradients(classifier, text)
        shares.append(share)
        orders = [("integrated gradients", words)]
        orders.append(("attention rollout", rank_by_rollout(classifier, text, words)))
        orders += [("random words", generator.sample(words, len(words))) for _ in range(DRAWS)]
        for name, order in orders:
            for count in range(1, MOST_WORDS + 1):
                # A text keeps a word at least.
                shortened.append(delete(text, order[: min(count, len(words) - 1)]))
                owners.append((name, count, label))
    flips = {}
    for (name, count, label), found in zip(owners, classifier.classify(shortened), strict=True):
        flips.setdefault(name, [[] for _ in range(MOST_WORDS)])[count - 1].append(
            found["label"] != label
        )
    print(f"Attributions miss {np.median(shares):.1e} of the change of the score (median).")
    common.print_figures(
        f"Decisions on {len(texts)} held-out sentences that change without some words",
        ["1 word", "2 words", "3 words"],
        {name: [float(np.mean(each)) for each in columns] for name, columns in flips.items()},
    )


def draw(classifier, folder):
    """Pictures of the first sentence, as PNG and as pages."""
    folder.mkdir(parents=True, exist_ok=True)
    attention = lmzoo.explain.attention(classifier, SENTENCES[0])
    attribution = lmzoo.explain.attribution(classifier, SENTENCES[0])
    lmzoo.explain.plot_attention(attention, folder / "attention.html")
    lmzoo.explain.plot_attribution(attribution, folder / "attribution.html")
    lmzoo.explain.plot_attention(attention, folder / "attention_heads.png")
    lmzoo.explain.plot_attention(attention, folder / "attention_rollout.png", view="rollout")
    lmzoo.explain.plot_attribution(attribution, folder / "attribution.png")


def main():
    parser = common.make_parser(__doc__, epochs=20)
    parser.add_argument("--pictures", type=pathlib.Path, metavar="FOLDER", help="draw into it")
    arguments = common.parse(parser)
    training, held_out = sentiment.read_examples()
    classifier = common.open_or_make(
        arguments, lambda: sentiment.make_task(training, arguments.smoke)
    )
    common.train(classifier, training, arguments, learning_rate=5e-4)
    texts = [row["text"] for row in held_out]
    measure(classifier, texts[:10] if arguments.smoke else texts)
    if arguments.pictures is not None:
        draw(classifier, arguments.pictures)
    for sentence in SENTENCES:
        label = classifier.classify(sentence)["label"]
        words, _ = rank_by_gradients(classifier, sentence)
        shown = ", ".join(f"{word.text} {word.value:+.2f}" for word in words[:MOST_WORDS])
        print(sentence, "->", f"{label} because of {shown}")


if __name__ == "__main__":
    main()
