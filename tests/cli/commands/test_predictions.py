"""lmzoo classify, tag, fill, answer and embed, as they are typed."""

import io
import json
import sys

import numpy as np
import pytest

import lmzoo
from lmzoo.cli import main
from lmzoo.cli.commands import predictions
from tests.tasks.small_encoders import TEXTS, make_encoder, word_pieces

TEXT, OTHER = TEXTS[:2]


@pytest.fixture(scope="module")
def encoder():
    return make_encoder()


@pytest.fixture(scope="module")
def tasks(encoder):
    """One task for each command, over one backbone."""
    tokenizer = word_pieces()
    return {
        "classify": lmzoo.tasks.TextClassifier(encoder, tokenizer, labels=["bad", "good"]),
        "tag": lmzoo.tasks.TokenClassifier(encoder, tokenizer, ["O", "B-X"]),
        "fill": lmzoo.tasks.MaskedLM(encoder, tokenizer),
        "answer": lmzoo.tasks.QuestionAnswerer(encoder, tokenizer),
        "embed": lmzoo.tasks.TextEmbedder(encoder, tokenizer),
    }


@pytest.fixture
def run(tasks, monkeypatch, run_command):
    """Runs a command over the open task and gives what it printed."""

    def run(name, *arguments, code=0):
        monkeypatch.setattr(predictions, "open_task", lambda *_, **__: tasks[name])
        return run_command(name, "source", *arguments, code=code)

    return run


def test_classify_prints_what_the_library_gives(run, tasks):
    wanted = tasks["classify"].classify([TEXT, OTHER], top_k=2)
    records = run("classify", TEXT, OTHER, "--top-k", "2", "--json")
    assert [record["text"] for record in records] == [TEXT, OTHER]
    assert [record["labels"] for record in records] == wanted
    best = wanted[0][0]
    assert run("classify", TEXT) == f"{best['label']} {best['score']:.3f}\n"
    assert run("classify", TEXT, OTHER).startswith(f"{TEXT} -> {best['label']} ")


def test_each_line_of_standard_input_is_a_text(run, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(f"{TEXT}\n{OTHER}\n".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert [record["text"] for record in run("classify", "-", "--json")] == [TEXT, OTHER]


def test_no_text_at_all_is_refused(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "Standard input must hold a line" in run("classify", "-", code=2)


def test_tag_prints_spans_with_their_places(run, tasks):
    wanted = tasks["tag"].tag([TEXT])
    assert [record["spans"] for record in run("tag", TEXT, "--json")] == wanted
    line = run("tag", TEXT)
    for span in wanted[0]:
        assert f"X {span['text']} {span['score']:.3f} ({span['start']}-{span['end']})" in line
    assert wanted[0] or line == "nothing found\n"


def test_fill_prints_a_list_for_each_mask(run, tasks):
    text = "a [MASK] [MASK]"
    [record] = run("fill", text, "--top-k", "2", "--json")
    assert record == {"text": text, "masks": tasks["fill"].fill([text], top_k=2)[0]}
    assert run("fill", text, "--top-k", "2").count(" | ") == 1
    [record] = run("fill", "a [MASK]", "--top-k", "2", "--json")
    assert np.shape(record["masks"]) == (1, 2)


def test_answer_reads_its_context_from_the_line_or_a_file(run, tasks, tmp_path):
    (tmp_path / "context.txt").write_text(OTHER, encoding="utf-8")
    wanted = tasks["answer"].answer([TEXT], [OTHER])
    [record] = run("answer", TEXT, "--context-file", str(tmp_path / "context.txt"), "--json")
    assert record == {"question": TEXT, **wanted[0]}
    assert f" {wanted[0]['score']:.3f} (" in run("answer", TEXT, "--context", OTHER)
    missing = run("answer", TEXT, "--context-file", str(tmp_path / "none.txt"), code=2)
    assert "none.txt" in missing


def test_embed_prints_the_vectors(run, tasks):
    wanted = tasks["embed"].embed([TEXT, OTHER])
    records = run("embed", TEXT, OTHER, "--json")
    np.testing.assert_allclose([record["embedding"] for record in records], wanted, rtol=1e-6)
    lines = run("embed", TEXT, OTHER).splitlines()
    numbers = [[float(number) for number in line.split()] for line in lines]
    np.testing.assert_allclose(numbers, wanted, rtol=1e-4)


@pytest.fixture(scope="module")
def folder(tasks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prediction") / "model"
    tasks["classify"].save_pretrained(folder)
    return str(folder)


def test_info_names_the_labels(folder, capsys):
    assert main(["info", folder]) == 0
    assert "labels             2: bad, good\n" in capsys.readouterr().out
    assert main(["info", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["bad", "good"]


def test_a_model_of_another_task_is_refused_by_its_name(folder, capsys):
    assert main(["fill", folder, "a [MASK]"]) == 2
    message = capsys.readouterr().err
    assert "a MaskedLM" in message and "a TextClassifier" in message


@pytest.mark.filterwarnings("ignore:.*head:UserWarning")
def test_embed_takes_any_encoder(folder, encoder, capsys):
    assert main(["embed", folder, TEXT]) == 0
    assert len(capsys.readouterr().out.split()) == encoder.hidden_dim


def test_convert_writes_the_labels_it_is_given(folder, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["convert", folder, out, "--labels", "no,yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"]["labels"] == ["no", "yes"]


def test_labels_and_candidate_labels_exclude_each_other(run):
    message = run("classify", TEXT, "--labels", "a,b", "--candidate-labels", "c,d", code=2)
    assert "`--labels` must not be given with `--candidate-labels`" in message
