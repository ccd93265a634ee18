"""The examples run from a shell, print their figures beside baselines, and go on where they were."""

import csv
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples"

# What each of them prints: tables with how many columns, and in each table who is measured.
FIGURES = {
    "pretrain_bert.py": [(1, ["BERT", "likeliest after the word before", "most frequent word"])],
    "classify_docstrings.py": [(2, ["BERT", "bag of words", "most frequent class"])],
    "tag_source.py": [(7, ["BERT", "most frequent tag of the word"])],
    "sentiment.py": [(2, ["BERT", "bag of words", "most frequent label"])] * 2,
    "search_docstrings.py": [(2, ["embedder", "TF-IDF", "guessing"])],
}
# Their baselines that scikit-learn computes.
LEARNED_ELSEWHERE = {"bag of words", "TF-IDF"}
LAST_LINES = {
    "pretrain_bert.py": r"If the argument is \[MASK\], .* -> \S+ [01]\.\d\d, \S+ .*, \S+ .*",
    "classify_docstrings.py": r"Send the request .* -> (email|http|logging|unittest) [01]\.\d\d",
    "tag_source.py": r"x = 1  # one -> x [A-Z]+, = [A-Z]+, 1 [A-Z]+, # [A-Z]+, one [A-Z]+",
    "sentiment.py": r"太好吃了！ -> (positive|negative) [01]\.\d\d",
    "search_docstrings.py": r"  -?[01]\.\d\d  \S.*",
}

# Runs a script twice in one process, as from a shell, so that TensorFlow is imported once. In
# between, nothing is left of the first run but its folder.
TWICE = """
import runpy, sys

hidden, path, *arguments = sys.argv[1:]
if hidden:
    sys.modules[hidden] = None
sys.argv = [path, *arguments]
sys.path.insert(0, path.rpartition("/")[0])
runpy.run_path(path, run_name="__main__")
print("SECOND RUN", flush=True)
runpy.run_path(path, run_name="__main__")
"""


def run_twice(name, *arguments, hidden=""):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", TWICE, hidden, str(FOLDER / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("SECOND RUN\n")


def read_figures(shown):
    """The tables that a run printed: for each a dict from a row's name to its cells."""
    tables = []
    for block in re.findall(r"^ {3,}\S.*\n((?:  \S.*\n)+?)(?=  best )", shown, re.M):
        tables.append({})
        for line in block.splitlines():
            row, *cells = re.split(r" {2,}", line.strip())
            tables[-1][row] = cells
    return tables


def test_a_table_of_figures_is_read_row_by_row():
    shown = "\n3 lines\n       accuracy\n  BERT    0.500\n  a bag     not here\n  best accuracy: BERT\n"
    assert read_figures(shown) == [{"BERT": ["0.500"], "a bag": ["not here"]}]


@pytest.mark.parametrize("name", FIGURES)
def test_an_example_prints_its_figures_beside_baselines_and_goes_on_from_its_folder(name, tmp_path):
    first, second = run_twice(name, "--smoke", "--folder", tmp_path / "kept")
    tables = read_figures(first)
    assert [(list(table)) for table in tables] == [rows for _, rows in FIGURES[name]]
    for table, (columns, _) in zip(tables, FIGURES[name], strict=True):
        for row, cells in table.items():
            if row in LEARNED_ELSEWHERE and cells == ["scikit-learn is not installed"]:
                continue
            assert len(cells) == columns
            assert all(math.isfinite(float(cell)) and 0 <= float(cell) <= 1 for cell in cells)
    assert re.fullmatch(LAST_LINES[name], first.splitlines()[-1])

    assert "Opened" not in first
    assert "Opened" in second and "Trained for 1 epochs already" in second
    # What was kept is all of the model: the second run trains nothing and finds the same.
    assert second[second.index("\n\n") :] == first[first.index("\n\n") :]


def test_an_example_says_what_is_missing_without_scikit_learn(tmp_path):
    shown = run_twice("sentiment.py", "--smoke", hidden="sklearn")[0]
    tables = read_figures(shown)
    assert [table["bag of words"] for table in tables] == [["scikit-learn is not installed"]] * 2
    assert [len(table["most frequent label"]) for table in tables] == [2, 2]


@pytest.mark.slow
def test_scikit_learn_computes_a_baseline_where_it_is_installed():
    pytest.importorskip("sklearn")
    tables = read_figures(run_twice("sentiment.py", "--smoke")[0])
    # Half of the labels are of each kind, so guessing has a half of them right.
    assert all(float(table["bag of words"][0]) > 0.5 for table in tables)


def test_the_number_of_epochs_is_checked():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "sentiment.py"), "--epochs", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert "Received: 0." in done.stderr


def read_sentences():
    path = FOLDER / "data" / "sentiment.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_sentences_are_many_and_each_is_there_once():
    rows = read_sentences()
    texts = [row["text"] for row in rows]
    assert len(texts) >= 400
    assert len({text.casefold().rstrip(".!。！") for text in texts}) == len(texts)
    assert all(text == text.strip() and len(text) > 5 for text in texts)


def test_the_labels_are_balanced_in_each_language_on_both_sides_of_the_split():
    rows = read_sentences()
    for language in ("en", "zh"):
        for split in ("train", "held_out"):
            labels = [
                row["label"]
                for row in rows
                if row["language"] == language and row["split"] == split
            ]
            assert labels.count("positive") == labels.count("negative") >= 25
    chinese = re.compile("[\u4e00-\u9fff]")
    assert all((row["language"] == "zh") == bool(chinese.search(row["text"])) for row in rows)
