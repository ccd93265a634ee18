"""How does this line of Python go on? Trains a small GPT and lets it complete lines as they come.

It learns from the source of the standard library; one file in twenty is held out. A line is cut
between two words or signs, and the model sees what stands before it. The completion is streamed and
ends where the line does, by the stop string "\\n".
"""

import difflib
import random
import re

from _helpers import common
from _helpers.completions import fit_lstm, generate_greedily, make_gpt, write_greedily

import lmzoo

LENGTH, CONTEXT, MAX_NEW_TOKENS = 192, 300, 24
PROMPTS = (
    "import os\n\n\ndef main(",
    "class Stack:\n    def __init__(self",
    "for i in range(",
    'with open(path, "rb") as ',
)


def read_files(smoke):
    """Source files, list of str each: to train on, held out."""
    halves = [], []
    for parts, source, _ in common.read_library(smoke):
        # Tables of character encodings are a tenth of the library, and no code.
        if parts[0] != "encodings" and source.strip():
            halves[common.is_held_out("/".join(parts), share=20)].append(source)
    return halves


def cut_lines(texts, count, tokenizer):
    """Pairs of what stands before a place in a line, whole lines and some, and its rest."""
    pairs, generator = {}, random.Random(0)
    while len(pairs) < count:
        lines = generator.choice(texts).splitlines(keepends=True)
        number = generator.randrange(len(lines))
        line = lines[number].rstrip()
        # The tokenizer joins a space with the word behind it, so no cut is behind a space.
        cuts = [found.start() for found in re.finditer(r"(?<=\S)(?=\W)|(?<=[^\w\s])(?=\w)", line)]
        if len(line.strip()) >= 12 and cuts:
            cut = generator.choice(cuts)
            before = "".join(lines[:number])
            if len(before) > CONTEXT:
                before = before[-CONTEXT:].partition("\n")[2]
            prompt = before + line[:cut]
            # A token is a character or less in what is no code, as names in other scripts.
            if len(tokenizer.tokenize([prompt])[0]) <= LENGTH - MAX_NEW_TOKENS:
                pairs[prompt] = line[cut:]
    return list(pairs.items())


def score_lines(texts, truth):
    """Exact match, and the mean similarity of Ratcliff and Obershelp, of the first lines."""
    lines = [text.partition("\n")[0].rstrip() for text in texts]
    pairs = zip(lines, truth, strict=True)
    similar = [difflib.SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in pairs]
    return [lmzoo.metrics.match_rate(lines, truth), sum(similar) / len(similar)]


def make_batches(lm, texts, seed):
    rows = lmzoo.data.make_rows(text=texts)
    return lmzoo.data.causal_lm(rows, lm.tokenizer, LENGTH, batch_size=32, seed=seed)


def compare(lm, texts, batches, pairs):
    """Exact match and edit similarity of the rest of each line."""
    prompts, truth = map(list, zip(*pairs, strict=True))
    breaks = {
        number
        for number in range(lm.tokenizer.vocabulary_size)
        if "\n" in lm.tokenizer.detokenize([[number]]).numpy()[0].decode("utf-8", "replace")
    }
    baselines = {
        "LSTM": fit_lstm(lm.tokenizer, batches, LENGTH),
        "Kneser-Ney 5-grams": lmzoo.evaluation.baselines.KneserNeyLM(lm.tokenizer).fit(texts),
    }
    options = {"max_new_tokens": MAX_NEW_TOKENS, "stop_strings": ["\n"]}
    answers = {"GPT": generate_greedily(lm, prompts, **options)}
    for name, baseline in baselines.items():
        answers[name] = write_greedily(baseline, prompts, MAX_NEW_TOKENS, breaks.__contains__)
    common.print_figures(
        f"The rest of {len(truth)} lines of held-out files",
        ["exact match", "edit similarity"],
        {name: score_lines(found, truth) for name, found in answers.items()},
    )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=1))
    texts, held_out = read_files(arguments.smoke)
    print(f"{len(texts)} files to train on, {len(held_out)} held out", flush=True)

    def make():
        size = 512 if arguments.smoke else 2048
        tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(texts), size)
        return make_gpt(tokenizer, LENGTH, arguments.smoke)

    lm = common.open_or_make(arguments, make)
    batches = make_batches(lm, texts, arguments.seed)
    common.train(lm, batches, arguments, learning_rate=3e-3, warmup=100)
    # For the LSTM a dataset that begins anew, with the same order.
    batches = make_batches(lm, texts, arguments.seed)
    pairs = cut_lines(held_out, 10 if arguments.smoke else 300, lm.tokenizer)
    compare(lm, texts, batches, pairs)
    for prompt in PROMPTS:
        print(f"{prompt.splitlines()[-1]} -> ", end="", flush=True)
        for piece in lm.stream(prompt, max_new_tokens=MAX_NEW_TOKENS, stop_strings=["\n"]):
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
