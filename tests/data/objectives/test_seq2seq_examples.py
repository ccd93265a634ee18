"""Laws of both objectives: span corruption and prefix language models."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import (
    Corpus,
    PrefixLMExamples,
    SpanCorruptionExamples,
    prefix_lm,
    span_corruption,
    stream_tokens,
)
from lmzoo.data.corpus.splits import split_stream
from lmzoo.data.corpus.token_stream import open_stream, write_stream
from lmzoo.data.objectives.seq2seq_examples import PairSizes, Seq2SeqExamples, without_eos
from lmzoo.models import T5Backbone
from lmzoo.tasks import Seq2SeqLM
from tests.data.sentinel_tokenizer import END, PAD, SentinelTokenizer

OBJECTIVES = {"span_corruption": span_corruption, "prefix_lm": prefix_lm}
EXAMPLES = {"span_corruption": SpanCorruptionExamples, "prefix_lm": PrefixLMExamples}
every_objective = pytest.mark.parametrize("name", OBJECTIVES)


@pytest.fixture
def tokenizer():
    return SentinelTokenizer()


@pytest.fixture
def path(write_documents):
    return write_documents(90)


@pytest.fixture
def stream(path, tokenizer):
    return stream_tokens(Corpus(path), tokenizer)


def flat(batch):
    return [np.asarray(array) for array in tf.nest.flatten(batch)]


def assert_equal(one, other):
    for left, right in zip(flat(one), flat(other), strict=True):
        np.testing.assert_array_equal(left, right)


@every_objective
def test_a_batch_is_its_examples(name, stream, tokenizer):
    examples = EXAMPLES[name](stream, tokenizer, 24, 4, seed=9)
    batch = examples.batch(2, 3)
    for row in range(4):
        alone = examples.example(2, 12 + row)
        assert_equal(alone, tf.nest.map_structure(lambda array, row=row: array[row], batch))
    # In a batch of another size, too.
    other = EXAMPLES[name](stream, tokenizer, 24, 6, seed=9).batch(2, 2)
    assert_equal(examples.example(2, 13), tf.nest.map_structure(lambda array: array[1], other))


@every_objective
def test_the_decoder_reads_the_labels_behind_a_padding_token(name, stream, tokenizer):
    examples = EXAMPLES[name](stream, tokenizer, 24, 5)
    inputs, labels, weights = examples.batch(0, 0)
    decoder, mask = inputs["decoder_token_ids"], inputs["decoder_padding_mask"]
    assert (decoder[:, 0] == PAD).all()
    np.testing.assert_array_equal(decoder[:, 1:], labels[:, :-1])
    np.testing.assert_array_equal(mask, labels != PAD)
    np.testing.assert_array_equal(weights, mask)
    source, source_mask = inputs["encoder_token_ids"], inputs["encoder_padding_mask"]
    np.testing.assert_array_equal(source_mask, source != PAD)
    # The end token stands at the end and nowhere else, though the window goes over documents.
    for ids, real in ((source, source_mask), (labels, mask)):
        for row, length in zip(ids, real.sum(axis=1), strict=True):
            assert np.flatnonzero(row == END).tolist() == [length - 1]
    assert (decoder.dtype, labels.dtype, source.dtype) == (np.int32,) * 3
    assert (weights.dtype, mask.dtype, source_mask.dtype) == (np.float32, bool, bool)


@every_objective
def test_the_decoder_begins_as_the_task_does_that_is_trained(name, path, tokenizer):
    options = {"sequence_length": 24, "batch_size": 4, "validation_split": 0.3}
    plain, told = (
        OBJECTIVES[name](path, tokenizer, **options, **start)
        for start in ({}, {"start_token_id": 7})
    )
    for one, other in zip(plain, told, strict=True):
        (inputs, *labels), (other_inputs, *other_labels) = next(iter(one)), next(iter(other))
        assert (other_inputs["decoder_token_ids"].numpy()[:, 0] == 7).all()
        for each in (inputs, other_inputs):
            each["decoder_token_ids"] = each["decoder_token_ids"][:, 1:]
        assert_equal((inputs, labels), (other_inputs, other_labels))


@every_objective
def test_a_dataset_goes_on_at_any_step(name, path, tokenizer):
    options = {"sequence_length": 24, "batch_size": 4, "seed": 5}
    data = OBJECTIVES[name](path, tokenizer, **options)
    steps = [batch for _ in range(3) for batch in data]
    length = int(data.cardinality())
    assert len(steps) == 3 * length
    resumed = OBJECTIVES[name](path, tokenizer, **options, initial_epoch=1, initial_step=3)
    assert resumed.element_spec == data.element_spec
    for one, other in zip(resumed, steps[length + 3 : 2 * length + 3], strict=True):
        assert_equal(one, other)


def test_no_two_examples_of_a_run_draw_the_same_numbers(stream, tokenizer):
    examples = SpanCorruptionExamples(stream, tokenizer, 24, 4)
    drawn = []

    def make_pairs(windows, noise):
        drawn.append(noise)
        return SpanCorruptionExamples.make_pairs(examples, windows, noise)

    examples.make_pairs = make_pairs
    for epoch in range(3):
        for step in range(examples.steps_per_epoch):
            examples.batch(epoch, step)
    numbers = np.concatenate(drawn).reshape(-1)
    assert numbers.size == 3 * examples.steps_per_epoch * 4 * (examples.window_size - 2)
    assert len(np.unique(numbers)) == numbers.size


# Span corruption has two spans at 48 positions; at 24 it has one, which ends the window.
@every_objective
def test_each_epoch_draws_anew_and_each_seed_too(name, stream, tokenizer):
    drawn = set()
    for seed in (0, 1):
        examples = EXAMPLES[name](stream, tokenizer, 48, 4, seed=seed, shuffle=False)
        for epoch in range(3):
            batches = [examples.batch(epoch, step) for step in range(examples.steps_per_epoch)]
            drawn.add(str([batch[1].tolist() for batch in batches]))
    assert len(drawn) == 6


@every_objective
def test_epochs_in_order_still_draw_anew_in_a_dataset(name, path, tokenizer):
    data = OBJECTIVES[name](path, tokenizer, sequence_length=48, batch_size=4, shuffle=False)
    first, second = ([flat(batch)[-2].tolist() for batch in data] for _ in range(2))
    assert first != second


@every_objective
def test_validation_is_the_same_each_time_and_of_other_documents(name, path, tokenizer):
    options = {"sequence_length": 24, "batch_size": 4, "validation_split": 0.3}
    training, validation = OBJECTIVES[name](path, tokenizer, **options)
    first, second = (list(validation) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert_equal(one, other)
    assert training.element_spec[1].shape[0] == 4
    assert validation.element_spec[1].shape[0] is None
    num_tokens = sum(
        len(json.loads(line)["text"].encode()) for line in path.read_text().splitlines()
    )
    num_rows = sum(len(flat(batch)[-1]) for batch in first)
    size = EXAMPLES[name](stream_tokens(Corpus(path), tokenizer), tokenizer, 24, 4).window_size
    assert 0.5 * 0.3 < num_rows * size / num_tokens < 1.5 * 0.3


@every_objective
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sequence_length": 1}, ValueError, "Received: sequence_length=1"),
        ({"sequence_length": None}, ValueError, "Received: sequence_length=None"),
        (
            {"tokenizer": SentinelTokenizer(end_token_id=None)},
            ValueError,
            "Received: SentinelTokenizer with end_token_id=None",
        ),
        (
            {"tokenizer": SentinelTokenizer(pad_token_id=None)},
            ValueError,
            "Received: SentinelTokenizer with pad_token_id=None",
        ),
        ({"tokenizer": None}, ValueError, "Received: tokenizer=None."),
        ({"start_token_id": 358}, ValueError, "from 0 to 357. Received: start_token_id=358"),
        ({"start_token_id": "<s>"}, ValueError, "Received: start_token_id='<s>'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    name, path, tokenizer, cache_home, options, error, message
):
    good = {"files": path, "tokenizer": tokenizer, "sequence_length": 24, "batch_size": 4}
    with pytest.raises(error, match=re.escape(message)):
        OBJECTIVES[name](**{**good, **options})
    assert not cache_home.exists()


@every_objective
def test_a_corpus_shorter_than_an_example_is_refused(name, tmp_path, tokenizer):
    (tmp_path / "b.txt").write_text("short")
    with pytest.raises(ValueError, match="Received: sequence_length=24, 5 tokens"):
        OBJECTIVES[name](tmp_path / "b.txt", tokenizer, 24, 1)


def test_a_seq2seq_lm_is_scored_on_what_is_real(path, tokenizer):
    _, data = prefix_lm(path, tokenizer, 24, 4, validation_split=0.1)
    backbone = T5Backbone(
        tokenizer.vocabulary_size, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8
    )
    lm = Seq2SeqLM(backbone, start_token_id=PAD)
    lm.compile()
    losses, weights = [], []
    for inputs, labels, weight in data:
        log_probs = tf.nn.log_softmax(lm(inputs)).numpy()
        losses.append(-np.take_along_axis(log_probs, labels.numpy()[..., None], axis=-1)[..., 0])
        weights.append(weight.numpy())
    mean = np.average(np.concatenate(losses), weights=np.concatenate(weights))
    perplexity = lm.evaluate(data, verbose=0, return_dict=True)["perplexity"]
    assert perplexity == pytest.approx(np.exp(mean), rel=1e-4)


def test_an_objective_says_how_pairs_are_made(stream, tokenizer):
    sizes = {"window_size": 8, "targets_length": 8, "num_draws": 1}
    with pytest.raises(NotImplementedError):
        Seq2SeqExamples(stream, tokenizer, 8, 2, PairSizes(**sizes)).batch(0, 0)


@pytest.fixture
def write(tmp_path):
    def write(documents):
        sizes = [len(document) for document in documents]
        starts = np.cumsum([0, *(size + 1 for size in sizes[:-1])])
        ids = np.array([token for document in documents for token in (END, *document)])
        write_stream(tmp_path, [(ids, starts)], END, 257)
        return open_stream(tmp_path)

    return write


def test_all_tokens_but_the_end_tokens_are_found(write):
    draw = np.random.default_rng(0)
    for trial in range(20):
        # Documents without a token are among them, also the first and the last one.
        sizes = draw.integers(0, 4, draw.integers(1, 12))
        documents = [draw.integers(0, 256, size).tolist() for size in sizes]
        stream = without_eos(write(documents))
        expected = [token for document in documents for token in document]
        assert len(stream) == len(expected)
        if expected:
            places = draw.permutation(len(expected)).reshape(-1, 1)
            np.testing.assert_array_equal(
                stream.token_ids[places], np.array(expected)[places], err_msg=str(trial)
            )


def test_a_stream_may_begin_inside_a_document(write):
    whole = write([list(range(100)), list(range(100, 200))])
    # The tail of too few documents is set aside: its first token begins none.
    _, held_out = split_stream(whole, 0.2)
    stream = without_eos(held_out)
    rest = held_out.token_ids[held_out.token_ids != END]
    assert held_out.starts.size == 0 or held_out.starts[0] > 0
    np.testing.assert_array_equal(stream.token_ids[np.arange(len(stream))], rest)


def test_a_stream_without_end_tokens_is_unchanged(write):
    whole = write([[1, 2, 3]])
    stream = without_eos(
        dataclasses.replace(whole, token_ids=whole.token_ids[1:], starts=whole.starts[:0])
    )
    assert stream.token_ids[np.array([2, 0])].tolist() == [3, 1]
