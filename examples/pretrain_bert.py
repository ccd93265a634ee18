"""What does a small BERT learn from the docstrings of the standard library?

It learns a vocabulary, then to fill masks, and is asked for the words behind masks. Whole packages
are held out. So are the docstrings that the other examples are measured on, so that a backbone from
here has not seen them.
"""

import functools

from _helpers import common, lstms

import lmzoo

PROMPTS = (
    "Return the [MASK] of the list.",
    "Raise an [MASK] if the file does not exist.",
    "If the argument is [MASK], the default value is used.",
)


def read_texts(smoke):
    """Texts to train on, and texts of held-out packages."""
    texts, held_out = [], []
    for docstring in common.read_docstrings(smoke):
        if common.is_held_out(docstring.package, share=8):
            held_out += cut(docstring.text)
        elif not common.is_held_out(docstring.content):
            texts += cut(docstring.text)
    return texts, held_out


def cut(text, num_characters=400):
    """Splits a text into chunks of whole paragraphs of at most `num_characters`, if these are."""
    chunks = [""]
    for paragraph in text.split("\n\n"):
        if chunks[-1] and len(chunks[-1]) + len(paragraph) > num_characters:
            chunks.append("")
        chunks[-1] = f"{chunks[-1]}\n\n{paragraph}".strip()
    return [chunk for chunk in chunks if chunk]


def compare(lm, texts, held_out, epochs):
    """Prints the accuracy on the masked tokens of held-out texts, beside three baselines."""
    import numpy as np

    most_frequent, after = lstms.count_tokens(texts, lm.tokenizer)
    build = functools.partial(lstms.build_masked, lm.backbone.vocabulary_size)
    batches = lstms.make_batches(lm, lmzoo.data.make_rows(text=texts))
    lstm = lstms.train_lstm(build, batches, epochs)
    rows = lmzoo.data.make_rows(text=held_out)
    right, total = np.zeros(4, int), 0
    # The number of the batch seeds the masking, so every run masks the same tokens.
    for inputs, labels, weights in lstms.make_batches(lm, rows, 32, shuffle=False):
        real = weights.numpy() > 0
        truth = labels.numpy()[real]
        guesses = lm(inputs, training=False).numpy().argmax(-1)[real]
        recurrent = lstm(lstms.inputs_of(lstm, inputs), training=False)
        recurrent = recurrent.numpy().argmax(-1)[real]
        ids, positions = inputs["token_ids"].numpy(), inputs["mask_positions"].numpy()
        before = np.take_along_axis(ids, np.maximum(positions - 1, 0), axis=1)[real]
        followed = np.array([after.get(token, most_frequent) for token in before.tolist()])
        answers = (guesses, recurrent, followed, most_frequent)
        right += [(answer == truth).sum() for answer in answers]
        total += truth.size
    names = ("BERT", "LSTM", "most frequent next token", "most frequent token")
    common.print_figures(
        f"{total} masked tokens of held-out packages",
        ["accuracy"],
        {name: [count / total] for name, count in zip(names, right, strict=True)},
    )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=12))
    texts, held_out = read_texts(arguments.smoke)
    print(f"{len(texts)} texts to train on, {len(held_out)} held out", flush=True)
    lm = common.open_or_make(
        arguments, lambda: lmzoo.tasks.MaskedLM(*common.make_encoder(texts, arguments.smoke))
    )
    common.train(lm, lmzoo.data.make_rows(text=texts), arguments, learning_rate=1e-3)
    compare(lm, texts, held_out, max(1, arguments.epochs // 2))
    for prompt, words in zip(PROMPTS, lm.fill(list(PROMPTS), top_k=3), strict=True):
        print(prompt, "->", ", ".join(f"{word['token']} {word['score']:.2f}" for word in words))


if __name__ == "__main__":
    main()
