"""What may be asked of a generation, and what is refused before anything is computed."""

import random

import numpy as np
import pytest

from lmzoo.generation import GenerationOptions
from lmzoo.generation.selection import StaticOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, r"`temperature` must be finite and .* Received: temperature=-0.1"),
        ({"temperature": [1.0, -2.0]}, "Received: temperature=-2.0"),
        ({"temperature": float("nan")}, "Received: temperature=nan"),
        ({"temperature": float("inf")}, "be finite and at least 0. Received: temperature=inf"),
        ({"temperature": [1.0, 10**39]}, "Received: temperature=1000"),
        ({"presence_penalty": float("nan")}, "must be finite. Received: presence_penalty=nan"),
        ({"length_penalty": float("-inf")}, "must be finite. Received: length_penalty=-inf"),
        ({"top_p": 0.0}, r"`top_p` must be in \(0, 1\]. Received: top_p=0.0"),
        ({"top_p": 1.5}, "Received: top_p=1.5"),
        ({"min_p": -0.5}, r"`min_p` must be in \[0, 1\]. Received: min_p=-0.5"),
        ({"top_k": -1}, "`top_k` must be at least 0. Received: top_k=-1"),
        ({"max_new_tokens": -3}, "Received: max_new_tokens=-3"),
        ({"min_new_tokens": -3}, "Received: min_new_tokens=-3"),
        ({"repetition_penalty": 0.0}, "must be finite and above 0. Received: .*_penalty=0.0"),
        ({"no_repeat_ngram_size": -1}, "at least 0. Received: no_repeat_ngram_size=-1"),
        ({"num_beams": 0}, "at least 1. Received: num_beams=0"),
        ({"num_return_sequences": 1.5}, "Received: num_return_sequences=1.5"),
        ({"early_stopping": 1}, "Received: early_stopping=1"),
        ({"early_stopping": np.True_}, "Received: early_stopping=np.True_"),
        ({"early_stopping": "soon"}, "Received: early_stopping='soon'"),
        ({"num_beams": 2, "temperature": 0.7}, "Received: num_beams=2, temperature=0.7"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences=3, num_beams=2"),
        ({"num_return_sequences": 2}, "sampling or beams.*Received: num_return_sequences=2"),
        ({"num_return_sequences": 2, "temperature": 0}, "temperature=0. Set `temperature` or"),
        ({"num_beams": 2**20}, "`num_beams` must be at most 1024. Received: num_beams=1048576"),
        ({"num_return_sequences": 2**22, "top_k": 1}, "at most 1024. Received: .*=4194304"),
        ({"stop_strings": ["a" * 2**20]}, "at most 512 bytes. Received: 'aaa.*, 1048576 bytes"),
        ({"stop_strings": ["猫" * 171]}, "at most 512 bytes. Received: .*, 513 bytes"),
        ({"stop_strings": [str(n) for n in range(129)]}, "at most 128 .* Received: 129 strings"),
        ({"bad_words": [str(n) for n in range(5000)]}, "at most 4096 .* Received: 5000 strings"),
        ({"stop_strings": "\ud800"}, r"valid Unicode. Received: '\\ud800'"),
        ({"stop_strings": ["a", ""]}, "`stop_strings` must hold strings .* Received: ''"),
        ({"bad_words": [3]}, "`bad_words` must hold strings .* Received: 3"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        GenerationOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": "hot"}, "`temperature` must be a number .* Received: temperature='hot'"),
        ({"top_k": 2.5}, "`top_k` must be an integer .* Received: top_k=2.5"),
        ({"max_new_tokens": True}, "Received: max_new_tokens=True"),
        ({"seed": "a"}, "Received: seed='a'"),
        ({"stop_strings": None}, "a string or a list of strings. Received: stop_strings=None"),
        ({"bad_words": 5}, "Received: bad_words=5"),
    ],
)
def test_what_is_no_number_is_a_type_error(options, message):
    with pytest.raises(TypeError, match=message):
        GenerationOptions(**options)


