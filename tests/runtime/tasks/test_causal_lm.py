import numpy as np
import pytest

import lmzoo
from lmzoo.runtime.generation.decoder import Text
from tests.export.tiny_lm import CONTEXT, make_task

PROMPTS = ["the cat", "a", "", "that hat, then the rat ate"]


@pytest.mark.quick(
    "options0", "options2", "options3", "options4", "options9", "options10", "options11"
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.9, "seed": 5},
        {"temperature": [0.0, 0.5, 1.0, 2.0], "seed": [1, 2, 3, 4]},
        {"top_k": 7, "top_p": 0.8, "min_p": 0.01, "seed": 1},
        {"temperature": 1.0, "num_return_sequences": 3, "seed": 2},
        {"repetition_penalty": 1.5, "presence_penalty": 0.3},
        {"no_repeat_ngram_size": 2, "min_new_tokens": 5},
        {"bad_words": ["the", "cat", " hat"], "temperature": 1.0, "seed": 9},
        {"stop_strings": ["at", "\ufffd", "q"], "temperature": 1.0, "seed": 3},
        {"max_new_tokens": 0},
        {"max_new_tokens": 1, "return_prompt": False},
        {"max_new_tokens": 1000},
    ],
)
def test_texts_and_scores_are_those_of_the_task(lm, model, options):
    options = {"max_new_tokens": 12, **options}
    wanted, wanted_scores = lm.generate(PROMPTS, return_scores=True, jit_compile=False, **options)
    texts, scores = model.generate(PROMPTS, return_scores=True, **options)
    assert texts == wanted
    np.testing.assert_allclose(scores, wanted_scores, rtol=1e-4, atol=1e-3)


def test_a_litertlm_gives_the_same(lm, model, export):
    other = export(lm, ".litertlm", prefill_lengths=(4, 8))
    options = {"max_new_tokens": 10, "temperature": 1.0, "seed": 8}
    assert other.generate(PROMPTS, **options) == model.generate(PROMPTS, **options)
    assert other.file.kind == "litertlm"


def test_one_prompt_gives_one_result(lm, model):
    options = {"max_new_tokens": 6, "temperature": 1.0, "num_return_sequences": 2, "seed": 0}
    assert model.generate("the", **options) == lm.generate("the", jit_compile=False, **options)
    assert model.generate([]) == [] and model.generate([], return_scores=True)[1].shape == (0,)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1.0, "seed": 4, "stop_strings": ["at", "e t"]},
        {"max_new_tokens": 0, "return_prompt": True},
    ],
)
def test_pieces_are_those_of_the_task(lm, model, options):
    options = {"max_new_tokens": 14, **options}
    assert list(model.stream("the cat", **options)) == list(lm.stream("the cat", **options))


def test_special_tokens_in_prompts_are_read_where_they_are_allowed(lm, model):
    for allow_special in (True, ["<pad>"], False):
        options = {"max_new_tokens": 5, "allow_special": allow_special}
        prompts = ["a<pad>b", "<|endoftext|>the"]
        assert model.generate(prompts, **options) == lm.generate(
            prompts, jit_compile=False, **options
        )


def test_defaults_of_the_file_hold_until_a_call_says_otherwise(lm, export):
    lm.generation_defaults = {"max_new_tokens": 3, "temperature": 1.0, "seed": 4}
    try:
        model = export(lm, prefill_lengths=(4, 8))
        assert model.generate("the") == lm.generate("the", jit_compile=False)
        assert model.generate("the", temperature=0) == lm.generate(
            "the", temperature=0, jit_compile=False
        )
    finally:
        lm.generation_defaults = None


def test_two_texts_at_once_do_not_disturb_each_other(model):
    alone = "".join(model.stream("the cat", max_new_tokens=10))
    other = model.generate("a rat ate", max_new_tokens=10)
    first = model.stream("the cat", max_new_tokens=10)
    pieces = [next(first)]
    assert model.generate("a rat ate", max_new_tokens=10) == other
    second = model.stream("the cat", max_new_tokens=10)
    next(second)
    second.close()
    assert "".join([*pieces, *first]) == alone


