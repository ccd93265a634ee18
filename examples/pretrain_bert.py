"""Pretrains a small BERT on the standard library's docstrings: a vocabulary, then hidden words.

Whole packages are held out. So are the docstrings that the other examples are measured on, so that
a backbone from here has not seen them.
"""

import collections

from _common import (
    is_held_out,
    make_encoder,
    make_parser,
    open_or_make,
    parse,
    print_figures,
    read_docstrings,
    train,
)

import lmzoo

PROMPTS = (
    "Return the [MASK] of the list.",
    "Raise an [MASK] if the file does not exist.",
    "If the argument is [MASK], the default value is used.",
)


def read_texts(smoke):
    """Texts to train on, and texts of held-out packages."""
    texts, held_out = [], []
    for docstring in read_docstrings(smoke):
        if is_held_out(docstring.package, share=8):
            held_out += cut(docstring.text)
        elif not is_held_out(docstring.content):
            texts += cut(docstring.text)
    return texts, held_out


def cut(text, num_characters=400):
    """Paragraphs, several in one text while they fit into the model's length together."""
    pieces = [""]
    for paragraph in text.split("\n\n"):
        if pieces[-1] and len(pieces[-1]) + len(paragraph) > num_characters:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]}\n\n{paragraph}".strip()
    return [piece for piece in pieces if piece]


def compare(lm, texts, held_out):
    """Accuracy on the hidden words of the held-out texts, of the model and of two counts."""
    import numpy as np

    counts, followers = collections.Counter(), collections.defaultdict(collections.Counter)
    for ids in lm.tokenizer.tokenize(texts).to_list():
        counts.update(ids)
        for before, after in zip([lm.tokenizer.start_token_id, *ids], ids, strict=False):
            followers[before][after] += 1
    common = counts.most_common(1)[0][0]
    after = {before: following.most_common(1)[0][0] for before, following in followers.items()}

    rows = lmzoo.data.make_rows(text=held_out)
    right, total = np.zeros(3, int), 0
    # The same words are hidden at each run: they are up to the number of their batch.
    for inputs, labels, weights, _ in rows.dataset(32, shuffle=False, encode=lm.encode):
        real = weights.numpy() > 0
        truth = labels.numpy()[real]
        guesses = lm(inputs, training=False).numpy().argmax(-1)[real]
        ids, places = inputs["token_ids"].numpy(), inputs["mask_positions"].numpy()
        before = np.take_along_axis(ids, np.maximum(places - 1, 0), axis=1)[real]
        followed = np.array([after.get(token, common) for token in before.tolist()])
        right += [(answer == truth).sum() for answer in (guesses, followed, common)]
        total += truth.size
    names = ("BERT", "likeliest after the word before", "most frequent word")
    print_figures(
        f"{total} hidden words of packages that were held out",
        ["accuracy"],
        {name: [count / total] for name, count in zip(names, right, strict=True)},
    )


def main():
    arguments = parse(make_parser(__doc__, epochs=12))
    texts, held_out = read_texts(arguments.smoke)
    print(f"{len(texts)} texts to train on, {len(held_out)} held out", flush=True)
    lm = open_or_make(
        arguments, lambda: lmzoo.tasks.MaskedLM(*make_encoder(texts, arguments.smoke))
    )
    train(lm, lmzoo.data.make_rows(text=texts), arguments, learning_rate=1e-3)
    compare(lm, texts, held_out)
    for prompt, words in zip(PROMPTS, lm.fill(list(PROMPTS), top_k=3), strict=True):
        print(prompt, "->", ", ".join(f"{word['token']} {word['score']:.2f}" for word in words))


if __name__ == "__main__":
    main()
