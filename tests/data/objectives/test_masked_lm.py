import json

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import Corpus, masked_lm, stream_tokens
from lmzoo.data.objectives.masked_lm import MaskedLMExamples
from lmzoo.tokenizers import WordPieceTokenizer
from tests.data.byte_tokenizer import ByteTokenizer
from tests.data.small_tokenizers import make_word_piece

CLS, SEP, MASK = 2, 3, 4


@pytest.fixture(scope="module")
def words():
    return make_word_piece()


@pytest.fixture
def path(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "a.jsonl"
    texts = [
        " ".join(f"w{number % 40}x{number}"[: 2 + (number > 9)] for number in row)
        for row in (draw.integers(0, 40, size) for size in draw.integers(1, 12, 50))
    ]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return path


def as_lists(dataset):
    return [
        {
            **{name: value.numpy().tolist() for name, value in inputs.items()},
            "labels": labels.numpy().tolist(),
            "weights": weights.numpy().tolist(),
        }
        for inputs, labels, weights in dataset
    ]


def restore(batch):
    """The windows as they were before anything was masked."""
    ids = np.array(batch["token_ids"])
    for row, (places, labels, weights) in enumerate(
        zip(batch["mask_positions"], batch["labels"], batch["weights"], strict=True)
    ):
        for place, label, weight in zip(places, labels, weights, strict=True):
            if weight:
                ids[row, place] = label
    return ids.tolist()


def test_the_windows_are_the_corpus_between_special_tokens(path, words):
    data = masked_lm(path, words, sequence_length=10, batch_size=1, shuffle=False)
    ids = [token for batch in as_lists(data) for token in restore(batch)[0][1:-1]]
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    expected = [token for text in texts for token in (SEP, *words.tokenize(text).numpy().tolist())]
    assert ids == expected[: len(ids)] and len(expected) - len(ids) < 8
    for batch in as_lists(data):
        ((first, *_, last),) = restore(batch)
        assert (first, last) == (CLS, SEP)
        assert np.all(batch["padding_mask"]) and not np.any(batch["segment_ids"])


def test_shapes_are_static_and_places_have_one_width(path, words):
    data = masked_lm(path, words, sequence_length=22, batch_size=4)
    inputs, labels, weights = data.element_spec
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "token_ids": ([4, 22], tf.int32),
        "padding_mask": ([4, 22], tf.bool),
        "segment_ids": ([4, 22], tf.int32),
        "mask_positions": ([4, 3], tf.int32),
    }
    assert (labels.shape.as_list(), labels.dtype) == ([4, 3], tf.int32)
    assert (weights.shape.as_list(), weights.dtype) == ([4, 3], tf.float32)


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_epoch_masks_other_tokens_of_the_same_examples(path, words, shuffle):
    data = masked_lm(path, words, 10, 1, shuffle=shuffle)
    first, second = as_lists(data), as_lists(data)
    rows = [[restore(batch)[0] for batch in epoch] for epoch in (first, second)]
    assert sorted(rows[0]) == sorted(rows[1])
    assert (rows[0] == rows[1]) is not shuffle
    masked = [sorted(batch["token_ids"][0] for batch in epoch) for epoch in (first, second)]
    assert masked[0] != masked[1]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_is_a_function_of_its_seed_and_its_number(path, words, shuffle):
    options = {"sequence_length": 10, "batch_size": 4, "seed": 5, "shuffle": shuffle}
    data = masked_lm(path, words, **options)
    epochs = [as_lists(data) for _ in range(3)]
    resumed = masked_lm(path, words, **options, initial_epoch=1, initial_step=3)
    assert as_lists(resumed) == epochs[1][3:] + epochs[2][:3]
    stream = stream_tokens(Corpus(path), words)
    examples = MaskedLMExamples(stream, words, **options)
    assert as_lists([examples.batch(2, 1)]) == epochs[2][1:2]
    other = as_lists(masked_lm(path, words, **{**options, "seed": 6}))
    assert [batch["mask_positions"] for batch in other] != [
        batch["mask_positions"] for batch in epochs[0]
    ]


def test_a_seed_and_its_neighbour_share_no_masks(path, words):
    """Were both added up, step 1 of seed 0 would mask what step 0 of seed 1 masks."""
    stream, found = stream_tokens(Corpus(path), words), []
    for seed in range(4):
        examples = MaskedLMExamples(stream, words, 12, 4, seed=seed, shuffle=False)
        found += [str(examples.batch(0, step)[0]["mask_positions"]) for step in range(4)]
    assert len(set(found)) == 16


def test_validation_has_one_order_one_set_of_masks_and_nothing_of_training(path, words):
    options = {"sequence_length": 10, "batch_size": 7, "seed": 1, "validation_split": 0.3}
    training, validation = masked_lm(path, words, **options)
    first = as_lists(validation)
    assert first == as_lists(validation) == as_lists(masked_lm(path, words, **options)[1])
    num_rows = sum(len(batch["labels"]) for batch in first)
    assert 0.2 < num_rows / (num_rows + 7 * len(as_lists(training))) < 0.4
    assert 1 <= len(first[-1]["labels"]) <= 7


def test_whole_words_are_masked_together(path, words):
    tokenizer = WordPieceTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "x"]
        + [f"##{digit}" for digit in range(10)]
    )
    whole = False
    for batch in as_lists(masked_lm(path, tokenizer, 20, 4, whole_word=True, mask_rate=0.3)):
        for row, places, weights in zip(
            restore(batch), batch["mask_positions"], batch["weights"], strict=True
        ):
            chosen = {place for place, weight in zip(places, weights, strict=True) if weight}
            for place in range(2, 19):
                if row[place] > 6 and row[place - 1] > 3:
                    assert (place in chosen) == (place - 1 in chosen)
                    whole |= place in chosen
    assert whole


@pytest.mark.parametrize(
    ("options", "received"),
    [({"sequence_length": 2}, "sequence_length=2"), ({"mask_rate": 1.0}, "mask_rate=1.0")],
)
def test_what_leaves_nothing_to_mask_or_to_keep_is_refused(
    path, words, cache_home, options, received
):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        masked_lm(path, words, **{"sequence_length": 8, **options})
    assert not cache_home.exists()


def test_a_tokenizer_without_the_tokens_of_an_encoder_is_refused(path, cache_home):
    with pytest.raises(ValueError, match="start_token_id=None"):
        masked_lm(path, ByteTokenizer(), 8, 4)
    assert not cache_home.exists()


def test_a_corpus_shorter_than_an_example_or_a_batch_is_refused(path, words):
    with pytest.raises(ValueError, match=r"9998 tokens. Received: sequence_length=10000, \d+ tok"):
        masked_lm(path, words, 10000, 1)
    with pytest.raises(ValueError, match=r"batch_size=9999, \d+ examples of sequence_length=10 in"):
        masked_lm(path, words, 10, 9999)


def test_the_cache_is_shared_with_other_objectives(path, words, cache_home):
    masked_lm(path, words, 10, 4)
    before = sorted(file for file in cache_home.rglob("*"))
    masked_lm(path, words, 12, 2, mask_rate=0.3)
    assert sorted(file for file in cache_home.rglob("*")) == before
