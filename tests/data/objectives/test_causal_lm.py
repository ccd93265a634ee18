import itertools
import json
import re

import numpy as np
import pytest

import lmzoo
from lmzoo.data import Corpus, causal_lm, stream_tokens
from lmzoo.data.objectives.causal_lm import CausalLMExamples, pack_texts
from tests.data.byte_tokenizer import ByteTokenizer

END = 256


@pytest.fixture
def path(write_documents):
    return write_documents(300)


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


@pytest.mark.slow
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


def test_a_tokenizer_without_an_end_token_is_refused(path, cache_home):
    with pytest.raises(ValueError, match="Received: .*end_token_id=None"):
        causal_lm(path, ByteTokenizer(end_token_id=None), 8, 4)
    assert not cache_home.exists()


def test_progress_is_silent_without_a_terminal(path, tokenizer, capsys):
    causal_lm(path, tokenizer, 8, 4)
    assert capsys.readouterr() == ("", "")


def test_labels_follow_inputs(path, tokenizer):
    for inputs, labels in causal_lm(path, tokenizer, 8, 4):
        np.testing.assert_array_equal(inputs["token_ids"][:, 1:], labels[:, :-1])
        assert inputs["padding_mask"].numpy().all()


@pytest.fixture
def stream(tmp_path, tokenizer):
    draw = np.random.default_rng(0)
    texts = ["".join(map(chr, draw.integers(97, 123, size))) for size in draw.integers(1, 40, 60)]
    path = tmp_path / "a.txt"
    path.write_text(";".join(texts))
    return stream_tokens(Corpus(path, document_separator=";"), tokenizer)


def test_inputs_in_order_are_the_corpus(stream):
    examples = CausalLMExamples(stream, 7, 4, shuffle=False, drop_remainder=False)
    batches = [examples.batch(0, step) for step in range(examples.steps_per_epoch)]
    inputs = np.concatenate([inputs["token_ids"].reshape(-1) for inputs, _ in batches])
    labels = np.concatenate([labels.reshape(-1) for _, labels in batches])
    whole = stream.token_ids[:].astype(int)
    assert 0 <= len(whole) - 1 - len(inputs) < 7
    np.testing.assert_array_equal(inputs, whole[: len(inputs)])
    np.testing.assert_array_equal(labels, whole[1 : len(inputs) + 1])
    assert all(inputs["padding_mask"].all() for inputs, _ in batches)


@pytest.mark.parametrize(("num_tokens", "num_examples"), [(8, 1), (14, 1), (15, 2), (16, 2)])
def test_only_what_does_not_fill_an_example_is_dropped(
    tmp_path, tokenizer, num_tokens, num_examples
):
    path = tmp_path / "a.txt"
    path.write_text("x" * (num_tokens - 1))
    stream = stream_tokens(Corpus(path), tokenizer)
    assert CausalLMExamples(stream, 7, 1).num_examples == num_examples


def test_each_epoch_has_every_example_once(stream):
    in_order = CausalLMExamples(stream, 7, 4, shuffle=False)
    expected = sorted(
        in_order.example(0, index)[1].tolist() for index in range(in_order.num_examples)
    )
    orders = set()
    for seed in (0, 1):
        examples = CausalLMExamples(stream, 7, 4, seed=seed)
        for epoch in range(3):
            labels = [
                examples.example(epoch, index)[1].tolist() for index in range(examples.num_examples)
            ]
            assert sorted(labels) == expected
            orders.add(str(labels))
    assert len(orders) == 6


def test_documents_are_counted_within_each_example(stream):
    examples = CausalLMExamples(stream, 25, 4)
    most = 0
    for index in range(examples.num_examples):
        inputs, _ = examples.example(3, index)
        expected, count = [], 0
        for place, token in enumerate(inputs["token_ids"]):
            count += int(token == END and place > 0)
            expected.append(count)
        assert inputs["document_ids"].tolist() == expected
        most = max(most, count)
    assert most >= 3


def test_without_a_document_mask_there_are_no_document_ids(stream):
    examples = CausalLMExamples(stream, 25, 4, document_mask=False)
    assert set(examples.batch(0, 0)[0]) == {"token_ids", "padding_mask"}
    assert set(examples.dataset().element_spec[0]) == {"token_ids", "padding_mask"}


def test_a_batch_is_its_examples(stream):
    examples = CausalLMExamples(stream, 7, 4, seed=9)
    inputs, labels = examples.batch(2, 5)
    for row in range(4):
        one_inputs, one_labels = examples.example(2, 20 + row)
        np.testing.assert_array_equal(labels[row], one_labels)
        for key, value in one_inputs.items():
            np.testing.assert_array_equal(inputs[key][row], value)
            assert inputs[key].dtype == (bool if key == "padding_mask" else np.int32)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("start", [(0, 0), (0, 3), (2, 0), (1, 11)])
def test_a_dataset_gives_the_batches_of_its_epochs(stream, shuffle, start):
    examples = CausalLMExamples(stream, 16, 4, shuffle=shuffle)
    steps = examples.steps_per_epoch
    assert steps > 11
    dataset = examples.dataset(*start)
    position = start[0] * steps + start[1]
    for _ in range(2):
        for inputs, labels in dataset:
            expected_inputs, expected_labels = examples.batch(*divmod(position, steps))
            np.testing.assert_array_equal(inputs["token_ids"], expected_inputs["token_ids"])
            np.testing.assert_array_equal(inputs["document_ids"], expected_inputs["document_ids"])
            np.testing.assert_array_equal(labels, expected_labels)
            position += 1
    assert position == (start[0] + 2) * steps + start[1]


