"""Questions whose answers are spans of a text, in the JSON of SQuAD."""

import array
import json
import warnings

import numpy as np

from lmzoo.data.corpus.files import check_files
from lmzoo.data.rows.column_types import describe_value, plain_value
from lmzoo.data.rows.json_elements import read_elements
from lmzoo.data.rows.record_files import ConcatenatedRecords, TextFile
from lmzoo.data.rows.rows import Rows

__all__ = ["read_squad"]


def read_squad(files, bad_answers="error"):
    """Reads the questions of SQuAD 1.1 and 2.0 and of what is written like them.

    An answer is text that stands in the context, with the number of its first character there
    (characters as Python counts them). A question without an answer has empty lists; an empty
    `context` or `question` is kept. Files of a test set, whose questions have no `answers`, give
    rows without these columns, for `QuestionAnswerer.predict` and `answer`.

    Opening reads and checks each file once, a paragraph at a time, and keeps 8 bytes for each
    question and 32 for each paragraph; later the paragraph of a row is read anew.

    Args:
        files: str, path, or list of these, all with answers or all without. Several are read one
            after the other.
        bad_answers: "error" or "skip". What becomes of an answer that does not stand where the
            file says. "skip" leaves it out, and with it a question that has no other one, and
            warns how many there are.
    Returns:
        Rows with the columns `id` (an integer becomes a string), `question`, `context` (str) and,
        unless the questions have no `answers` or null, `answers` (list of str) and `answer_starts`
        (list of int).
    Raises:
        TypeError: if `files` holds something that is not a path.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if `bad_answers` is something else, if a file is empty, binary, not UTF-8, not
            JSON or of another structure, if it has no question, if an id comes twice, if some
            questions have `answers` and others not, or if an answer does not stand where it should.
            The message has the place.
        RuntimeError: if a file changes while it is read, also later.
    Example:
    >>> import json
    >>> from pathlib import Path
    >>> answers = [{"text": "a poet", "answer_start": 9}]
    >>> questions = [{"id": "q1", "question": "Who was Li Bai?", "answers": answers}]
    >>> paragraphs = [{"context": "Li Bai,  a poet", "qas": questions}]
    >>> _ = Path("train.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    >>> rows = lmzoo.data.read_squad("train.json")
    >>> rows[0]["answers"], rows[0]["answer_starts"], rows.place(0)
    (['a poet'], [9], 'train.json: data[0].paragraphs[0].qas[0]')

    Reference: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250, and 2018,
    https://arxiv.org/abs/1806.03822.
    """
    if bad_answers not in ("error", "skip"):
        raise ValueError(
            f'`bad_answers` must be "error" or "skip". Received: bad_answers={bad_answers!r}.'
        )
    seen, skipped = _Seen(), _Skipped()
    questions = [
        _Questions(TextFile(source), seen, skipped if bad_answers == "skip" else None)
        for source in check_files(files)
    ]
    if skipped.num_answers:
        warnings.warn(
            f"{skipped.num_answers} answer(s) do not stand where the file says and were left out, "
            f"and with them {skipped.num_questions} question(s) that have no other. The first: "
            f"{skipped.first}",
            stacklevel=2,
        )
    return Rows(ConcatenatedRecords(questions))


class _Seen:
    """What all questions of all files have in common.

    ids: dict of id to place.
    has_answers: bool or None. Whether questions have answers, as the first one says; None before.
    """

    def __init__(self):
        self.ids = {}
        self.has_answers = None


class _Skipped:
    """What was left out of the files."""

    def __init__(self):
        self.num_answers = self.num_questions = 0
        self.first = None

    def add(self, reasons, whole_question):
        self.first = self.first or reasons[0]
        self.num_answers += len(reasons)
        self.num_questions += whole_question


