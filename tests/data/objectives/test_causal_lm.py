import json
import re

import numpy as np
import pytest

import lmzoo
from lmzoo.data import causal_lm
from tests.data.byte_tokenizer import ByteTokenizer

END = 256


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"document {number}, é"}) for number in range(300)]
    path.write_text("\n".join(lines))
    return path


def labels_of(dataset):
    return [labels.numpy().tolist() for _, labels in dataset]


def windows_of(dataset):
    for inputs, labels in dataset:
        for row, last in zip(inputs["token_ids"].numpy(), labels.numpy()[:, -1], strict=True):
            yield (*row.tolist(), int(last))


def test_the_files_come_out_as_they_went_in(path, tokenizer):
    data = causal_lm(path, tokenizer, sequence_length=10, batch_size=1, shuffle=False)
    ids = [token for window in windows_of(data) for token in window[:-1]]
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    expected = [token for text in texts for token in (END, *text.encode())]
    assert ids == expected[: len(ids)] and len(expected) - 1 - len(ids) < 10


def test_a_fresh_process_goes_on_at_any_step(path, tokenizer, run_python):
    code = """
import sys
from byte_tokenizer import ByteTokenizer
from lmzoo.data import causal_lm

tokenizer = ByteTokenizer()
tokenizer.tokenize = None  # The tokens of the other process are used.
data = causal_lm(sys.argv[1], tokenizer, 8, 4, seed=5, initial_epoch=1, initial_step=13)
print([labels.numpy().tolist() for _, labels in data])
"""
    data = causal_lm(path, tokenizer, sequence_length=8, batch_size=4, seed=5)
    epochs = [labels_of(data) for _ in range(3)]
    output, _ = run_python(code, path)
    assert json.loads(output) == epochs[1][13:] + epochs[2][:13]


def test_validation_shares_no_window_with_training(path, tokenizer):
    options = {"sequence_length": 8, "batch_size": 4, "seed": 1, "validation_split": 0.2}
    training, validation = causal_lm(path, tokenizer, **options)
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    held_out = "".join(map(chr, [t for w in windows_of(validation) for t in w[:-1]]))
    numbers = set(re.findall(r"document (\d+),", held_out))
    assert 0.7 * 0.2 * len(texts) < len(numbers) < 1.3 * 0.2 * len(texts)
    for window in [*windows_of(training), *windows_of(training)]:
        seen = "".join(map(chr, window))
        assert not [number for number in numbers if f" {number}," in seen]
    assert labels_of(validation) == labels_of(validation)
    assert labels_of(causal_lm(path, tokenizer, **options)[1]) == labels_of(validation)


def test_validation_keeps_a_smaller_last_batch(path, tokenizer):
    _, validation = causal_lm(path, tokenizer, 8, 16, validation_split=0.1)
    sizes = [len(labels) for labels in labels_of(validation)]
    assert set(sizes[:-1]) == {16} and 1 <= sizes[-1] <= 16
    assert int(validation.cardinality()) == len(sizes)


def test_options_reach_the_corpus(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_text("<b>one</b>;two;two")
    clean = lmzoo.data.Cleaning(strip_html=True, deduplicate=True)
    data = causal_lm(path, tokenizer, 7, 1, document_separator=";", clean=clean)
    ((inputs, labels),) = data
    assert inputs["token_ids"].numpy().tolist() == [[END, *b"one", END, *b"tw"]]
    assert inputs["document_ids"].numpy().tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert labels.numpy().tolist() == [[*b"one", END, *b"two"]]


def test_the_cache_can_be_elsewhere(path, tokenizer, tmp_path, cache_home):
    causal_lm(path, tokenizer, 8, 4, cache_dir=tmp_path / "here")
    assert (tmp_path / "here" / "tokens").is_dir() and not cache_home.exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sequence_length": 0}, ValueError, "Received: sequence_length=0"),
        ({"batch_size": 0}, ValueError, "Received: batch_size=0"),
        ({"validation_split": 1.0}, ValueError, "Received: validation_split=1.0"),
        ({"initial_step": -1}, ValueError, "Received: initial_step=-1"),
        ({"seed": 0.5}, TypeError, "Received: seed=0.5"),
        ({"files": "gone.txt"}, FileNotFoundError, "Received: 'gone.txt'"),
        ({"field": "body"}, ValueError, "Received: field='body'"),
        ({"clean": "NFC"}, TypeError, "Received: clean='NFC'"),
        ({"tokenizer": ByteTokenizer(end_token_id=None)}, ValueError, "end_token_id=None"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    path, tokenizer, cache_home, options, error, message
):
    good = {"files": path, "tokenizer": tokenizer, "sequence_length": 8, "batch_size": 4}
    with pytest.raises(error, match=re.escape(message)):
        causal_lm(**{**good, **options})
    assert not cache_home.exists()


def test_progress_is_silent_without_a_terminal(path, tokenizer, capsys):
    causal_lm(path, tokenizer, 8, 4)
    assert capsys.readouterr() == ("", "")


def test_labels_follow_inputs(path, tokenizer):
    for inputs, labels in causal_lm(path, tokenizer, 8, 4):
        np.testing.assert_array_equal(inputs["token_ids"][:, 1:], labels[:, :-1])
        assert inputs["padding_mask"].numpy().all()
