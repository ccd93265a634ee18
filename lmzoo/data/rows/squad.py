"""Extractive question answering data in the JSON of SQuAD."""

import array
import functools
import warnings

import numpy as np

from lmzoo.data.checks import describe_value
from lmzoo.data.rows.column_types import plain_value
from lmzoo.data.rows.json_elements import read_elements
from lmzoo.data.rows.record_files import ConcatenatedRecords, TextFile
from lmzoo.data.rows.rows import Rows
from lmzoo.text_files.bounded_reading import parse_json
from lmzoo.text_files.files import check_files

__all__ = ["read_squad"]


def read_squad(files, bad_answers="error", *, limits=None):
    """Reads questions in the format of SQuAD 1.1 and 2.0.

    Read are the original files (`{"data": [{"paragraphs": [{"context", "qas"}]}]}`), a list of such
    articles, and flat files as Hugging Face datasets writes them: a list, a `{"data": [...]}` or
    JSON lines of objects with `id`, `question`, `context` and `answers`. `answers` is a list of
    `{"text", "answer_start"}` or a dict of lists.

    An answer is a span of the context: its text and the index of its first character. A question
    without an answer has empty lists; an empty `context` or `question` is kept. Test sets, whose
    questions have no `answers`, give rows without these columns, for `QuestionAnswerer.predict`
    and `answer`.

    Opening reads and checks each file once, a paragraph at a time, and keeps 8 bytes for each
    question and 32 for each paragraph in memory. The paragraph of a row is read when asked for.

    Args:
        files: str, path, or list of these, all with answers or all without. Several are read one
            after the other.
        bad_answers: "error" or "skip". How an answer is treated that is not in the context at its
            `answer_start`. "skip" skips it, and its question if it has no other answer, and warns
            how many there are.
        limits: ReadLimits or None. The size of a paragraph and of an unpacked file.
    Returns:
        Rows with the columns `id` (an integer becomes a string), `question`, `context` (str) and,
        unless the questions have no `answers` or null, `answers` (list of str) and `answer_starts`
        (list of int).
    Raises:
        TypeError: if `files` holds something that is not a path.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if `bad_answers` is something else, if a file is empty, binary, not UTF-8, not
            JSON or of another structure, if it has no question, if an id comes twice, if only
            some questions have `answers`, if an answer is not where it should be, or if the limits
            are exceeded. The message has the place.
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
        _Questions(TextFile(source, limits), seen, skipped if bad_answers == "skip" else None)
        for source in check_files(files)
    ]
    if skipped.num_answers:
        warnings.warn(
            f"{skipped.num_answers} answer(s) are not in the context at `answer_start` and were "
            f"skipped, and {skipped.num_questions} question(s) that have no other. The first: "
            f"{skipped.first}",
            stacklevel=2,
        )
    return Rows(ConcatenatedRecords(questions))


class _Seen:
    """State across the questions of all files.

    ids: dict of id to place.
    has_answers: bool or None. Whether the first question has answers; None before it is read.
    """

    def __init__(self):
        self.ids = {}
        self.has_answers = None


class _Skipped:
    """Counts the skipped answers and questions."""

    def __init__(self):
        self.num_answers = self.num_questions = 0
        self.first = None

    def add(self, reasons, whole_question):
        self.first = self.first or reasons[0]
        self.num_answers += len(reasons)
        self.num_questions += whole_question


class _Questions:
    """The questions of one file: an index of its paragraphs, of which one is read for a row.

    A flat question is a paragraph of its own.

    Args:
        file: TextFile.
        seen: _Seen. Updated.
        skipped: _Skipped or None. Counts bad answers; None raises them.
    """

    def __init__(self, file, seen, skipped):
        self._file = file
        # Of each paragraph: its article, its index there (or -1), its first byte, its size.
        # Of each question: its paragraph, and its index there.
        paragraphs, questions = array.array("q"), array.array("i")
        self._root = "" if _is_list(file) else "data"
        for index, (numbers, begin, size, paragraph) in enumerate(_paragraphs(file)):
            article, number = (*numbers, -1, -1)[:2]
            begin += file.begin
            paragraphs.extend((article, number, begin, size))
            if number >= 0:
                where = self._where(article, number, begin)
                found = _check_paragraph(paragraph, where, seen, skipped)
            else:
                where = functools.partial(self._where, article, number, begin)
                found = _check_flat(self._read(begin, size, where), where, seen, skipped)
            for question in found:
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
        article, number, begin, size = self._paragraphs[index].tolist()
        paragraph = self._read(begin, size, lambda: self._where(article, number, begin))
        question = paragraph["qas"][question] if number >= 0 else paragraph
        has_answers = "answers" in self.columns
        row, _ = _read_question(question, paragraph["context"], "", has_answers)
        return {name: row[name] for name in self.columns}

    def place(self, index):
        index, question = self._questions[index].tolist()
        article, number, begin, _ = self._paragraphs[index].tolist()
        where = self._where(article, number, begin)
        return f"{where}.qas[{question}]" if number >= 0 else where

    def _where(self, article, number, begin):
        """The place of a paragraph, or of a flat question."""
        if article < 0:
            return f"{self._file.path}:{self._file.line_number(begin)}"
        paragraph = f".paragraphs[{number}]" if number >= 0 else ""
        return f"{self._file.path}: {self._root}[{article}]{paragraph}"

    def _read(self, begin, size, where):
        limits = self._file.limits
        limits.check_record(size, where() if size > limits.max_record_bytes else "")
        try:
            return parse_json(self._file.read(begin, begin + size).decode("utf-8"), limits)
        except ValueError as error:
            raise ValueError(f"{where()}: A question must be JSON. Received: {error}") from error


def _is_list(file):
    return file.read(file.begin, min(file.end, file.begin + 4096)).lstrip().startswith(b"[")


def _paragraphs(file):
    try:
        yield from read_elements(file.blocks(), "data", "paragraphs", limits=file.limits)
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from error


def _check_paragraph(paragraph, where, seen, skipped):
    """Yields the index of each question that is kept."""
    context = _field(paragraph, "context", str, where)
    for number, question in enumerate(_field(paragraph, "qas", list, where)):
        if _check_question(question, context, f"{where}.qas[{number}]", seen, skipped):
            yield number


def _check_flat(question, where, seen, skipped):
    """Returns [0] if a flat question is kept, else []."""
    where = where()
    if not isinstance(question, dict) or "context" not in question:
        keys = sorted(question) if isinstance(question, dict) else question
        raise ValueError(
            f"{where} must have an array under 'data' (a file) or 'paragraphs' (an article), or be "
            f"a question with a context. Received: {describe_value(keys)}."
        )
    context = _field(question, "context", str, where)
    return [0] if _check_question(question, context, where, seen, skipped) else []


def _check_question(question, context, where, seen, skipped):
    """Refuses a bad question; returns whether it is kept."""
    _check_has_answers(question, where, seen)
    row, reasons = _read_question(question, context, where, seen.has_answers)
    if reasons and skipped is None:
        raise ValueError(f'{reasons[0]} Pass bad_answers="skip" to skip such answers.')
    if row["id"] in seen.ids:
        raise ValueError(
            f"{where}: An id must come once. Received: {describe_value(row['id'])}, which is also "
            f"{seen.ids[row['id']]}."
        )
    seen.ids[row["id"]] = where
    if reasons:
        skipped.add(reasons, whole_question=not row["answers"])
    return bool(row["answers"] or not reasons)


def _check_has_answers(question, where, seen):
    """Refuses a question with answers after one without."""
    has_answers = isinstance(question, dict) and question.get("answers") is not None
    if seen.has_answers is None:
        seen.has_answers = has_answers
    if has_answers and not seen.has_answers:
        raise ValueError(
            f"{where}: All questions must have `answers`, or none of them. Received: "
            f"{describe_value(question['answers'])} after questions without."
        )


def _read_question(question, context, where, has_answers):
    """Returns the row, and a reason for each answer that is not in the context."""
    row = {
        "id": _read_id(question, where),
        "question": _field(question, "question", str, where),
        "context": context,
        "answers": [],
        "answer_starts": [],
    }
    reasons = []
    answers = _read_answers(question, where) if has_answers else []
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
            f"{place}: An answer must be in the context at `answer_start`. Received: "
            f"{describe_value(text)} at {start}, where there is {describe_value(there)}, in the "
            f"question with id {describe_value(row['id'])}."
        )
    return row, reasons


def _read_answers(question, where):
    """The answers as a list of objects; Hugging Face datasets has a dict of lists."""
    answers = question.get("answers")
    if not isinstance(answers, dict):
        return _field(question, "answers", list, where)
    texts, starts = (
        _field(answers, name, list, f"{where}.answers") for name in ("text", "answer_start")
    )
    if len(texts) != len(starts):
        raise ValueError(
            f"{where}.answers: `text` and `answer_start` must have equal lengths. Received: "
            f"{len(texts)} and {len(starts)}."
        )
    pairs = zip(texts, starts, strict=True)
    return [{"text": text, "answer_start": start} for text, start in pairs]


def _read_id(question, where):
    """The id as a string; many files in this format have integers."""
    if isinstance(question, dict) and type(question.get("id")) is int:
        return str(question["id"])
    return _field(question, "id", str, where)


def _field(found, name, kind, where):
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
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