def test_the_rest_of_an_epoch_is_dropped_or_kept(stream):
    dropped = CausalLMExamples(stream, 16, 7)
    kept = CausalLMExamples(stream, 16, 7, drop_remainder=False)
    rest = kept.num_examples % 7
    assert rest and kept.steps_per_epoch == dropped.steps_per_epoch + 1
    assert [len(labels) for _, labels in kept.dataset()][-2:] == [7, rest]
    assert {len(labels) for _, labels in dropped.dataset()} == {7}
    assert dropped.dataset().element_spec[1].shape == (7, 16)
    assert kept.dataset().element_spec[1].shape.as_list() == [None, 16]


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_sizes_are_positive_integers(stream, size):
    with pytest.raises(ValueError, match=rf"at least 1\. Received: sequence_length={size}"):
        CausalLMExamples(stream, size, 4)
    with pytest.raises(ValueError, match=rf"at least 1\. Received: batch_size={size}"):
        CausalLMExamples(stream, 7, size)


def test_a_seed_is_an_integer(stream):
    with pytest.raises(TypeError, match=r"Received: seed='x'"):
        CausalLMExamples(stream, 7, 4, seed="x")


def test_a_start_is_not_negative(stream):
    examples = CausalLMExamples(stream, 7, 4)
    with pytest.raises(ValueError, match=r"Received: initial_epoch=-1"):
        examples.dataset(-1, 0)
    with pytest.raises(ValueError, match=r"Received: initial_step=-2"):
        examples.dataset(0, -2)


def test_a_corpus_shorter_than_an_example_is_refused(stream):
    size = len(stream)
    with pytest.raises(ValueError, match=rf"sequence_length={size}, {size} tokens\. Give more"):
        CausalLMExamples(stream, size, 1)
    assert CausalLMExamples(stream, size - 1, 1).num_examples == 1


def test_a_corpus_shorter_than_a_batch_is_refused(stream):
    with pytest.raises(ValueError, match=r"batch_size=9999, \d+ examples of sequence_length=7 in"):
        CausalLMExamples(stream, 7, 9999)
    assert CausalLMExamples(stream, 7, 9999, drop_remainder=False).steps_per_epoch == 1


@pytest.mark.parametrize("max_sequence_length", [1, 3, 7, 1000])
@pytest.mark.parametrize("shuffle", [True, False])
def test_packing_texts_leaves_no_token_out(tokenizer, max_sequence_length, shuffle):
    texts = ["one", "twotwo", "é", "three three"]
    examples = pack_texts(texts, tokenizer, max_sequence_length, 2, shuffle=shuffle)
    expected = [token for text in texts for token in (END, *text.encode())] + [END]
    pairs = []
    for inputs, labels, weights in examples.dataset():
        real = weights.numpy() == 1
        assert (inputs["padding_mask"].numpy() | ~real).all()
        assert inputs["document_ids"].shape == labels.shape
        pairs += zip(inputs["token_ids"].numpy()[real].tolist(), labels.numpy()[real], strict=True)
    assert sorted(pairs) == sorted(itertools.pairwise(expected))
    if not shuffle:
        assert pairs == list(itertools.pairwise(expected))
    assert examples.sequence_length == min(max_sequence_length, len(expected) - 1)


def test_documents_begin_as_prompts_do():
    """With the start token of Llama's kind; each ends with the end token, in its own document."""
    tokenizer = ByteTokenizer(vocabulary_size=258)
    tokenizer.start_token_id, tokenizer.add_start_token = 257, True
    texts = ["ab", "c", "de"]
    ids = [id for text in texts for id in (257, *text.encode(), END)]
    for source in (texts, lmzoo.data.make_rows(text=texts)):
        inputs, labels, weights = pack_texts(source, tokenizer, 99, 1, shuffle=False).batch(0, 0)
        assert inputs["token_ids"].tolist() == [ids[:-1]] and labels.tolist() == [ids[1:]]
        assert inputs["document_ids"].tolist() == [[0] * 4 + [1] * 3 + [2] * 3]
        assert weights.all()


def test_packed_texts_are_split_by_whole_texts(tokenizer):
    texts = [f"text {number}" for number in range(100)]
    training, held_out = pack_texts(texts, tokenizer, 16, 4, validation_split=0.2)
    found = [
        bytes(token for token in part.stream.token_ids.tolist() if token != END)
        for part in (training, held_out)
    ]
    counts = [sum(text.encode() in part for text in texts[10:]) for part in found]
    assert sum(counts) == 90 and 9 <= counts[1] <= 27
    assert training.shuffle and not held_out.shuffle
    (_, _, weights) = held_out.batch(0, held_out.steps_per_epoch - 1)
    assert weights.shape[0] == held_out.num_examples % 4 or weights.shape[0] == 4


def test_a_path_is_a_file_and_a_str_a_text(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_text("in the file")
    for texts, expected in [(path, "in the file"), ([path, path], None), (["a.txt"], "a.txt")]:
        stream = pack_texts(texts, tokenizer, 99, 1).stream
        found = bytes(token for token in stream.token_ids.tolist() if token != END).decode()
        assert found == (expected or "in the file" * 2)
    with pytest.raises(TypeError, match=r"all str or all pathlib.Path"):
        pack_texts([path, "a"], tokenizer, 99, 1)
