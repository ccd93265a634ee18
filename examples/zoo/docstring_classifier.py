"""Makes `docstring-classifier`: which subject of programming a description is about.

The subjects are chapters of Python's library reference, and the texts are the docstrings of the
modules in them. One docstring in five is held out.
"""

import collections
import random

import _zoo as zoo
from _publishing import About, publish, store

import lmzoo

SUBJECTS = {
    "concurrency": "asyncio concurrent multiprocessing queue sched subprocess threading signal "
    "_threading_local selectors contextvars",
    "data formats": "base64 binascii configparser csv html json plistlib quopri tomllib xml "
    "xdrlib pickle pickletools shelve dbm sqlite3 copyreg struct codecs encodings",
    "data types": "_collections_abc bisect calendar collections copy dataclasses datetime "
    "_pydatetime _strptime enum functools graphlib heapq operator pprint reprlib types typing "
    "weakref zoneinfo contextlib",
    "email": "email mailbox mimetypes smtplib imaplib poplib smtpd",
    "files": "_pyio bz2 filecmp fileinput fnmatch genericpath glob gzip io lzma ntpath os pathlib "
    "posixpath shutil stat tarfile tempfile zipfile zipimport _compression",
    "graphics": "colorsys curses idlelib tkinter turtle",
    "language": "ast code codeop compileall dis importlib inspect keyword lib2to3 modulefinder "
    "pkgutil pyclbr pydoc runpy symtable token tokenize py_compile imp",
    "logging and testing": "bdb cProfile doctest faulthandler logging pdb profile pstats timeit "
    "trace traceback tracemalloc unittest warnings",
    "mathematics": "_pydecimal decimal fractions math numbers random statistics",
    "networks": "ftplib http ipaddress nntplib socket socketserver ssl telnetlib urllib uuid "
    "webbrowser wsgiref xmlrpc cgi",
    "packaging": "distutils ensurepip site sysconfig venv zipapp platform _osx_support",
    "text": "argparse cmd difflib getopt gettext locale optparse re shlex string stringprep "
    "textwrap unicodedata readline",
}
QUESTIONS = (
    "Send a message with an attachment.",
    "Wait until all worker threads are done.",
    "Return the sample standard deviation of the data.",
)
ABOUT = About(
    title="Says which subject of programming an English description is about, of twelve",
    job="It answers: in which part of a library should I look for this? It sorts docstrings, "
    "comments and questions about code.",
    data="The docstrings of Python's standard library, each with the chapter of the library "
    "reference that its module belongs to. They are under the licence of the Python Software "
    "Foundation.",
    held_out="Measured on one docstring in five, chosen by a hash of its text.",
    limits=[
        "Held-out docstrings are of the same modules as those it was trained on. Of other "
        "libraries, and of everyday text, it knows nothing.",
        "It always names one of the twelve subjects, also where none fits.",
        "English alone, and at most 64 tokens of a text are read.",
    ],
    usage='print(model.classify("Send a message with an attachment."))',
    text="Send a message with an attachment.",
    command="classify",
)


def read_examples(smoke):
    """Docstrings and their subjects: rows to train on, and held-out rows."""
    subjects = {module: name for name, modules in SUBJECTS.items() for module in modules.split()}
    halves = [], []
    for docstring in zoo.common.read_docstrings(smoke):
        if docstring.package in subjects:
            row = {"text": docstring.text, "label": subjects[docstring.package]}
            halves[zoo.common.is_held_out(docstring.content)].append(row)
    return halves


def evaluate(classifier, training, held_out):
    """The evaluations of the model and of its baselines."""
    rows = to_columns(held_out)
    metrics = ["accuracy", "macro_f1"]
    most_frequent = collections.Counter(row["label"] for row in training).most_common(1)[0][0]

    def classify(texts, *arguments, **options):
        return [[{"label": most_frequent, "score": 1.0}] for _ in texts]

    baseline = zoo.Baseline(classifier, classify=classify)
    return [
        lmzoo.evaluate(classifier, rows, metrics, name="docstring-classifier"),
        *lmzoo.evaluation.baselines.evaluate_baselines(
            classifier, rows, metrics, to_columns(training)
        ),
        lmzoo.evaluate(baseline, rows, metrics, name="most frequent subject"),
    ]


def to_columns(rows):
    return {name: [row[name] for row in rows] for name in ("text", "label")}


def main():
    arguments = zoo.parse(__doc__, "docstring-classifier")
    training, held_out = read_examples(arguments.smoke)
    print(f"{len(training)} docstrings to train on, {len(held_out)} held out", flush=True)
    columns = to_columns(training)
    encoder = zoo.common.make_encoder(columns["text"], arguments.smoke)
    classifier = lmzoo.tasks.TextClassifier(
        *encoder, labels=sorted(set(columns["label"])), sequence_length=64
    )
    rows = lmzoo.data.make_rows(**columns)
    epochs = 1 if arguments.smoke else 6
    zoo.fit(classifier, rows, arguments, "classification", learning_rate=1e-3, epochs=epochs)

    stored = store(classifier, arguments)
    evaluations = evaluate(stored, training, held_out)
    sample = random.Random(0).sample(held_out, min(100, len(held_out)))
    # A lowercasing tokenizer's tables leave less room for weights.
    publish(stored, arguments, ABOUT, evaluations, sample, quantization="int4")
    for question, found in zip(QUESTIONS, stored.classify(list(QUESTIONS)), strict=True):
        print(question, "->", f"{found['label']} {found['score']:.2f}")


if __name__ == "__main__":
    main()
