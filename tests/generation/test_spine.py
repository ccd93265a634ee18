"""How many files one `generate` call passes through, counted by following it."""

import pathlib
import re
import sys

import pytest

import lmzoo
from lmzoo.generation import protocol
from lmzoo.tasks import CausalLM, Seq2SeqLM

PACKAGE = pathlib.Path(lmzoo.__file__).parent
ROOMS = ("generation", "tasks")


def follow(call):
    """The files of the package that a call runs code of, in order of first use."""
    names = {}

    def note(frame, event, argument):
        # No more than this: it runs at each call of a Python function.
        names.setdefault(frame.f_code.co_filename)

    previous = sys.gettrace()
    sys.settrace(note)
    try:
        call()
    finally:
        sys.settrace(previous)
    paths = [pathlib.Path(name) for name in names if name.startswith(str(PACKAGE))]
    return [path.relative_to(PACKAGE.parent).as_posix() for path in paths]


def test_a_call_passes_through_the_eight_files_of_the_page(make_lm):
    lm = make_lm()
    # The first call, so that tracing counts too.
    options = {"temperature": 0.8, "top_p": 0.95, "top_k": 5, "repetition_penalty": 1.1, "seed": 1}
    files = follow(lambda: lm.generate("def main(", max_new_tokens=2, **options))
    spine = [file for file in files if file.split("/")[1] in ROOMS]
    page = (PACKAGE / "generation" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\d\. `(lmzoo/[\w/]+\.py)`", page, re.MULTILINE)
    assert len(listed) == 8
    assert spine == listed


@pytest.mark.parametrize("task", [CausalLM, Seq2SeqLM])
def test_a_task_keeps_the_protocol(task):
    methods = [
        name
        for name, value in vars(protocol.GenerativeTask).items()
        if callable(value) and not name.startswith("_")
    ]
    assert len(methods) <= 6
    # Both tasks define them; nothing of generation stands between.
    assert all(name in vars(task) for name in methods)
    data = set(protocol.GenerativeTask.__annotations__) - {"tokenizer", "backbone"}
    assert all(hasattr(task, name) for name in data)
