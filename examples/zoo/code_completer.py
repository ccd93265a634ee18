"""Makes `code-completer`: a GPT that completes Python source.

It learns from the source of Python's own standard library, without its tests and its tables of
character encodings. One file in twenty is held out.
"""

import random
import re

import _zoo as zoo
from _cards import CODE_COMPLETER
from _generative import WritingLSTM, WritingNGrams, measure_accuracy, score_answers
from _helpers.completions import generate_greedily, make_gpt
from _publishing import publish, store

import lmzoo

LENGTH, BATCH_SIZE, CONTEXT = 256, 16, 500
PROMPTS = (
    "import os\n\n\ndef main(",
    "class Stack:\n    def __init__(self",
    "for i in range(",
    'if __name__ == "__main__":\n',
    "def read_lines(path):\n",
)


def read_files(smoke=False):
    """Source files, list of str each: to train on, held out."""
    halves = [], []
    for parts, source, _ in zoo.common.read_library(smoke):
        if parts[0] != "encodings" and source.strip():
            halves[zoo.common.is_held_out("/".join(parts), share=20)].append(source)
    return halves


def cut_lines(texts, tokenizer, count):
    """Rows of `source`, the code up to somewhere inside of a line, and `target`, its rest."""
    rows, generator = [], random.Random(0)
    while len(rows) < count:
        text = generator.choice(texts)
        lines = text.splitlines(keepends=True)
        number = generator.randrange(len(lines))
        line = lines[number].rstrip()
        # Between two words or signs, where no space is left at the end of the prompt.
        cuts = [match.start() for match in re.finditer(r"(?<=\S)(?=\W)|(?<=[^\w\s])(?=\w)", line)]
        if len(line.strip()) < 12 or not cuts:
            continue
        cut = generator.choice(cuts)
        before = "".join(lines[:number])[-CONTEXT:]
        # It begins with a whole line.
        before = before.partition("\n")[2] if number and len(before) == CONTEXT else before
        source = before + line[:cut]
        if len(tokenizer.tokenize(source)) <= LENGTH - 32:
            rows.append({"source": source, "target": line[cut:]})
    return rows


def evaluate(lm, texts, held_out, rows, data, path):
    """The evaluations of the model, of n-grams, and of an LSTM, which reads the text once."""
    tokenizer, sources = lm.tokenizer, [row["source"] for row in rows]
    prompts = tokenizer.tokenize(sources).to_list()
    n_grams = WritingNGrams(tokenizer, texts)
    lstm = WritingLSTM(tokenizer, end_token_id=-1, max_sequence_length=LENGTH)
    lstm.fit(data, path)

    def find_best(ids):
        return lm({"token_ids": ids}).numpy().argmax(axis=-1)

    found = []
    for name, model, predict, written in (
        ("code-completer", lm, find_best, generate_greedily(lm, sources, max_new_tokens=32)),
        ("Kneser-Ney", n_grams.baseline, n_grams.find_some, n_grams.write(prompts, 32)),
        ("LSTM, one epoch", lstm.baseline, lstm.find_best, lstm.write(prompts, 32)),
    ):
        one = lmzoo.evaluate(model, {"text": held_out}, ["bits_per_byte"], name=name)
        accuracy = measure_accuracy(predict, tokenizer, held_out, LENGTH)
        lines = [text.partition("\n")[0].rstrip() for text in written]
        lines = score_answers(lm, name, rows, lines, ["match_rate"], {}).scores["match_rate"]
        one.scores.update(next_token_accuracy=accuracy, line_completed=lines)
        found.append(one)
    return found


def main():
    arguments = zoo.parse(__doc__, "code-completer")
    texts, held_out = read_files(arguments.smoke)
    print(f"{len(texts)} files to train on, {len(held_out)} held out", flush=True)
    size = 512 if arguments.smoke else 2048
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(texts), size)
    lm = make_gpt(tokenizer, LENGTH, arguments.smoke, temperature=0.0, max_new_tokens=48)
    corpus, options = lmzoo.data.make_rows(text=texts), {"seed": 0, "document_mask": False}
    data = lmzoo.data.causal_lm(corpus, tokenizer, LENGTH, BATCH_SIZE, **options)
    epochs = 1 if arguments.smoke else 4
    zoo.fit(lm, data, arguments, "training", learning_rate=3e-3, epochs=epochs)
    stored = store(lm, arguments)
    rows = cut_lines(held_out, tokenizer, 10 if arguments.smoke else 200)
    path = arguments.folder / "lstm.weights.h5"
    evaluations = evaluate(stored, texts, held_out, rows, data, path)
    shown = [(prompt, stored.generate(prompt, return_prompt=False)) for prompt in PROMPTS]
    publish(stored, arguments, CODE_COMPLETER._replace(shown=shown), evaluations, rows[:100])


if __name__ == "__main__":
    main()
