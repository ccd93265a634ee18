"""Makes `number-translator`: numbers below a million and dates, in English, Chinese and digits.

Pairs are written by the rules of each language (`examples/_helpers/numbers.py`). One value in ten
is held out: no pair that the model learns from has it, in any direction.
"""

import random

import _zoo as zoo
import numpy as np
from _cards import NUMBER_TRANSLATOR
from _generative import WritingLSTM, make_batches, score_answers
from _helpers.completions import generate_greedily
from _helpers.numbers import FORMS
from _publishing import publish, store
from translate_numbers import (
    DIRECTIONS,
    KINDS,
    draw_values,
    make_rows,
    train_word_tokenizer,
    translate_words,
)

import lmzoo

BATCH_SIZE, LENGTH, MAX_NEW_TOKENS = 128, 64, 32


def make_task(tokenizer, smoke=False):
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 128, "intermediate_dim": 192}
    if smoke:
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 32}
    # The order of digits depends on exact distances: each up to 31 has its own bucket.
    buckets = {"num_buckets": 64, "max_distance": 64}
    backbone = lmzoo.models.T5Backbone(
        tokenizer.vocabulary_size,
        head_dim=32,
        max_sequence_length=LENGTH,
        dropout=0.0,
        **buckets,
        **sizes,
    )
    defaults = {"max_new_tokens": MAX_NEW_TOKENS}
    return lmzoo.tasks.Seq2SeqLM(backbone, tokenizer, generation_defaults=defaults)


def draw_held_out(count):
    """Held-out rows of all directions: dicts with `source`, `target`, `kind` and `direction`."""
    generator = random.Random(1)
    return [
        {
            "source": f"{one} to {other}: {FORMS[one](value)}",
            "target": FORMS[other](value),
            "kind": kind,
            "direction": f"{one}-{other}",
        }
        for kind in KINDS
        for one, other in DIRECTIONS
        for value in draw_values(kind, count, generator, held_out=True)
    ]


def train_lstm(tokenizer, rows, path):
    """An LSTM that reads the source and goes on with the target, in as many steps as the model."""
    num_steps = len(rows) // BATCH_SIZE
    rows = [rows[index] for index in range(num_steps * BATCH_SIZE)]
    sources, targets = (
        tokenizer.tokenize([row[name] for row in rows]).to_list() for name in ("source", "target")
    )
    length = max(map(len, sources)) + max(map(len, targets)) + 2
    ids = np.zeros([len(rows), length], "uint16")
    weights = np.zeros([len(rows), length - 1], bool)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        row = [*source, tokenizer.end_token_id, *target, tokenizer.end_token_id]
        ids[index, : len(row)] = row
        weights[index, len(source) : len(row) - 1] = True
    data = make_batches(ids, weights, BATCH_SIZE, num_steps)
    return WritingLSTM(tokenizer, tokenizer.end_token_id).fit(data, path)


def evaluate(lm, rows, held_out, path):
    """The evaluations of the model, of an LSTM and of a translation word by word."""
    tokenizer, sources = lm.tokenizer, [row["source"] for row in held_out]
    prompts = tokenizer.tokenize(sources).to_list()
    lstm = train_lstm(tokenizer, rows, path)
    split = [source.partition(": ")[0].split(" to ") for source in sources]
    answers = {
        "number-translator": generate_greedily(lm, sources, 100),
        "LSTM": lstm.write([[*ids, tokenizer.end_token_id] for ids in prompts], MAX_NEW_TOKENS),
        "word for word": [
            translate_words(source.partition(": ")[2], *forms)
            for source, forms in zip(sources, split, strict=True)
        ],
    }
    groups = {
        name: [name in (row["kind"], row["direction"]) for row in held_out]
        for name in (*KINDS, *(f"{one}-{other}" for one, other in DIRECTIONS))
    }
    return [
        score_answers(lm, name, held_out, texts, ["match_rate"], groups)
        for name, texts in answers.items()
    ]


def main():
    arguments = zoo.parse(__doc__, "number-translator")
    smoke = arguments.smoke
    sizes = (40, 10) if smoke else (40_000, 16_000)
    values = [
        value
        for seed, (kind, size) in enumerate(zip(KINDS, sizes, strict=True))
        for value in draw_values(kind, size, random.Random(arguments.seed + seed))
    ]
    rows = make_rows(values)
    lm = make_task(train_word_tokenizer(), smoke)
    zoo.fit(lm, rows, arguments, "training", learning_rate=2e-3, epochs=1, batch_size=BATCH_SIZE)
    stored = store(lm, arguments)
    held_out = draw_held_out(2 if smoke else 250)
    evaluations = evaluate(stored, rows, held_out, arguments.folder / "lstm.weights.h5")
    sample = random.Random(0).sample(held_out, min(120, len(held_out)))
    publish(stored, arguments, NUMBER_TRANSLATOR, evaluations, sample)
    for row in sample[:8]:
        print(row["source"], "->", stored.generate(row["source"]))


if __name__ == "__main__":
    main()
