import itertools

import numpy as np
import pytest

from lmzoo.data import Corpus, SpanCorruptionExamples, span_corruption, stream_tokens
from tests.data.sentinel_tokenizer import END, FIRST_SENTINEL, SentinelTokenizer

TEXT = "".join(chr(97 + place % 26) for place in range(6000))


@pytest.fixture
def tokenizer():
    return SentinelTokenizer()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    # Documents of 1 to 40 letters.
    cuts = np.cumsum([0, *np.random.default_rng(0).integers(1, 41, 400)]).tolist()
    parts = [TEXT[start:end] for start, end in itertools.pairwise(cuts)]
    path.write_text("|".join(part for part in parts if part))
    return path


@pytest.fixture
def stream(path, tokenizer):
    return stream_tokens(Corpus(path, document_separator="|"), tokenizer)


def read(row):
    """Splits a row at its sentinels: what stands before the first, and behind each in order."""
    parts, numbers = [[]], []
    for token in row.tolist():
        if token >= FIRST_SENTINEL:
            numbers.append(token)
            parts.append([])
        else:
            parts[-1].append(token)
    return parts, numbers


def reassemble(source, target):
    """Puts the spans of a target into the places of their sentinels."""
    assert source[-1] == target[-1] == END
    kept, sentinels = read(source[:-1])
    before, *corrupted = read(target[:-1])[0]
    assert before == [] and read(target)[1] == sentinels
    assert kept[0] and all(corrupted)
    return kept[0] + [t for span, run in zip(corrupted, kept[1:], strict=True) for t in span + run]


@pytest.mark.parametrize(
    "options", [{}, {"noise_density": 0.5}, {"mean_span_length": 1.0}, {"sequence_length": 3}]
)
def test_inputs_and_targets_reassemble_the_text(stream, tokenizer, options):
    options = {"sequence_length": 100, **options}
    examples = SpanCorruptionExamples(stream, tokenizer, batch_size=4, shuffle=False, **options)
    for epoch in (0, 3):
        text = []
        for step in range(examples.steps_per_epoch):
            inputs, labels, _ = examples.batch(epoch, step)
            for source, target in zip(inputs["encoder_token_ids"], labels, strict=True):
                text += reassemble(source, target)
        assert bytes(text).decode() == TEXT[: len(text)]
        assert len(TEXT) - len(text) < 4 * examples.window_size


def test_sentinels_count_from_the_first_one(stream, tokenizer):
    examples = SpanCorruptionExamples(stream, tokenizer, 100, 4)
    inputs, labels, _ = examples.batch(1, 2)
    for rows in (inputs["encoder_token_ids"], labels):
        for row in rows:
            _, sentinels = read(row)
            assert sentinels == tokenizer.sentinel_ids[: len(sentinels)]
            assert len(sentinels) == 5


def test_an_example_of_t5_has_its_lengths_and_no_padding(path, tokenizer):
    data = span_corruption(path, tokenizer, document_separator="|", batch_size=2)
    inputs, labels, weights = next(iter(data))
    assert inputs["encoder_token_ids"].shape == (2, 512)
    assert labels.shape == weights.shape == inputs["decoder_token_ids"].shape == (2, 114)
    assert inputs["encoder_padding_mask"].numpy().all()
    assert inputs["decoder_padding_mask"].numpy().all() and (weights.numpy() == 1).all()
    assert (inputs["encoder_token_ids"].numpy() >= FIRST_SENTINEL).sum() == 2 * 28


def test_each_epoch_has_every_window_once(stream, tokenizer):
    examples = SpanCorruptionExamples(stream, tokenizer, 40, 1)
    orders = set()
    for epoch in range(3):
        windows = []
        for index in range(examples.num_examples):
            inputs, labels, _ = examples.example(epoch, index)
            windows.append(bytes(reassemble(inputs["encoder_token_ids"], labels)).decode())
        size = examples.window_size
        assert sorted(windows) == sorted(
            TEXT[start : start + size] for start in range(0, len(TEXT) - size + 1, size)
        )
        orders.add(tuple(windows))
    assert len(orders) == 3


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (
            SentinelTokenizer(num_sentinels=27),
            "of 28 spans. Received: .* with 27 sentinel_ids. Train .* with num_sentinels=28",
        ),
        (SentinelTokenizer(vocabulary_size=300), "from 258 to 357, 100 .* vocabulary_size=300"),
    ],
)
def test_sentinels_that_are_too_few_or_unknown_are_refused(path, tokenizer, message, cache_home):
    with pytest.raises(ValueError, match=message):
        span_corruption(path, tokenizer, 512, 2)
    assert not cache_home.exists()


def test_a_tokenizer_without_or_with_equal_sentinels_is_refused(path):
    tokenizer = SentinelTokenizer()
    tokenizer.sentinel_ids = [300] * 100
    with pytest.raises(ValueError, match="from 300 to 300, 1 different ones of 100"):
        span_corruption(path, tokenizer, 512, 2)
    del tokenizer.sentinel_ids
    with pytest.raises(ValueError, match="SentinelTokenizer with 0 sentinel_ids"):
        span_corruption(path, tokenizer, 512, 2)


@pytest.mark.parametrize(
    "options", [{"noise_density": 1.5}, {"mean_span_length": 0.0}, {"sequence_length": 2}]
)
def test_numbers_that_cannot_work_are_refused(path, tokenizer, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        span_corruption(path, tokenizer, **options)
