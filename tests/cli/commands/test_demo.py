"""The demo, run as its users run it, and stopped at moments they stop it."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from lmzoo.cli.commands import demo
from tests.python_child import started_children

ROOT = pathlib.Path(__file__).parents[3]

# The same steps with less of everything: the first files of the library and a tiny model.
SMALL = """
import sys
from lmzoo.cli import main
from lmzoo.cli.commands import demo

collect = demo.collect_corpus
demo.collect_corpus = lambda workspace: [files[:20] for files in collect(workspace)]
demo._SEQUENCE_LENGTH, demo._VOCABULARY_SIZE, demo._OPTIONS["max_new_tokens"] = 32, 300, 8
demo._SIZES = {"num_layers": 1, "num_heads": 1, "hidden_dim": 8}
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def start(tmp_path):
    """Starts a demo in an empty folder; its temporary files go to `temporary` there."""
    (tmp_path / "temporary").mkdir()
    with started_children() as start_child:

        def start(*arguments, small=True):
            program = ["-c", SMALL] if small else ["-m", "lmzoo.cli"]
            return start_child(
                *(*program, "demo", *arguments),
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                    "TMPDIR": str(tmp_path / "temporary"),
                    "LMZOO_CACHE": str(tmp_path / "cache"),
                },
                cwd=tmp_path,
                # Where pytest itself runs in the background, children are born deaf to Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

        yield start


# The quick start of README trains, generates and exports in the same ways.
@pytest.mark.slow
@pytest.mark.parametrize("small", [True, False])
def test_the_demo_writes_a_model_and_a_saved_model_that_say_the_same(start, tmp_path, small):
    child = start("--steps", "3", "--output", "out", small=small)
    printed, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    assert "Before   held-out perplexity" in printed and "After    held-out perplexity" in printed
    assert all(f"Prompt   {prompt}\n" in printed for prompt in demo._PROMPTS)
    assert "Served   the same text for 3 of 3 prompts" in printed
    assert "Training: step 3/3, loss " in errors
    # Nothing but progress: TensorFlow's own words about itself are held back.
    assert all(line.startswith("Training: ") for line in errors.splitlines())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1", "model"]
    assert (tmp_path / "out" / "1" / "saved_model.pb").is_file()
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()
    assert not any((tmp_path / "temporary").iterdir())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "moment",
    [
        "Corpus",
        pytest.param("Model", marks=pytest.mark.slow),
        pytest.param("Before", marks=pytest.mark.slow),
        pytest.param("After", marks=pytest.mark.slow),
        pytest.param("Prompt", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_leaves_nothing_and_says_so_in_one_line(start, tmp_path, moment):
    child = start("--steps", "5" if moment in ("After", "Prompt") else "5000", "--output", "out")
    for line in child.stdout:
        if line.startswith(moment):
            break
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if not line.startswith("Training: ")]
    assert lines == ["lmzoo: interrupted; nothing was written."]
    assert child.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
    assert not any((tmp_path / "temporary").iterdir())


def test_an_output_folder_with_files_is_refused_before_any_work(start, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    child = start("--output", "out", small=False)
    printed, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    assert printed == ""
    assert errors.startswith("lmzoo: error: ") and errors.count("\n") == 1
    assert "'out'" in errors and "--overwrite" in errors
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_held_out_files_are_the_same_ones_every_time_and_never_trained_on(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    texts, held_out = demo.collect_corpus(tmp_path / "a")
    again, held_out_again = demo.collect_corpus(tmp_path / "b")
    assert [path.name for path in held_out] == [path.name for path in held_out_again]
    assert [path.name for path in texts] == [path.name for path in again]
    assert not set(texts) & set(held_out)
    assert 0.01 < len(held_out) / len(texts) < 0.1
    names = {part for path in texts + held_out for part in path.parts}
    assert not names & {"site-packages", "test", "tests"}


def test_a_python_without_its_source_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        demo.collect_corpus(tmp_path)


def test_another_text_is_told_and_is_a_failure(tmp_path, monkeypatch, capsys):
    answer = '{"texts": ["a", "b", "c"], "is_bare": true}'
    done = subprocess.CompletedProcess([], 0, stdout=answer, stderr="")
    monkeypatch.setattr(demo.subprocess, "run", lambda *_, **__: done)
    assert demo._compare(tmp_path, ["a", "b", "c"])
    assert not demo._compare(tmp_path, ["a", "x", "c"])
    assert "another text for 1 of 3 prompts" in capsys.readouterr().out
