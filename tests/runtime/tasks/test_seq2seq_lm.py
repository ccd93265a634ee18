import numpy as np
import pytest

import lmzoo
from tests.layers.reference import randomise

TEXT = "a cat, a hat, the cat sat on the mat and ate that rat. "
SOURCES = ["the cat", "", "a hat and that rat", "mat"]
CONTEXT = 24


@pytest.fixture(scope="module")
def both(export):
    tokenizer = lmzoo.tokenizers.SentencePieceTokenizer.train(iter([TEXT] * 9), 70, "bpe", 4)
    backbone = lmzoo.models.T5Backbone(
        tokenizer.vocabulary_size + 3, 2, 2, 16, intermediate_dim=24, max_sequence_length=CONTEXT
    )
    task = lmzoo.tasks.Seq2SeqLM(
        randomise(backbone, deviation=0.3), tokenizer, prefix="to: ", allow_special=["<extra_id_0>"]
    )
    return task, export(task, decode_windows=(8, 16))


@pytest.mark.quick("options0", "options5")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1.0, "seed": 5, "num_return_sequences": 2},
        {"temperature": 0.8, "top_p": 0.9, "stop_strings": ["at", " a"], "seed": 1},
        {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 9},
        {"bad_words": ["cat"], "max_new_tokens": 1000},
        {"max_new_tokens": 0},
    ],
)
def test_texts_and_scores_are_those_of_the_task(both, options):
    task, model = both
    options = {"max_new_tokens": 20, **options}
    wanted, wanted_scores = task.generate(SOURCES, return_scores=True, jit_compile=False, **options)
    texts, scores = model.generate(SOURCES, return_scores=True, **options)
    assert texts == wanted
    np.testing.assert_allclose(scores, wanted_scores, rtol=1e-4, atol=1e-3)


def test_pieces_are_those_of_the_task(both):
    task, model = both
    options = {"max_new_tokens": 18, "temperature": 1.0, "seed": 2}
    pieces = list(model.stream("a <extra_id_0> rat", **options))
    assert pieces == list(task.stream("a <extra_id_0> rat", **options))


def test_a_source_that_is_too_long_is_refused(both):
    with pytest.raises(ValueError, match=f"context of {CONTEXT} tokens. Received: prompt 0"):
        both[1].generate("cat " * 30)