class _Questions:
    """The questions of one file: where their paragraphs lie, of which one is read for a row.

    Args:
        file: TextFile.
        seen: _Seen, to which what the file has is added.
        skipped: _Skipped or None. Counts bad answers; None refuses them.
    """

    def __init__(self, file, seen, skipped):
        self._file = file
        # Of each paragraph: which article's it is, its number there, its first byte, its size.
        # Of each question: which paragraph's it is, and its number there.
        paragraphs, questions = array.array("q"), array.array("i")
        for index, ((article, number), begin, size, paragraph) in enumerate(_paragraphs(file)):
            paragraphs.extend((article, number, file.begin + begin, size))
            where = f"{file.path}: data[{article}].paragraphs[{number}]"
            for question in _check_paragraph(paragraph, where, seen, skipped):
                questions.extend((index, question))
        if not questions:
            raise ValueError(
                f"`files` must hold at least one question each. Received: {str(file.path)!r}."
            )
        self.columns = ("id", "question", "context")
        if seen.has_answers:
            self.columns += ("answers", "answer_starts")
        self._paragraphs = np.array(paragraphs, dtype=np.int64).reshape(-1, 4)
        self._questions = np.array(questions, dtype=np.int32).reshape(-1, 2)

    def __len__(self):
        return len(self._questions)

    def row(self, index):
        index, question = self._questions[index].tolist()
        _, _, begin, size = self._paragraphs[index].tolist()
        paragraph = json.loads(self._file.read(begin, begin + size))
        question, has_answers = paragraph["qas"][question], "answers" in self.columns
        row, _ = _read_question(question, paragraph["context"], "", has_answers)
        return {name: row[name] for name in self.columns}

    def place(self, index):
        index, question = self._questions[index].tolist()
        article, paragraph, *_ = self._paragraphs[index].tolist()
        return f"{self._file.path}: data[{article}].paragraphs[{paragraph}].qas[{question}]"


def _paragraphs(file):
    try:
        yield from read_elements(file.blocks(), "data", "paragraphs")
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from error


def _check_paragraph(paragraph, where, seen, skipped):
    """Yields the number of each question that counts."""
    context = _field(paragraph, "context", str, where)
    for number, question in enumerate(_field(paragraph, "qas", list, where)):
        place = f"{where}.qas[{number}]"
        _check_has_answers(question, place, seen)
        row, reasons = _read_question(question, context, place, seen.has_answers)
        if reasons and skipped is None:
            raise ValueError(f'{reasons[0]} Pass bad_answers="skip" to leave such answers out.')
        if row["id"] in seen.ids:
            raise ValueError(
                f"{place}: An id must come once. Received: {row['id']!r}, which is also "
                f"{seen.ids[row['id']]}."
            )
        seen.ids[row["id"]] = place
        if reasons:
            skipped.add(reasons, whole_question=not row["answers"])
        if row["answers"] or not reasons:
            yield number


def _check_has_answers(question, where, seen):
    """Raises ValueError unless a question has answers as those before have, or has none as they."""
    has_answers = isinstance(question, dict) and question.get("answers") is not None
    if seen.has_answers is None:
        seen.has_answers = has_answers
    if has_answers and not seen.has_answers:
        raise ValueError(
            f"{where}: All questions must have `answers`, or none of them. Received: "
            f"{describe_value(question['answers'])} behind questions without."
        )


def _read_question(question, context, where, has_answers):
    """Returns the row, and for each answer that does not stand in the context a reason."""
    row = {
        "id": _read_id(question, where),
        "question": _field(question, "question", str, where),
        "context": context,
        "answers": [],
        "answer_starts": [],
    }
    reasons = []
    answers = _field(question, "answers", list, where) if has_answers else []
    if question.get("is_impossible") and answers:
        raise ValueError(
            f"{where}: A question with `is_impossible` must have no answers. Received: "
            f"{describe_value(answers)}."
        )
    for number, answer in enumerate(answers):
        place = f"{where}.answers[{number}]"
        text, start = _field(answer, "text", str, place), _field(answer, "answer_start", int, place)
        if text and start >= 0 and context.startswith(text, start):
            row["answers"].append(text)
            row["answer_starts"].append(start)
            continue
        there = context[start : start + len(text)] if start >= 0 else ""
        reasons.append(
            f"{place}: An answer must stand in the context at `answer_start`. Received: "
            f"{describe_value(text)} at {start}, where there is {describe_value(there)}, in the "
            f"question with id {row['id']!r}."
        )
    return row, reasons


def _read_id(question, where):
    """An id as a string; many files that are made like SQuAD's have integers."""
    if isinstance(question, dict) and type(question.get("id")) is int:
        return str(question["id"])
    return _field(question, "id", str, where)


def _field(found, name, kind, where):
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, kind):
        kinds = {str: "a string", int: "an integer", list: "a list"}
        there = isinstance(found, dict) and name in found
        received = f"{name}={describe_value(value)}" if there else describe_value(found)
        raise ValueError(
            f"{where} must be an object with {kinds[kind]} under {name!r}. Received: {received}."
        )
    try:
        return value if kind is list else plain_value(value)
    except ValueError as error:
        raise ValueError(f"{where}.{name}: {error}") from error
