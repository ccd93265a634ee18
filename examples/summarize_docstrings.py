"""How would one line sum up this description? Writes a docstring's first line from the rest.

One docstring in five is held out. The T5 has fresh weights, or those of
`pretrain_t5.py --folder FOLDER`, which has seen none of the held-out docstrings.
"""

import re

from _helpers import lstms
from _helpers.common import make_parser, open_or_make, parse, print_figures, read_pairs, train
from _helpers.text_to_text import (
    add_backbone,
    compile_as_published,
    generate_texts,
    make_t5,
    train_sentence_piece,
)

import lmzoo

MAX_NEW_TOKENS = 24
BODY = (
    "Returns a list of the names of the files in the folder. The names are sorted. If the folder "
    "does not exist, FileNotFoundError is raised."
)


def make_task(pairs, arguments):
    texts = (text for pair in pairs for text in pair)
    # So few pairs would soon be known by heart.
    encoder = make_t5(
        lambda: train_sentence_piece(texts, arguments.smoke),
        arguments.smoke,
        arguments.backbone,
        dropout=0.1,
    )
    return compile_as_published(lmzoo.tasks.Seq2SeqLM(*encoder, prefix="summarize: "))


def cut_bodies(lm, bodies):
    """What the model reads of each body: its beginning, where it is too long."""
    # The prefix and the end token take some of the room.
    room = lm.sequence_length - len(lm.tokenizer.tokenize(lm.prefix)) - 1
    _, _, ends = lm.tokenizer.tokenize_with_offsets(bodies)
    return [
        body[: end[room - 1]] if len(end) > room else body
        for body, end in zip(bodies, ends.to_list(), strict=True)
    ]


def take_lead(body):
    """The first sentence."""
    return " ".join(re.split(r"(?<=[.!?:])\s|\n\s*\n", body, maxsplit=1)[0].split())


def print_scores(answers, pairs):
    """ROUGE F1 of written first lines, of the bodies' first sentences and of one fixed line."""
    firsts, bodies = [first for first, _ in pairs], [body for _, body in pairs]
    answers = {
        **answers,
        "lead sentence": [take_lead(body) for body in bodies],
        "one line for all": ["Return the name of the file."] * len(bodies),
    }
    figures = {}
    for name, found in answers.items():
        scores = lmzoo.metrics.rouge(found, firsts)
        figures[name] = [scores[key]["f1"] for key in ("rouge1", "rouge2", "rougeL")]
    title = f"F1 on the first lines of {len(pairs)} held-out docstrings"
    print_figures(title, ["ROUGE-1", "ROUGE-2", "ROUGE-L"], figures)


def compare(lm, rows, held_out, epochs):
    """The figures of model and LSTM, and some of the model's lines."""
    firsts, bodies = [first for first, _ in held_out], [body for _, body in held_out]
    sources = cut_bodies(lm, bodies)
    lstm = lstms.train_lstm_seq2seq(lm, lstms.make_batches(lm, rows), epochs)
    answers = {
        "T5": generate_texts(lm, sources, MAX_NEW_TOKENS),
        "LSTM": lstms.write_with_lstm(lstm, lm, sources, MAX_NEW_TOKENS),
    }
    print_scores(answers, held_out)
    for first, written in list(zip(firsts, answers["T5"], strict=True))[:5]:
        print(f"{first}\n  -> {written}")


def main():
    parser = make_parser(__doc__, epochs=12)
    add_backbone(parser)
    arguments = parse(parser)
    training, held_out = read_pairs(arguments.smoke)
    print(f"{len(training)} pairs to train on, {len(held_out)} held out", flush=True)
    lm = open_or_make(arguments, lambda: make_task(training, arguments))
    bodies = cut_bodies(lm, [body for _, body in training])
    rows = lmzoo.data.make_rows(source=bodies, target=[first for first, _ in training])
    train(lm, rows, arguments, learning_rate=3e-2, warmup=200)
    compare(lm, rows, held_out, arguments.epochs)
    print(BODY, "->", lm.generate(BODY, max_new_tokens=MAX_NEW_TOKENS))


if __name__ == "__main__":
    main()
