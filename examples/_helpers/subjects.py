"""Docstrings and the names of what they describe; subjects, and docstrings about them."""

import ast
import random
import re

import lmzoo
from _helpers import common

# Subjects, and the packages and modules about them; all of these are held out.
SUBJECTS = {
    "email messages": "email smtplib imaplib poplib mailbox",
    "unit tests": "unittest doctest",
    "logging": "logging",
    "asynchronous tasks": "asyncio",
    "XML documents": "xml",
    "windows and buttons": "tkinter",
    "dates and times": "datetime calendar zoneinfo",
    "web servers": "http urllib socketserver",
    "compressed archives": "zipfile tarfile gzip bz2 lzma zlib shutil",
    "threads and processes": "threading multiprocessing concurrent queue subprocess",
}
TEMPLATE = "This is about {}."
LABELS = ["contradiction", "entailment"]


def read_examples(smoke, most=2000):
    """Pairs of docstring and name to train on; held-out pairs of docstring and subject."""
    subjects = {name: subject for subject, names in SUBJECTS.items() for name in names.split()}
    training, held_out = {}, {}
    for parts, _, tree in common.read_library():
        subject = subjects.get(parts[0].removesuffix(".py"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            text, name = ast.get_docstring(node) or "", split_name(node.name)
            if len(text.split()) < 5 or not name:
                continue
            if subject is None:
                training.setdefault(text, name)
            elif len(text.split()) >= 10:
                held_out.setdefault(text, subject)
    count = 60 if smoke else min(most, len(held_out))
    held_out = random.Random(0).sample(sorted(held_out.items()), count)
    return list(training.items())[:: 20 if smoke else 1], held_out


def split_name(name):
    """The words of a name in code: "getFileName2" becomes "get file name"."""
    return " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)).lower()


def make_rows(pairs, generator, copies=2):
    """Each docstring with its own name and with another one, so many times."""
    texts, names, labels = [], [], []
    for text, name in pairs * copies:
        other = generator.choice(pairs)[1]
        for each, label in ((name, "entailment"), (other, "contradiction")):
            if label == "entailment" or other != name:
                texts.append(text)
                names.append(TEMPLATE.format(each))
                labels.append(label)
    return lmzoo.data.make_rows(text=texts, pair=names, label=labels)
