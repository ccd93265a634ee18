"""The benchmarks run from a shell and write the rows they promise; how fast, nobody asks here."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "benchmarks"


def run_script(name, *arguments):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_rows(path, key="rows"):
    return json.loads(path.read_text(encoding="utf-8"))[key]


@pytest.mark.slow
def test_generation_measures_every_form_of_lmzoo_at_both_batch_sizes(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("generation.py", "--smoke", "--only", "lmzoo", "--json", file)
    rows = read_rows(file)
    names = ["generate", "generate, plain", "SavedModel", "SavedModel, XLA"]
    assert [(row["name"], row["batch_size"]) for row in rows] == [
        (name, batch_size) for batch_size in (1, 8) for name in names
    ]
    assert all(row["tokens_per_second"] > 0 for row in rows)
    # A second call must find the graph of the first.
    assert [row["retraces"] for row in rows] == [0] * len(rows)
    for name in names:
        assert f"lmzoo {name}" in shown
    costs = read_rows(file, "context")
    assert [cost["contexts"] for cost in costs] == [[16, 64]] * 2


@pytest.mark.slow
def test_training_measures_lmzoo_in_both_precisions(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("training.py", "--smoke", "--only", "lmzoo", "--json", file)
    rows = read_rows(file)
    assert [(row["name"], row["precision"]) for row in rows] == [
        (name, precision)
        for precision in ("float32", "mixed_bfloat16")
        for name in ("same optimizer", "defaults")
    ]
    assert "lmzoo same optimizer" in shown


@pytest.mark.slow
def test_an_encoder_is_measured_at_both_kinds_of_work(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("encoder.py", "--smoke", "--only", "lmzoo", "--json", file)
    works = [("forward", "plain"), ("forward", "XLA")] * 2 + [("training", "MaskedLM")] * 2
    assert [(row["work"], row["name"]) for row in read_rows(file)] == works
    assert all(row["tokens_per_second"] > 0 for row in read_rows(file))
    assert "lmzoo MaskedLM" in shown


@pytest.mark.slow
def test_seq2seq_measures_every_form_of_lmzoo_at_both_batch_sizes(tmp_path):
    file = tmp_path / "numbers.json"
    run_script("seq2seq.py", "--smoke", "--only", "lmzoo", "--json", file)
    names = ["generate, XLA", "generate, plain", "SavedModel", "SavedModel, XLA"]
    assert [(row["name"], row["batch_size"]) for row in read_rows(file)] == [
        (name, batch_size) for batch_size in (1, 8) for name in names
    ]
    assert [cost["sources"] for cost in read_rows(file, "sources")] == [[8, 32]] * 4


@pytest.mark.slow
def test_tokenizers_are_measured_beside_the_library_whose_name_the_script_has():
    shown = run_script("tokenizers.py", "--smoke")
    byte_pairs, word_pieces = shown.split("WordPiece on unseen text")
    word_pieces, sentence_pieces = word_pieces.split("SentencePiece on unseen text")
    assert "Byte pairs on unseen text" in byte_pairs
    for table in (byte_pairs, word_pieces, sentence_pieces):
        assert table.count("lmzoo") >= 2 and table.count("tokenizers") >= 2 and "MB/s" in table
    assert word_pieces.count("tf-text FastBert") == word_pieces.count("tf-text Bert") == 2
    assert sentence_pieces.count("sentencepiece") == 2


@pytest.mark.slow
def test_loading_is_measured_beside_the_library_that_reads_its_files(tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script("loading.py", "--smoke", "--json", file)
    rows = read_rows(file)
    assert [row["family"] for row in rows] == ["safetensors", "lmzoo"]
    assert rows[0]["to_reference"] == 1 and rows[1]["to_reference"] > 0
    assert read_rows(file, "num_bytes") == 4 * (2 * (12 * 32**2 + 13 * 32) + (320 + 2 + 1024) * 32)
    assert "lmzoo load" in shown and "safetensors read and copy" in shown


def test_an_unknown_framework_is_named():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "training.py"), "--only", "nobody"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert "Received: nobody." in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generation.py", "training.py"])
def test_every_installed_peer_runs_or_says_that_it_is_not_installed(name, tmp_path):
    file = tmp_path / "numbers.json"
    shown = run_script(name, "--smoke", "--json", file)
    measured = {row["family"] for row in read_rows(file)}
    families = {"lmzoo", "kerashub", "transformers"}
    if name == "generation.py":
        families |= {"ctranslate2", "llama.cpp"}
    for family in families - measured:
        assert f"{family}: not installed" in shown
