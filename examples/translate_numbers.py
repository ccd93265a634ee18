"""Can a small T5 learn to translate numbers and dates between English, Chinese and digits?

The numbers are below a million. `_helpers/numbers.py` writes as many pairs as are wanted, by the
rules of each language. One value in ten is held out: no pair that the model learns from has it, in
any direction.
"""

import random
import time

from _helpers import lstms
from _helpers.common import is_held_out, make_parser, open_or_make, parse, print_figures, train
from _helpers.numbers import FORMS, KINDS, draw_value, list_words, translate_words
from _helpers.text_to_text import generate_texts, make_t5

import lmzoo

DIRECTIONS = [(one, other) for one in FORMS for other in FORMS if one != other]
QUESTIONS = (
    "English to Chinese: two hundred and two thousand and twenty",
    "Chinese to English: 十二万零三百零五",
    "Chinese to digits: 二〇二四年五月三日",
    "digits to English: 1999-12-31",
)
BATCH_SIZE = 64
# A step of an LSTM takes longer, and hardly longer with more rows.
LSTM_BATCH_SIZE = 256
LSTM_EPOCHS = 2
MAX_NEW_TOKENS = 24


def draw_values(kind, count, generator, held_out=False):
    """So many values of one side of the split; to be measured on, each is another one."""
    values, seen = [], set()
    while len(values) < count:
        value = draw_value(kind, generator)
        if is_held_out(str(value), share=10) == held_out and not (held_out and value in seen):
            values.append(value)
            seen.add(value)
    return values


def make_rows(values):
    """All directions as one task, its sources marked as in "English to digits: twenty-one"."""
    texts = {form: [write(value) for value in values] for form, write in FORMS.items()}
    tasks = {
        f"{one} to {other}": lmzoo.data.make_rows(source=texts[one], target=texts[other])
        for one, other in DIRECTIONS
    }
    return lmzoo.data.mix(tasks)


def train_word_tokenizer():
    """Trains a tokenizer of whole English words, single digits and single Chinese characters.

    Trained on the pairs, it might have one token for "2024" and three for "2025", and the model
    would have to learn the spelling of each.
    """
    return lmzoo.tokenizers.SentencePieceTokenizer.train(
        iter(list_words()), 400, "bpe", num_sentinels=0
    )


def make_task(arguments):
    # The order of digits depends on exact distances, so distances up to 15 have their own bucket.
    sizes = {"num_buckets": 64, "max_distance": 64}
    return lmzoo.tasks.Seq2SeqLM(*make_t5(train_word_tokenizer, arguments.smoke, **sizes))


def compare(lm, training, count, seed):
    """The share of held-out values that are written without a mistake, in each direction."""
    batches = lstms.make_batches(lm, training, LSTM_BATCH_SIZE)
    lstm = lstms.train_lstm_seq2seq(lm, batches, LSTM_EPOCHS)
    for kind in KINDS:
        generator = random.Random(seed + 1)
        rows = {"T5": [], "LSTM": [], "word for word": []}
        for one, other in DIRECTIONS:
            values = draw_values(kind, count, generator, held_out=True)
            texts, truth = ([FORMS[form](value) for value in values] for form in (one, other))
            sources = [f"{one} to {other}: {text}" for text in texts]
            for name, answers in (
                ("T5", generate_texts(lm, sources, MAX_NEW_TOKENS)),
                ("LSTM", lstms.write_with_lstm(lstm, lm, sources, MAX_NEW_TOKENS)),
                ("word for word", [translate_words(text, one, other) for text in texts]),
            ):
                rows[name].append(lmzoo.metrics.match_rate(answers, truth))
        for shares in rows.values():
            shares.append(sum(shares) / len(shares))
        names = [f"{one[:2]}-{other[:2]}" for one, other in DIRECTIONS]
        title = f"Exact match on held-out {kind}, {count} in each direction"
        print_figures(title, [*names, "all"], rows)


def main():
    arguments = parse(make_parser(__doc__, epochs=2))
    sizes, count = ((40, 10), 5) if arguments.smoke else ((12_000, 4_000), 100)
    generator = random.Random(arguments.seed)
    values = [
        value
        for kind, size in zip(KINDS, sizes, strict=True)
        for value in draw_values(kind, size, generator)
    ]
    rows = make_rows(values)
    lm = open_or_make(arguments, lambda: make_task(arguments))
    started = time.perf_counter()
    train(lm, rows, arguments, learning_rate=3e-3, batch_size=BATCH_SIZE, warmup=500)
    print(f"{lm.optimizer.iterations.numpy()} steps, {time.perf_counter() - started:.0f} seconds")
    compare(lm, rows, count, arguments.seed)
    answers = generate_texts(lm, list(QUESTIONS), MAX_NEW_TOKENS)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(question, "->", answer)


if __name__ == "__main__":
    main()
