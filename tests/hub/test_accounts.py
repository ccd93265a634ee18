"""The lists of what is ignored: they catch what old files carry and no weight of a model."""

import pytest

from lmzoo.hub import plans
from lmzoo.hub.accounts import IGNORED, TIED, find_ignored
from lmzoo.hub.published import ENTRIES
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
        ("no_such", "x", None),
    ],
)
def test_a_tensor_is_on_the_list_that_has_its_name(model_type, name, words):
    assert find_ignored(model_type, name) == words


def test_no_weight_of_a_golden_model_is_on_a_list_but_a_pooler():
    for family in FAMILIES:
        for head in HEADS:
            _, tensors, _ = read_folder(family, head)
            listed = {name for name in tensors if find_ignored(family, name)}
            assert all(".pooler." in f".{name}" for name in listed)
    assert not [name for name in read_tensors("t5") if find_ignored("t5", name)]


def test_each_published_model_type_has_its_lists_and_its_ties():
    types = {entry.model_type for entry in ENTRIES.values()}
    assert types <= IGNORED.keys() == TIED.keys()
    assert types <= set(plans.MODEL_TYPES)


def test_what_something_is_tied_to_is_not_tied_itself():
    for table in TIED.values():
        assert not table.keys() & set(table.values())