def test_a_prompt_in_chunks_is_as_good_as_one_token_at_a_time(lm, model, export):
    single = export(lm, prefill_lengths=(1,))
    text = "the cat sat on the mat and that hat"
    for size in range(1, len(text), 3):
        options = {"max_new_tokens": 4, "return_scores": True}
        (found, score), (wanted, wanted_score) = (
            each.generate(text[:size], **options) for each in (model, single)
        )
        assert found == wanted
        np.testing.assert_allclose(score, wanted_score, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def on_ids(export):
    lm = make_task(None)
    return lm, export(lm, prefill_lengths=(8,))


def test_a_task_without_tokenizer_works_on_ids(on_ids):
    lm, model = on_ids
    options = {"max_new_tokens": 6, "temperature": 1.0, "seed": 1}
    for prompts in ([5, 9], [[5, 9], [7]], np.array([[5, 9, 4]])):
        for return_prompt in (True, False):
            assert model.generate(prompts, return_prompt=return_prompt, **options) == lm.generate(
                prompts, return_prompt=return_prompt, jit_compile=False, **options
            )


@pytest.mark.parametrize(
    ("prompts", "options", "error", "message"),
    [
        ("a " * 40, {}, ValueError, f"context of {CONTEXT} tokens. Received: prompt 0 of"),
        ("a", {"num_beams": 2}, ValueError, "num_beams=2"),
        ("a", {"temprature": 1}, TypeError, "temprature"),
        ("a", {"temperature": -1}, ValueError, "temperature=-1"),
        ("a", {"temperature": [1.0, 2.0]}, ValueError, "2 numbers for 1 prompts"),
        (5, {}, TypeError, "prompts=5"),
        (["a", 5], {}, TypeError, "Received: 5 at index 1"),
        (["\ud800"], {}, ValueError, "lone surrogate '.ud800' at character 0 of index 0"),
        ("a", {"allow_special": ["x"]}, ValueError, "Received: 'x'"),
        ("a", {"allow_special": "x"}, TypeError, "allow_special='x'"),
    ],
)
def test_wrong_calls_are_refused(model, prompts, options, error, message):
    with pytest.raises(error, match=message):
        model.generate(prompts, **options)


@pytest.mark.parametrize(
    ("prompts", "options", "error", "message"),
    [
        ("a", {}, TypeError, "Received: 'a'"),
        ([[5], 6], {}, TypeError, "Received: 6 at index 1"),
        ([5.0], {}, TypeError, "Received: 5.0 in prompt 0"),
        ([[5], [285]], {}, ValueError, "Received: 285 in prompt 1"),
        ([-1], {}, ValueError, "Received: -1 in prompt 0"),
        ([[]], {}, ValueError, "Received: an empty prompt"),
        ([5], {"stop_strings": "a"}, ValueError, "`stop_strings`.*tokenizer=None"),
        ([5], {"bad_words": "a"}, ValueError, "`bad_words`.*tokenizer=None"),
        ([5], {"allow_special": True}, ValueError, "`allow_special`.*tokenizer=None"),
    ],
)
def test_wrong_ids_are_refused(on_ids, prompts, options, error, message):
    with pytest.raises(error, match=message):
        on_ids[1].generate(prompts, **options)


def test_wrong_streams_are_refused(model, on_ids):
    with pytest.raises(ValueError, match="num_return_sequences=2"):
        model.stream("a", num_return_sequences=2, temperature=1.0)
    with pytest.raises(TypeError, match="Received: list"):
        model.stream(["a"])
    with pytest.raises(ValueError, match="tokenizer=None"):
        on_ids[1].stream("a")


def test_scores_that_are_not_finite_are_no_answer_and_leave_no_trace(model, monkeypatch):
    wanted = model.generate("a", max_new_tokens=3)
    kept = len(model._decoder._free)
    with monkeypatch.context() as patch:
        patch.setattr(Text, "step", lambda text, token_id: np.full(285, np.nan, np.float32))
        with pytest.raises(ValueError, match="Received: nan for prompt 0"):
            model.generate("a", max_new_tokens=3)
        with pytest.raises(ValueError, match="Received: nan for prompt 0"):
            list(model.stream("a", max_new_tokens=3))
    # A cache that may hold NaN is not used again.
    assert len(model._decoder._free) == max(kept - 2, 0)
    assert model.generate("a", max_new_tokens=3) == wanted


def test_a_method_of_another_task_is_named(model):
    with pytest.raises(
        AttributeError, match="TextClassifier.*Received: a file of the task CausalLM"
    ):
        model.classify("a")
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        model.fly()
    assert "CausalLM" in repr(model)


@pytest.mark.slow
def test_a_sentence_piece_model_gives_the_texts_of_the_task(export):
    tokenizer = lmzoo.tokenizers.SentencePieceTokenizer.train(
        iter(["a cat, a hat, the cat sat on the mat and ate that rat"] * 9), 60, "bpe", 2
    )
    lm = make_task(tokenizer)
    model = export(lm, prefill_lengths=(8,))
    options = {"max_new_tokens": 9, "temperature": 1.0, "seed": 3, "stop_strings": ["at c"]}
    prompts = ["the", "a cat", ""]
    assert model.generate(prompts, **options) == lm.generate(prompts, jit_compile=False, **options)
    pieces = list(model.stream("a cat", **options))
    assert pieces == list(lm.stream("a cat", **options))
