"""The nine tasks of the GLUE benchmark, from its files as they are."""

import pathlib

from lmzoo.data.rows.record_files import TextFile, decode
from lmzoo.data.rows.tables import open_table
from lmzoo.text_files.files import check_files

__all__ = ["read_glue"]

# task: the columns of (text, pair, label) by the names in the files' first line.
_COLUMNS = {
    "cola": ("sentence", None, None),
    "sst2": ("sentence", None, "label"),
    "mrpc": ("#1 String", "#2 String", "Quality"),
    "qqp": ("question1", "question2", "is_duplicate"),
    "stsb": ("sentence1", "sentence2", "score"),
    "mnli": ("sentence1", "sentence2", "gold_label"),
    "qnli": ("question", "sentence", "label"),
    "rte": ("sentence1", "sentence2", "label"),
    "wnli": ("sentence1", "sentence2", "label"),
}


def read_glue(files, task, bad_rows="error", *, limits=None):
    """Reads a file of the GLUE benchmark: train.tsv, dev.tsv, dev_matched.tsv, test.tsv and so on.

    | task | `text` | `pair` | `label` |
    |---|---|---|---|
    | cola | sentence (training files have no header: column 3) | | "0", "1" (column 1) |
    | sst2 | sentence | | "0", "1" |
    | mrpc | #1 String | #2 String | Quality: "0", "1" |
    | qqp | question1 | question2 | is_duplicate: "0", "1" |
    | stsb | sentence1 | sentence2 | score: float from 0 to 5 |
    | mnli | sentence1 | sentence2 | gold_label: "entailment", "neutral", "contradiction" |
    | qnli | question | sentence | "entailment", "not_entailment" |
    | rte | sentence1 | sentence2 | "entailment", "not_entailment" |
    | wnli | sentence1 | sentence2 | "0", "1" |

    Test sets have no labels; their rows have no column `label`. A quote is an ordinary character.
    MRPC's original `msr_paraphrase_train.txt` is read too.

    Args:
        files: str, path, or list of these, of one task and all with labels or all without.
        task: str. One of those in the table.
        bad_rows: "error" or "skip". How a row with more or fewer fields than the header, or
            without a score, is treated; see `read_table`. The published training file of QQP has a
            few bad rows.
        limits: ReadLimits or None. See `read_table`.
    Returns:
        Rows with the columns `text`, `pair` where the task has two texts, and `label`.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError, RuntimeError: as
            `read_table`; ValueError also if there is no such task.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("dev.tsv").write_text("sentence\\tlabel\\nit 's a charming journey .\\t1\\n")
    >>> lmzoo.data.read_glue("dev.tsv", "sst2")[0]
    {'text': "it 's a charming journey .", 'label': '1'}

    Reference: Wang et al. 2018, https://arxiv.org/abs/1804.07461.
    """
    rows, skipped = _open_glue(files, task, bad_rows, limits)
    skipped.warn(stacklevel=3)
    return rows


def _open_glue(files, task, bad_rows, limits):
    if task not in _COLUMNS:
        raise ValueError(f"`task` must be one of {sorted(_COLUMNS)}. Received: task={task!r}.")
    sources = check_files(files)
    paths = [pathlib.Path(source.path) for source in sources]
    names = _first_line(sources[0], limits)
    if task == "cola" and "sentence" not in names:
        wanted = {"text": 3, "label": 1}
        return open_table(paths, wanted, "\t", header=False, bad_rows=bad_rows, limits=limits)
    text, pair, label = _COLUMNS[task]
    has_labels = label in names
    for source in sources[1:]:
        if label and (label in _first_line(source, limits)) != has_labels:
            raise ValueError(
                f"`files` must all have labels, or none of them. Received: {str(paths[0])!r} "
                f"{'with' if has_labels else 'without'} a column {label!r}, unlike "
                f"{str(source.path)!r}."
            )
    wanted = {"text": text, "pair": pair, "label": label if has_labels else None}
    wanted = {name: theirs for name, theirs in wanted.items() if theirs}
    types = {"label": float} if task == "stsb" and "label" in wanted else None
    return open_table(paths, wanted, "\t", types=types, bad_rows=bad_rows, limits=limits)


def _first_line(source, limits):
    file = TextFile(source, limits)
    for number, _, line in file.lines():
        if text := file.parse(decode, line, lambda number=number: number).rstrip("\r\n"):
            return text.split("\t")
    return []
