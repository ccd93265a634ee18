"""Can a model read an answer out of a text? Answers questions about people who never were.

The facts are drawn anew for each text, so that an answer can only come from the text. Each fact has
two phrasings and two questions, and each text states the same facts of another person too.
One pair of a person and an answer in five is held out: it is in no text that the model learns from.
"""

import collections
import re
import time

from _helpers import lstms
from _helpers.common import make_parser, open_or_make, parse, print_figures, train
from _helpers.people import FACTS, draw_rows
from _helpers.text_to_text import generate_texts, make_t5

import lmzoo

EXAMPLE = (
    "question: What is the trade of Nola? context: Nola comes from Meguton. Kufe works as a "
    "dentist. Gobaburg is the home town of Kufe. The trade of a glazier is that of Nola."
)
MAX_NEW_TOKENS = 8
BATCH_SIZE = 64
# A step of an LSTM takes longer, and hardly longer with more rows.
LSTM_BATCH_SIZE = 256
LSTM_EPOCHS = 3


def train_word_tokenizer(rows):
    """Trains a tokenizer on single words, so that no token goes across words."""
    words = {word for row in rows for word in re.findall(r"\w+|[^\w\s]", row["source"])}
    train = lmzoo.tokenizers.SentencePieceTokenizer.train
    return train(iter(sorted(words)), 2000, "bpe", num_sentinels=0)


def make_task(rows, arguments):
    encoder = make_t5(lambda: train_word_tokenizer(rows), arguments.smoke)
    return lmzoo.tasks.Seq2SeqLM(*encoder)


def take_last_word(source, person):
    """The last word of the first sentence about a person."""
    context = source.partition(" context: ")[2]
    named = (text for text in context.split(".") if re.search(rf"\b{person}\b", text))
    return next(named).split()[-1]


def compare(lm, training, held_out):
    """Exact match, by what is asked for and of all, and F1, as SQuAD has them."""
    most_frequent = collections.Counter(row["target"] for row in training).most_common(1)[0][0]
    sources = [row["source"] for row in held_out]
    batches = lstms.make_batches(lm, training, LSTM_BATCH_SIZE)
    lstm = lstms.train_lstm_seq2seq(lm, batches, LSTM_EPOCHS)
    answers = {
        "T5": generate_texts(lm, sources, MAX_NEW_TOKENS),
        "LSTM": lstms.write_with_lstm(lstm, lm, sources, MAX_NEW_TOKENS),
        "last word about the person": [
            take_last_word(row["source"], row["person"]) for row in held_out
        ],
        "most frequent answer": [most_frequent] * len(sources),
    }
    rows = {}
    for name, found in answers.items():
        metrics = {fact: lmzoo.metrics.ExactMatch() for fact in (*FACTS, "all")}
        f1 = lmzoo.metrics.SquadF1()
        for row, answer in zip(held_out, found, strict=True):
            for metric in (metrics[row["fact"]], metrics["all"], f1):
                metric.update_state([[row["target"]]], [answer])
        rows[name] = [float(metric.result()) / 100 for metric in (*metrics.values(), f1)]
    title = f"Exact match on {len(sources)} questions whose answers were held out"
    print_figures(title, [*FACTS, "all", "F1 of all"], rows)


def main():
    arguments = parse(make_parser(__doc__, epochs=8))
    sizes = (300, 30) if arguments.smoke else (40_000, 600)
    training = draw_rows(sizes[0], arguments.seed)
    held_out = draw_rows(sizes[1], arguments.seed + 1, held_out=True)
    lm = open_or_make(arguments, lambda: make_task(training, arguments))
    started = time.perf_counter()
    train(lm, training, arguments, learning_rate=3e-3, batch_size=BATCH_SIZE, warmup=300)
    print(f"{lm.optimizer.iterations.numpy()} steps, {time.perf_counter() - started:.0f} seconds")
    compare(lm, training, held_out)
    for row in held_out.select(range(3)):
        print(row["source"], "->", lm.generate(row["source"], max_new_tokens=MAX_NEW_TOKENS))
    print(EXAMPLE, "->", lm.generate(EXAMPLE, max_new_tokens=MAX_NEW_TOKENS))


if __name__ == "__main__":
    main()
