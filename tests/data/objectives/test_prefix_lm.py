import numpy as np
import pytest

from lmzoo.data import Corpus, PrefixLMExamples, prefix_lm, stream_tokens
from tests.data.sentinel_tokenizer import END, SentinelTokenizer

TEXT = "".join(chr(97 + place % 26) for place in range(8000))


@pytest.fixture
def tokenizer():
    return SentinelTokenizer()


@pytest.fixture
def stream(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    return stream_tokens(Corpus(path), tokenizer)


def real(ids, mask):
    assert ids[mask][-1] == END
    return ids[mask][:-1].tolist()


def pairs_of(examples, epoch):
    for step in range(examples.steps_per_epoch):
        inputs, labels, _ = examples.batch(epoch, step)
        rows = (
            inputs["encoder_token_ids"],
            inputs["encoder_padding_mask"],
            labels,
            inputs["decoder_padding_mask"],
        )
        for ids, mask, targets, targets_mask in zip(*rows, strict=True):
            yield real(ids, mask), real(targets, targets_mask)


@pytest.mark.parametrize("sequence_length", [2, 3, 40])
def test_inputs_and_targets_reassemble_the_text(stream, tokenizer, sequence_length):
    examples = PrefixLMExamples(stream, tokenizer, sequence_length, 4, shuffle=False)
    text = [t for source, target in pairs_of(examples, 1) for t in source + target]
    assert bytes(text).decode() == TEXT[: len(text)]
    assert len(TEXT) - len(text) < 4 * sequence_length


def test_every_split_is_equally_likely(stream, tokenizer):
    # 20 epochs of 800 examples of 10 tokens: each of 9 places is expected 1,777.8 times; chi-square
    # with 8 degrees of freedom stays below 26.1 in all but 0.1 % of cases.
    examples = PrefixLMExamples(stream, tokenizer, 10, 80)
    sizes = [len(source) for epoch in range(20) for source, _ in pairs_of(examples, epoch)]
    counts = np.bincount(sizes, minlength=10)[1:]
    assert len(sizes) == 16_000 and len(counts) == 9
    expected = len(sizes) / 9
    assert ((counts - expected) ** 2 / expected).sum() < 26.1


def test_a_tokenizer_needs_no_sentinels(tmp_path, tokenizer):
    (tmp_path / "b.txt").write_text(TEXT)
    del tokenizer.sentinel_ids
    inputs, labels, weights = next(iter(prefix_lm(tmp_path / "b.txt", tokenizer, 32, 2)))
    assert inputs["encoder_token_ids"].shape == labels.shape == weights.shape == (2, 32)
    num_real = weights.numpy().sum() + inputs["encoder_padding_mask"].numpy().sum()
    assert num_real == 2 * (32 + 2)


def test_a_window_of_one_token_cannot_be_split(stream, tokenizer):
    with pytest.raises(ValueError, match="at least 2, .* Received: sequence_length=1"):
        PrefixLMExamples(stream, tokenizer, 1, 4)
