"""What importing lmzoo does to later imports of TensorFlow and Keras."""

import importlib
import os
import pathlib
import subprocess
import sys

import keras
import pytest

import lmzoo
from lmzoo import startup

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras_file") / "a.keras"
    texts = ["good film", "bad film"] * 4
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(iter(texts), vocabulary_size=60)
    backbone = lmzoo.models.BertBackbone(
        tokenizer.vocabulary_size, num_layers=1, num_heads=2, hidden_dim=8, max_sequence_length=16
    )
    lmzoo.tasks.TextClassifier(backbone, tokenizer, labels=["bad", "good"]).save(path)
    return str(path)


def run_child(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_a_keras_file_opens_after_nothing_but_import_lmzoo_and_without_start_up_lines(keras_file):
    child = run_child(
        "import lmzoo, keras\n"
        f"print(keras.saving.load_model({keras_file!r}).classify('good film')['label'])"
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stdout.strip() in ("bad", "good")
    for line in ("oneDNN custom operations", "cuda drivers", "before absl::InitializeLog"):
        assert child.stderr.count(line) == 0


def test_where_keras_was_imported_first_it_learns_the_names_at_once_and_no_class_is_imported():
    child = run_child(
        "import sys, keras, lmzoo\n"
        "assert 'lmzoo.tasks' not in sys.modules\n"
        "print(type(keras.saving.get_custom_objects()['lmzoo>CausalLM']).__name__)"
    )
    assert child.stdout.strip() == "_DeferredClass", child.stderr[-2000:]


def test_every_class_that_registers_itself_with_keras_is_named_in_startup():
    for path in (ROOT / "lmzoo").rglob("*.py"):
        if "register_keras_serializable" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    known = keras.saving.get_custom_objects()
    real = {name: found for name, found in known.items() if name.startswith("lmzoo>")}
    own = {name for name, f in real.items() if getattr(f, "__module__", "").startswith("lmzoo.")}
    assert own == {f"lmzoo>{name}" for name in startup.CLASSES}
    assert not [name for name in own if isinstance(real[name], startup._DeferredClass)]


def test_a_deferred_class_is_the_real_one_once_it_makes_an_object():
    made = startup._DeferredClass("FeedForward").from_config({"intermediate_dim": 3})
    assert type(made) is lmzoo.layers.FeedForward


def test_only_log_lines_are_left_out_of_stderr(capfd):
    lines = [
        "I0000 00:00:1795974547.269393   31527 port.cc:153] oneDNN custom operations are on.\n",
        "E0000 00:00:1795974643.401187    4308 cuda_platform.cc:52] failed call to cuInit\n",
        "2026-11-29 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN\n",
        "WARNING: All log messages before absl::InitializeLog() is called are written\n",
        "To enable the following instructions: AVX2\n",
    ]
    with startup.silent_stderr():
        os.write(2, "".join([*lines, "mine\n"]).encode())
    assert capfd.readouterr().err == "mine\n"
    with pytest.raises(ImportError, match="broken"), startup.silent_stderr():
        os.write(2, lines[0].encode())
        raise ImportError("broken")
    assert capfd.readouterr().err == lines[0]
