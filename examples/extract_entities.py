"""Who, where, when and how much? Finds people, places, dates and sums in short news.

The sentences are made of templates; see `_helpers/news.py`. Of those that are measured, neither the
templates nor the names are in the training text, but for ten names that people and places share.
"""

import collections
import re

from _helpers import common, lstms
from _helpers.news import KINDS, MONTHS, TAGS, Writer

import lmzoo

TEXT = "On May 3, 2021 Lena Hartmann sold her boat in Rostock for 12,000 euros."
# What rules can say without knowing any name; words stand between single spaces.
MONTH = f"(?:{'|'.join(MONTHS)})"
NUMBER = r"(?:\d+(?: [,.] \d+)*|two|five|ten|twenty|ninety)(?: million)?"
PATTERNS = {
    "DATE": rf"\d{{4}} - \d\d - \d\d|(?:the )?\d+(?:th)? (?:of )?{MONTH}(?: \d{{4}})?"
    rf"|{MONTH} \d+(?: , \d{{4}})?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day",
    "SUM": rf"[$€£] {NUMBER}|{NUMBER} (?:euros|dollars|pounds|francs|crowns)",
}


def draw_rows(count, seed, held_out=False):
    writer, sentences = Writer(seed, held_out), {}
    while len(sentences) < count:
        words, tags = writer.write()
        sentences[tuple(words)] = tags
    words = [list(each) for each in sentences]
    return lmzoo.data.make_rows(words=words, tags=list(sentences.values()))


def make_task(rows, smoke):
    texts = (" ".join(row["words"]) for row in rows)
    # So small a vocabulary cuts every name into pieces, as it will those that it has never seen.
    # F1 after three epochs of 6,000 sentences: 0.24 with 4,000 tokens, 0.54 with 700, 0.61 with
    # biases by distance (relative attention) too.
    options = {"vocabulary_size": 700, "relative_attention": True}
    encoder = common.make_encoder(texts, smoke, lowercase=False, **options)
    return lmzoo.tasks.TokenClassifier(*encoder, labels=TAGS)


def make_gazetteer(rows):
    """dict from the names of people and places to the kind that they have most often."""
    counts = collections.defaultdict(collections.Counter)
    for row in rows:
        for kind, start, end in lmzoo.metrics.find_spans(row["tags"]):
            if kind in ("PERSON", "PLACE"):
                counts[" ".join(row["words"][start:end])][kind] += 1
    return {name: count.most_common(1)[0][0] for name, count in counts.items()}


def look_up(words, gazetteer, longest=8):
    """Tags by patterns, then by the longest known name; other capitalised words are people."""
    text, tags = " ".join(words), ["O"] * len(words)
    starts = {0} | {match.end() for match in re.finditer(" ", text)}

    def mark(start, end, kind):
        if set(tags[start:end]) == {"O"}:
            tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)

    for kind, pattern in PATTERNS.items():
        for match in re.finditer(rf"(?:{pattern})(?= |$)", text):
            if match.start() in starts:
                first = text[: match.start()].count(" ")
                mark(first, first + match.group().count(" ") + 1, kind)
    for start in range(len(words)):
        for end in range(min(len(words), start + longest), start, -1):
            if kind := gazetteer.get(" ".join(words[start:end])):
                mark(start, end, kind)
                break
    for match in re.finditer(r"(?<= )[A-Z]\w+(?: [A-Z]\w+)*", text):
        first = text[: match.start()].count(" ")
        mark(first, first + match.group().count(" ") + 1, "PERSON")
    return tags


def compare(tagger, training, held_out, epochs):
    """F1 of the spans of each kind and of all, by the rules of conlleval."""
    lstm = lstms.train_lstm_tagger(tagger, training, epochs)
    gazetteer = make_gazetteer(training)
    truth = [row["tags"] for row in held_out]
    answers = {
        "BERT": tagger.tag([row["words"] for row in held_out]),
        "LSTM": [
            [TAGS[number] for number in row] for row in lstms.tag_words(lstm, tagger, held_out)
        ],
        "gazetteer and patterns": [look_up(row["words"], gazetteer) for row in held_out],
    }
    figures = {}
    for name, tags in answers.items():
        scores = lmzoo.metrics.span_scores(truth, tags)
        figures[name] = [scores["types"][kind]["f1"] for kind in KINDS] + [scores["f1"]]
    title = f"F1 of spans in {len(truth)} sentences of held-out templates and names"
    common.print_figures(title, [*KINDS, "all"], figures)


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=3))
    sizes = (300, 100) if arguments.smoke else (10_000, 1000)
    training = draw_rows(sizes[0], arguments.seed)
    held_out = draw_rows(sizes[1], arguments.seed, held_out=True)
    print(f"{len(training)} sentences to train on, {len(held_out)} held out", flush=True)
    tagger = common.open_or_make(arguments, lambda: make_task(training, arguments.smoke))
    common.train(tagger, training, arguments, learning_rate=1e-3)
    compare(tagger, training, held_out, arguments.epochs)
    found = ", ".join(f"{span['text']} {span['label']}" for span in tagger.tag(TEXT))
    print(TEXT, "->", found or "nothing")


if __name__ == "__main__":
    main()
