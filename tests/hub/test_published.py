"""The published models: their parameters, counted from the papers' own formulas."""

import math

import pytest

from lmzoo.hub.families import find_family
from lmzoo.hub.published import find_arguments, list_published
from lmzoo.hub.remote.sources import find_folder

ENTRIES = list_published()
every_entry = pytest.mark.parametrize("name", ENTRIES)
# As the cards and papers give them, in millions.
SAID = {
    "bert-tiny": 4.4,
    "bert-base-uncased": 110,
    "bert-large-uncased": 335,
    "roberta-base": 125,
    "roberta-large": 355,
    "distilbert-base-uncased": 66,
    "distilgpt2": 82,
    "gpt2": 124,
    "gpt2-medium": 355,
    "gpt2-large": 774,
    "gpt2-xl": 1558,
    "t5-small": 60,
    "t5-base": 223,
    "t5-large": 738,
    "t5-xl": 2852,
    "flan-t5-small": 77,
    "flan-t5-base": 248,
    "flan-t5-large": 783,
    "flan-t5-xl": 2850,
    "mt5-small": 300,
    "mt5-base": 582,
    "mt5-large": 1230,
    "mt5-xl": 3743,
}


@every_entry
def test_the_parameters_are_those_of_the_variables(name):
    entry = ENTRIES[name]
    shapes = find_family(entry.model_type).variable_shapes(find_arguments(entry))
    assert sum(math.prod(shape) for shape in shapes.values()) == entry.num_parameters


@pytest.mark.parametrize("name", SAID)
def test_the_parameters_are_what_the_authors_say(name):
    assert ENTRIES[name].num_parameters / 1e6 == pytest.approx(SAID[name], rel=0.01)


def count_encoder(layers, width, words, positions, segments, pooler):
    """Devlin et al. 2018, section 3: the feed-forward is 4 D wide, each product has a bias."""
    block = 4 * (width**2 + width) + 2 * 4 * width**2 + 5 * width + 2 * 2 * width
    tables = (words + positions + segments) * width + 2 * width
    return tables + layers * block + pooler * (width**2 + width)


def count_gpt2(layers, width):
    """Radford et al. 2019: as above with a last norm; the head is the embeddings."""
    return count_encoder(layers, width, 50257, 1024, 0, 0)


def count_t5(layers, heads, head_dim, width, wide, words=32128, matrices=3):
    """Raffel et al. 2019: no bias but one of 32 distances a head in each stack.

    T5 1.1 has three matrices in the feed-forward and a head of its own.
    """
    tied = matrices == 2
    attention = 4 * heads * head_dim * width + width
    feed_forward = matrices * width * wide + width
    blocks = layers * (3 * attention + 2 * feed_forward)
    return words * width * (1 if tied else 2) + blocks + 2 * (32 * heads + width)


@pytest.mark.parametrize(
    "name, count",
    [
        ("bert-mini", count_encoder(4, 256, 30522, 512, 2, 1)),
        ("bert-small", count_encoder(4, 512, 30522, 512, 2, 1)),
        ("bert-medium", count_encoder(8, 512, 30522, 512, 2, 1)),
        ("bert-base-cased", count_encoder(12, 768, 28996, 512, 2, 1)),
        ("bert-large-cased", count_encoder(24, 1024, 28996, 512, 2, 1)),
        ("roberta-base", count_encoder(12, 768, 50265, 514, 1, 0)),
        ("roberta-large", count_encoder(24, 1024, 50265, 514, 1, 0)),
        ("distilbert-base-uncased", count_encoder(6, 768, 30522, 512, 0, 0)),
        ("gpt2", count_gpt2(12, 768)),
        ("gpt2-medium", count_gpt2(24, 1024)),
        ("gpt2-large", count_gpt2(36, 1280)),
        ("gpt2-xl", count_gpt2(48, 1600)),
        ("t5-small", count_t5(6, 8, 64, 512, 2048, matrices=2)),
        ("t5-xl", count_t5(24, 32, 128, 1024, 16384, matrices=2)),
        ("flan-t5-small", count_t5(8, 6, 64, 512, 1024)),
        ("flan-t5-xl", count_t5(24, 32, 64, 2048, 5120)),
        ("mt5-small", count_t5(8, 6, 64, 512, 1024, words=250112)),
        ("mt5-xl", count_t5(24, 32, 64, 2048, 5120, words=250112)),
    ],
)
def test_the_parameters_are_those_of_the_paper(name, count):
    assert ENTRIES[name].num_parameters == count


@every_entry
def test_the_place_is_one_that_is_asked_for(name, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("lmzoo.hub.remote.sources._download", lambda *words: asked.append(words))
    monkeypatch.chdir(tmp_path)
    find_folder(name)
    assert asked == [(ENTRIES[name].source.removeprefix("hf://"), name, None, True)]
