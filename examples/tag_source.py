"""What kind of token does each word of a line of Python stand in? Tags the words.

The truth comes from Python's own `tokenize`. A word is a name, a number or a single sign, so that
`for` is a keyword in code and a part of a string or a comment elsewhere: what a word is depends on
its line. Files are held out, one in five.
"""

import collections
import io
import keyword
import random
import re
import tokenize

from _helpers import common, lstms

import lmzoo

TAGS = ["NAME", "KEYWORD", "OP", "NUMBER", "STRING", "COMMENT"]
LINE = "x = 1  # one"


def read_examples(smoke, seed):
    """Lines of source, each a pair of words and tags: those to train on and those held out."""
    halves = {}, {}
    for parts, source, _ in common.read_library(smoke):
        lines = halves[common.is_held_out("/".join(parts))]
        lines.update((tuple(words), tags) for words, tags in tag_lines(source))
    sizes = (400, 200) if smoke else (20000, 3000)
    # A line that is in both halves is only trained on.
    held_out = {words: tags for words, tags in halves[True].items() if words not in halves[False]}
    return [
        random.Random(seed).sample(sorted(lines.items()), min(size, len(lines)))
        for lines, size in zip((halves[False], held_out), sizes, strict=True)
    ]


def tag_lines(source):
    """The words and tags of each line that no token reaches beyond."""
    lines, broken = collections.defaultdict(lambda: ([], [])), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if token.start[0] != token.end[0]:
            broken.update(range(token.start[0], token.end[0] + 1))
        elif name == "NAME":
            name = "KEYWORD" if keyword.iskeyword(token.string) else "NAME"
        elif name.startswith("FSTRING"):
            # From Python 3.12 on, the text inside of an f-string is a token of its own.
            name = "STRING"
        words = re.findall(r"\w+|[^\w\s]", token.string) if name in TAGS else []
        lines[token.start[0]][0].extend(words)
        lines[token.start[0]][1].extend([name] * len(words))
    for number, (words, tags) in lines.items():
        if len(words) > 2 and number not in broken:
            yield words, tags


def make_task(rows, smoke):
    texts = (" ".join(words) for words, _ in rows)
    return lmzoo.tasks.TokenClassifier(
        *common.make_encoder(texts, smoke, lowercase=False), labels=TAGS
    )


def tag_by_word(training, words):
    """The tag that each word has most often; for a word that was never seen, the most frequent."""
    counts, everywhere = collections.defaultdict(collections.Counter), collections.Counter()
    for row, tags in training:
        everywhere.update(tags)
        for word, tag in zip(row, tags, strict=True):
            counts[word][tag] += 1
    most_frequent = everywhere.most_common(1)[0][0]
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    return [best.get(word, most_frequent) for word in words]


def make_rows(lines):
    words, tags = zip(*((list(words), tags) for words, tags in lines), strict=True)
    return lmzoo.data.make_rows(words=words, tags=tags)


def compare(tagger, training, held_out, epochs):
    """F1 of each tag, and the share of right words, of the model, an LSTM and the words alone."""
    import numpy as np

    words = [word for row, _ in held_out for word in row]
    truth = np.array([TAGS.index(tag) for _, tags in held_out for tag in tags])
    found = tagger.tag([list(row) for row, _ in held_out])
    lstm = lstms.train_lstm_tagger(tagger, make_rows(training), epochs)
    answers = {
        "BERT": [TAGS.index(tag) for tags in found for tag in tags],
        "LSTM": sum(lstms.tag_words(lstm, tagger, make_rows(held_out)), []),
        "most frequent tag of the word": list(map(TAGS.index, tag_by_word(training, words))),
    }
    figures = {}
    for name, tags in answers.items():
        predicted = np.array(tags)
        metric = lmzoo.metrics.F1(len(TAGS), average=None)
        metric.update_state(truth, np.eye(len(TAGS), dtype="float32")[predicted])
        figures[name] = [float(np.mean(predicted == truth)), *map(float, metric.result())]
    common.print_figures(
        f"F1 of each tag, {len(words)} words of {len(held_out)} held-out lines",
        ["accuracy", *TAGS],
        figures,
    )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=2))
    training, held_out = read_examples(arguments.smoke, arguments.seed)
    print(f"{len(training)} lines to train on, {len(held_out)} held out", flush=True)
    tagger = common.open_or_make(arguments, lambda: make_task(training, arguments.smoke))
    common.train(tagger, make_rows(training), arguments, learning_rate=1e-3)
    compare(tagger, training, held_out, arguments.epochs)
    print(LINE, "->", ", ".join(f"{span['text']} {span['label']}" for span in tagger.tag(LINE)))


if __name__ == "__main__":
    main()