def test_a_string_that_is_said_twice_counts_once():
    assert GenerationOptions(stop_strings=["a", "b", "a"]).stop_strings == ("a", "b")
    assert GenerationOptions(bad_words="a").bad_words == ("a",)


def test_ngrams_longer_than_any_text_are_off_and_equal_end_tokens_are_one():
    options = GenerationOptions(no_repeat_ngram_size=2000)
    assert options.make_static_options([3] * 30_000, 64) == StaticOptions(
        end_token_ids=(3,), sampled=False
    )
    assert options.make_static_options((), 2000).no_repeat_ngram_size == 2000


def test_nothing_asked_is_greedy_and_narrowing_alone_samples_at_1():
    greedy, narrowed = GenerationOptions(), GenerationOptions(top_p=0.9)
    assert not greedy.is_sampled and narrowed.is_sampled
    assert greedy.make_parameters(2)["temperature"].numpy().tolist() == [0, 0]
    assert narrowed.make_parameters(2)["temperature"].numpy().tolist() == [1, 1]
    assert not GenerationOptions(temperature=0.0, top_k=5).is_sampled
    assert GenerationOptions(temperature=[0.0, 0.5]).is_sampled


def test_a_count_beyond_what_fits_is_the_largest_that_does():
    options = GenerationOptions(max_new_tokens=10**12, min_new_tokens=2**32, top_k=[2**40, 3])
    parameters = options.make_parameters(2)
    assert parameters["max_new_tokens"].numpy().tolist() == [2**31 - 1] * 2
    assert parameters["min_new_tokens"].numpy().tolist() == [2**31 - 1] * 2
    assert parameters["top_k"].numpy().tolist() == [2**31 - 1, 3]


def test_a_list_has_one_number_for_each_prompt():
    parameters = GenerationOptions(top_k=[1, 2, 3]).make_parameters(3)
    assert parameters["top_k"].numpy().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="`top_k` .* Received: 2 numbers for 3 prompts"):
        GenerationOptions(top_k=[1, 2]).make_parameters(3)


def test_one_seed_numbers_the_prompts_and_seeds_of_their_own_do_not():
    one = GenerationOptions(seed=7).make_parameters(3)
    assert one["seed"].numpy().tolist() == [7, 7, 7]
    assert one["rng_stream"].numpy().tolist() == [0, 1, 2]
    own = GenerationOptions(seed=[7, 8, 9]).make_parameters(3)
    assert own["seed"].numpy().tolist() == [7, 8, 9]
    assert own["rng_stream"].numpy().tolist() == [0, 0, 0]


def test_any_integer_is_a_seed_and_no_seed_follows_pythons():
    assert GenerationOptions(seed=2**40 + 5).make_parameters(1)["seed"].numpy().tolist() == [5]
    drawn = []
    for _ in range(2):
        random.seed(3)
        drawn.append(GenerationOptions().make_parameters(1)["seed"].numpy()[0])
    assert drawn[0] == drawn[1] != GenerationOptions().make_parameters(1)["seed"].numpy()[0]


def test_the_signature_is_that_of_the_parameters():
    options = GenerationOptions()
    parameters = options.make_parameters(2)
    signature = options.make_signature()
    assert signature.keys() == parameters.keys()
    assert all(spec.dtype == parameters[name].dtype for name, spec in signature.items())


def test_static_options_are_on_only_where_a_number_says_so():
    assert not any(GenerationOptions().make_static_options((), 64)[2:])
    static = GenerationOptions(
        presence_penalty=[0.0, 0.5], min_new_tokens=1, stop_strings="x", bad_words=["y"]
    ).make_static_options([np.int64(3)], 64)
    assert static.repetition and static.min_new_tokens and static.stop and static.bad_words
    assert static.end_token_ids == (3,)
