"""The lists of what is ignored: they catch what old files carry and no weight of a model."""

import pytest

from lmzoo.hub.families import find_family, list_families
from tests.hub.golden_encoders import FAMILIES, HEADS, read_folder
from tests.hub.golden_t5 import read_tensors


@pytest.mark.parametrize(
    "model_type, name, words",
    [
        ("gpt2", "h.11.attn.bias", "causal masks"),
        ("gpt2", "transformer.h.0.attn.masked_bias", "causal masks"),
        ("gpt2", "transformer.h.0.attn.c_attn.bias", None),
        ("gpt2", "h.0.attn.bias.more", None),
        ("gpt2", "xh.0.attn.bias", None),
        ("bert", "bert.embeddings.position_ids", "position and segment counters"),
        ("roberta", "roberta.embeddings.token_type_ids", "position and segment counters"),
        ("bert", "embeddings.position_embeddings.weight", None),
        ("bert", "cls.seq_relationship.weight", "next-sentence head"),
        ("bert", "bert.pooler.dense.bias", "pooler that the task does not have"),
        ("bert", "roberta.pooler.dense.bias", None),
        (
            "t5",
            "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
            "distances of cross-attention",
        ),
        ("mt5", "decoder.block.1.layer.1.EncDecAttention.relative_attention_bias.weight", None),
        (
            "llama",
            "model.layers.3.self_attn.rotary_emb.inv_freq",
            "frequencies of the angles",
        ),
        ("qwen2", "rotary_emb.inv_freq", "frequencies of the angles"),
        ("llama", "model.layers.3.self_attn.q_proj.weight", None),
        ("lmzoo_gpt", "h.0.attn.bias", None),
    ],
)
def test_a_tensor_is_on_the_list_that_has_its_name(model_type, name, words):
    assert find_family(model_type).find_ignored(name) == words


def test_no_weight_of_a_golden_model_is_on_a_list_but_a_pooler():
    for family in FAMILIES:
        for head in HEADS:
            _, tensors, _ = read_folder(family, head)
            listed = {name for name in tensors if find_family(family).find_ignored(name)}
            assert all(".pooler." in f".{name}" for name in listed)
    assert not [name for name in read_tensors("t5") if find_family("t5").find_ignored(name)]


def test_each_published_model_is_of_its_family():
    for family in list_families():
        for model in family.published.values():
            assert model.model_type in family.classes
            assert model.task in family.heads


def test_what_something_is_tied_to_is_not_tied_itself():
    for family in list_families():
        for table in (family.tied, *(head.tied for head in family.heads.values())):
            assert not table.keys() & set(table.values())


def test_a_model_type_belongs_to_one_family():
    model_types = [name for family in list_families() for name in family.classes]
    assert len(set(model_types)) == len(model_types)
    for model_type in model_types:
        assert model_type in find_family(model_type).classes


def test_an_unknown_model_type_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of bert, .*lmzoo_t5. Received: model_type='bart'"):
        find_family("bart")
