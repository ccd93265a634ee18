"""Defaults of `generate`: what holds where a caller says nothing."""

import keras
import pytest
import tensorflow as tf

from lmzoo.generation.defaults import check_defaults, check_end_token_ids, merge_options
from lmzoo.tasks import CausalLM

PROMPTS = ["def main(", "The quick"]
BEAMS = {"num_beams": 3, "length_penalty": 0.0, "max_new_tokens": 8}


@pytest.mark.parametrize(
    ("defaults", "given", "merged"),
    [
        ({"max_new_tokens": 9}, {}, {"max_new_tokens": 9}),
        ({"max_new_tokens": 9}, {"max_new_tokens": 2}, {"max_new_tokens": 2}),
        ({"num_beams": 4}, {"num_beams": 1}, {"num_beams": 1}),
        ({"num_beams": 4, "seed": 1}, {"temperature": 0.5}, {"seed": 1, "temperature": 0.5}),
        ({"num_beams": 4}, {"temperature": 0}, {"num_beams": 4, "temperature": 0}),
        ({"temperature": 0.7, "seed": 1}, {"num_beams": 2}, {"seed": 1, "num_beams": 2}),
        ({"top_k": 5, "top_p": 0.9, "min_p": 0.1}, {"num_beams": 2}, {"num_beams": 2}),
        ({"temperature": 0.7, "top_k": 5}, {"top_k": 3}, {"temperature": 0.7, "top_k": 3}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_given_wins_over_the_defaults_it_excludes(defaults, given, merged):
    assert merge_options(defaults, given) == merged


def test_generate_begins_with_the_defaults(make_lm):
    lm = make_lm()
    # Graphs take longer to be traced than these few steps.
    tf.config.run_functions_eagerly(True)
    try:
        check_that_generate_begins_with_the_defaults(lm)
    finally:
        tf.config.run_functions_eagerly(False)


def check_that_generate_begins_with_the_defaults(lm):
    greedy = lm.generate(PROMPTS, max_new_tokens=8)
    wanted = lm.generate(PROMPTS, **BEAMS)
    assert wanted != greedy
    lm.generation_defaults = BEAMS
    assert lm.generate(PROMPTS) == wanted
    assert lm.generate(PROMPTS, num_beams=1) == greedy
    lm.generation_defaults = None
    assert lm.generate(PROMPTS, max_new_tokens=8) == greedy


def test_beams_do_not_stream_by_default_either(make_lm):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    with pytest.raises(ValueError, match="Received: num_beams=3, .*pass num_beams=1"):
        lm.stream(PROMPTS[0])


@pytest.mark.slow
def test_stream_begins_with_the_defaults(make_lm):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    whole = "".join(lm.stream(PROMPTS[0], num_beams=1))
    lm.generation_defaults = None
    assert whole == "".join(lm.stream(PROMPTS[0], max_new_tokens=BEAMS["max_new_tokens"]))


def test_every_end_token_ends_a_text(make_lm):
    lm = make_lm(tokenizer=None)
    ids = lm.generate([5, 7, 11], max_new_tokens=12, return_prompt=False)
    assert lm.end_token_ids == ()
    ends = {ids[3], ids[6]}
    first = next(place for place, token in enumerate(ids) if token in ends)
    # A graph that was traced for other ends is not used again.
    lm.end_token_ids = ends
    assert lm.generate([5, 7, 11], max_new_tokens=12, return_prompt=False) == ids[: first + 1]


def test_the_tokenizer_says_what_ends_a_text_unless_it_is_set(make_lm, tokenizer):
    lm = make_lm()
    assert lm.end_token_ids == (tokenizer.end_token_id,)
    lm.end_token_ids = [3, 5]
    assert lm.end_token_ids == (3, 5)
    lm.end_token_ids = None
    assert lm.end_token_ids == (tokenizer.end_token_id,)


def test_a_keras_file_keeps_them(make_lm, tmp_path):
    lm = make_lm(tokenizer=None)
    assert not {"generation_defaults", "end_token_ids"} & lm.get_config().keys()
    lm.generation_defaults, lm.end_token_ids = {**BEAMS, "stop_strings": ("a",)}, [3, 5]
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    assert again.generation_defaults == {**BEAMS, "stop_strings": ["a"]}
    assert again.end_token_ids == (3, 5)


@pytest.mark.slow
def test_an_export_has_them_baked_in(make_lm, tmp_path):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    lm.export(tmp_path / "1")
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    texts = [text.decode("utf-8") for text in serve(text=tf.constant(PROMPTS))["text"].numpy()]
    assert texts == lm.generate(PROMPTS)
    assert texts != lm.generate(PROMPTS, num_beams=1)


def test_defaults_cannot_be_changed_behind_the_task(make_lm):
    lm = make_lm()
    lm.generation_defaults = given = {"max_new_tokens": 3}
    given["max_new_tokens"] = -1
    with pytest.raises(TypeError, match="does not support item assignment"):
        lm.generation_defaults["max_new_tokens"] = -1
    assert dict(lm.generation_defaults) == {"max_new_tokens": 3}


@pytest.mark.parametrize(
    ("defaults", "error", "message"),
    [
        ([("num_beams", 2)], TypeError, r"generation_defaults=\[\('num_beams', 2\)\]"),
        ({"beams": 2}, TypeError, "beams"),
        ({"num_beams": 0}, ValueError, "Received: num_beams=0"),
        ({"temperature": "hot"}, TypeError, "Received: temperature='hot'"),
        ({"seed": [1, 2]}, ValueError, r"`seed` must be one number .*Received: seed=\[1, 2\]"),
    ],
)
def test_defaults_that_cannot_be_are_refused(make_lm, defaults, error, message):
    with pytest.raises(error, match=message):
        check_defaults(defaults)
    with pytest.raises(error, match=message):
        CausalLM(make_lm().backbone, generation_defaults=defaults)


@pytest.mark.parametrize(
    ("ids", "error"),
    [([400], ValueError), ([-1], ValueError), (["2"], TypeError), ([True], TypeError)],
)
def test_end_tokens_are_of_the_vocabulary(ids, error):
    with pytest.raises(error, match=f"`end_token_ids` must .*Received: {ids[0]!r}"):
        check_end_token_ids(ids, 400)


def test_one_end_token_comes_in_a_list():
    with pytest.raises(TypeError, match="`end_token_ids` must be a list .*Received: .*=5. Write"):
        check_end_token_ids(5, 400)
