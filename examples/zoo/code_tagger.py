"""Makes `code-tagger`: what each part of a line of Python is, without a parser.

The truth comes from Python's own `tokenize`, which must have whole files; the model sees a line
alone, so it can also tag fragments. What a name is depends on its place: a function is defined or
called, an attribute follows a dot, an argument stands before a single `=` in brackets. Files are
held out, one in five.
"""

import collections
import io
import keyword
import random
import re
import tokenize

import _zoo as zoo
from _publishing import About, publish, store

import lmzoo

KINDS = ("ARGUMENT", "ATTRIBUTE", "COMMENT", "FUNCTION", "KEYWORD", "NAME", "NUMBER", "STRING")
TAGS = ["O", *(f"{prefix}-{kind}" for kind in KINDS for prefix in "BI")]
WORD = re.compile(r"\w+|[^\w\s]")
LINE = "    return open(path, mode='rb')  # bytes"
ABOUT = About(
    title="Finds keywords, functions, attributes, arguments, names, numbers, strings and comments "
    "in a line of Python",
    job="It answers: what is this part of the line? It highlights snippets and fragments that no "
    "parser takes.",
    data="Lines of the source files of Python's standard library, with the kinds that Python's "
    "own tokenizer and the neighbours of a token give them. They are under the licence of the "
    "Python Software Foundation.",
    held_out="Measured on lines of one source file in five, chosen by a hash of its path, without "
    "lines that also occur in other files.",
    limits=[
        "It sees one line, so the inside of a string of several lines is taken for code.",
        "Operators and brackets are no spans.",
        "Python alone; where a whole file is at hand, `tokenize` makes no mistakes.",
    ],
    usage="print(model.tag(\"return open(path, mode='rb')  # bytes\"))",
    text="return open(path, mode='rb')",
    command="tag",
)


def read_examples(smoke, seed):
    """Lines with their spans: rows to train on, and held-out rows."""
    halves = {}, {}
    for parts, source, _ in zoo.common.read_library(smoke):
        lines = halves[zoo.common.is_held_out("/".join(parts))]
        lines.update({row["text"]: row for row in find_rows(source)})
    sizes = (400, 200) if smoke else (40000, 3000)
    # A line that is in both halves is only trained on.
    held_out = {text: row for text, row in halves[True].items() if text not in halves[False]}
    return [
        random.Random(seed).sample(list(lines.values()), min(size, len(lines)))
        for lines, size in zip((halves[False], held_out), sizes, strict=True)
    ]


def find_rows(source):
    """Yields a row for each line that no token reaches beyond: `text` and `spans`."""
    lines, broken = collections.defaultdict(list), set()
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for index, token in enumerate(tokens):
        if token.start[0] != token.end[0]:
            broken.update(range(token.start[0], token.end[0] + 1))
        kind = find_kind(tokens, index)
        if kind is not None:
            lines[token.start[0]].append([token.start[1], token.end[1], kind])
    for number, text in enumerate(source.splitlines(), 1):
        indent = len(text) - len(text.lstrip())
        if number in broken or len(WORD.findall(text)) < 3 or number not in lines:
            continue
        spans = [[start - indent, end - indent, kind] for start, end, kind in lines[number]]
        yield {"text": text.strip(), "spans": spans}


def find_kind(tokens, index):
    """The kind of a token, or None for operators, indents and the like."""
    token = tokens[index]
    name = tokenize.tok_name[token.type]
    if name.startswith("FSTRING"):
        # From Python 3.12 on, the text inside of an f-string is a token of its own.
        return "STRING"
    if name != "NAME":
        return name if name in KINDS else None
    before, after = tokens[index - 1].string, tokens[index + 1].string
    if keyword.iskeyword(token.string):
        return "KEYWORD"
    if after == "(" and before != "class":
        return "FUNCTION"
    if before == ".":
        return "ATTRIBUTE"
    return "ARGUMENT" if after == "=" and before in ("(", ",") else "NAME"


def to_tagged(row):
    """The words of a row and the tag of each."""
    words, tags = [], []
    for match in WORD.finditer(row["text"]):
        tag = "O"
        for start, end, kind in row["spans"]:
            if start <= match.start() < end:
                tag = f"{'B' if start == match.start() else 'I'}-{kind}"
        words.append(match.group())
        tags.append(tag)
    return words, tags


def to_columns(rows):
    pairs = [to_tagged(row) for row in rows]
    return {"words": [words for words, _ in pairs], "tags": [tags for _, tags in pairs]}


def evaluate(tagger, training, held_out):
    """The evaluations of the model and of a baseline: the tag that each word has most often."""
    counts = collections.defaultdict(collections.Counter)
    for words, tags in map(to_tagged, training):
        for word, tag in zip(words, tags, strict=True):
            counts[word][tag] += 1
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}

    def tag(rows, batch_size=None):
        return [[best.get(word, "B-NAME") for word in words] for words in rows]

    columns, metrics = to_columns(held_out), ["span_f1", "span_precision", "span_recall"]
    baseline = zoo.Baseline(tagger, tag=tag)
    return [
        lmzoo.evaluate(tagger, columns, metrics, name="code-tagger"),
        lmzoo.evaluate(baseline, columns, metrics, name="most frequent tag of the word"),
    ]


def main():
    arguments = zoo.parse(__doc__, "code-tagger")
    training, held_out = read_examples(arguments.smoke, arguments.seed)
    print(f"{len(training)} lines to train on, {len(held_out)} held out", flush=True)
    encoder = zoo.common.make_encoder(
        (row["text"] for row in training), arguments.smoke, lowercase=False
    )
    tagger = lmzoo.tasks.TokenClassifier(*encoder, labels=TAGS)
    rows = lmzoo.data.make_rows(**to_columns(training))
    epochs = 1 if arguments.smoke else 4
    zoo.fit(tagger, rows, arguments, "tagging", learning_rate=1e-3, epochs=epochs)

    stored = store(tagger, arguments)
    evaluations = evaluate(stored, training, held_out)
    sample = random.Random(0).sample(held_out, min(200, len(held_out)))
    publish(stored, arguments, ABOUT, evaluations, sample)
    print(LINE, "->", ", ".join(f"{span['text']} {span['label']}" for span in stored.tag(LINE)))


if __name__ == "__main__":
    main()
