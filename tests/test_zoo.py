"""The zoo: names to sizes, and fresh backbones of them."""

import pytest

import lmzoo
from lmzoo import zoo


def test_the_names_are_those_of_the_entries():
    published = zoo.names()[zoo.names().index("bert-tiny") :]
    assert "gpt2" in published
    assert all(zoo.find_entry(name).source.startswith("hf://") for name in published)
    assert lmzoo.zoo is zoo


@pytest.mark.parametrize("name", ["gpt3", "", 7])
def test_an_unknown_name_is_refused_with_one_that_is_near(name):
    with pytest.raises(ValueError, match=f"such as .*. Received: name={name!r}"):
        zoo.find_entry(name)
    with pytest.raises(ValueError, match="gpt2.*Received: name='gpt3'"):
        zoo.make_backbone("gpt3")


def test_a_fresh_backbone_has_the_published_size():
    backbone = zoo.make_backbone("bert-tiny")
    assert type(backbone) is lmzoo.models.BertBackbone
    assert backbone.count_params() == zoo.find_entry("bert-tiny").num_parameters


@pytest.mark.parametrize(
    "name, kind, kept",
    [
        ("gpt2-xl", "GPTBackbone", {"num_heads": 25, "max_sequence_length": 1024}),
        ("flan-t5-small", "T5Backbone", {"num_heads": 6, "gated": True, "tied": False}),
        ("roberta-base", "BertBackbone", {"position_offset": 2, "pooler": False}),
    ],
)
def test_what_is_overridden_is_another_and_the_rest_stays(name, kind, kept):
    # Small, since a published size takes seconds to draw.
    small = {"vocabulary_size": 11, "num_layers": 1, "hidden_dim": 300, "intermediate_dim": 8}
    backbone = zoo.make_backbone(name, **small, dtype="mixed_bfloat16")
    arguments = backbone.get_config()
    assert type(backbone).__name__ == kind
    assert {key: arguments[key] for key in small | kept} == small | kept
    assert backbone.compute_dtype == "bfloat16"


def test_an_unknown_argument_is_refused():
    with pytest.raises((TypeError, ValueError), match="num_layer"):
        zoo.make_backbone("bert-tiny", num_layer=3)
