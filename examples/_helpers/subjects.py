"""Docstrings and the names of what they describe; subjects, and held-out docstrings about them."""

import ast
import random
import re

from _helpers import common

# Subjects, and the packages and modules about them.
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
PROMPT = "\nThis is about"


def read_examples(smoke):
    """Docstrings with the words of their names, and held-out docstrings with their subjects.

    Returns:
        list of (str, str): to train on. list of (str, str): held out, a fifth of all docstrings
            that stand in a module with a subject and have ten words or more.
    """
    subjects = {name: subject for subject, names in SUBJECTS.items() for name in names.split()}
    training, held_out = {}, {}
    for parts, _, tree in common.read_library(smoke):
        package = parts[0].removesuffix(".py")
        for name, node in list_definitions(tree):
            text = ast.get_docstring(node) or ""
            if len(text.split()) < 5 or not name:
                continue
            if not common.is_held_out(common.Docstring(package, text).content):
                training.setdefault(shorten(text), name)
            elif package in subjects and len(text.split()) >= 10:
                held_out.setdefault(shorten(text), subjects[package])
    held_out = sorted(held_out.items())
    if smoke:
        held_out = random.Random(0).sample(held_out, 20)
    return list(training.items()), held_out


def list_definitions(node, names=""):
    """Yields the words of each class's or function's name, after those of its class, and itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{names} {split_name(child.name)}".strip()
            yield name, child
            yield from list_definitions(child, name if isinstance(child, ast.ClassDef) else "")
        else:
            yield from list_definitions(child, names)


def split_name(name):
    """The words of a name in code: "getFileName2" becomes "get file name"."""
    return " ".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)).lower()


def shorten(text, num_words=80):
    return " ".join(text.split()[:num_words])
