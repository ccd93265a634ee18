"""The sizes in a config.json: which ones a family has, and how large each may be."""

import pytest

from tests.hub.records import assert_refused

BERT = {
    "num_hidden_layers": 2**10,
    "num_attention_heads": 2**12,
    "hidden_size": 2**18,
    "intermediate_size": 2**20,
    "vocab_size": 2**24,
    "max_position_embeddings": 2**24,
    "type_vocab_size": 2**16,
}
SIZES = {
    "bert": BERT,
    "roberta": BERT,
    "distilbert": {
        "n_layers": 2**10,
        "n_heads": 2**12,
        "dim": 2**18,
        "hidden_dim": 2**20,
        "vocab_size": 2**24,
        "max_position_embeddings": 2**24,
    },
    "gpt2": {
        "n_layer": 2**10,
        "n_head": 2**12,
        "n_embd": 2**18,
        "vocab_size": 2**24,
        "n_positions": 2**24,
    },
    "t5": {
        "vocab_size": 2**24,
        "d_model": 2**18,
        "d_kv": 2**16,
        "d_ff": 2**20,
        "num_layers": 2**9,
        "num_heads": 2**12,
        "n_positions": 2**24,
        "relative_attention_num_buckets": 2**16,
        "relative_attention_max_distance": 2**20,
    },
}


@pytest.mark.parametrize("value", [0, -1, 10**9, 10**4000, 2.0, True, "12", None, [12], {}])
@pytest.mark.parametrize(
    ("family", "field"), [(family, field) for family in SIZES for field in SIZES[family]]
)
def test_a_size_out_of_range_is_refused_by_its_name(family, field, value):
    assert_refused(family, field, value, f"an integer from 1 to {SIZES[family][field]}")
