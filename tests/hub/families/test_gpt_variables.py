import pytest

from lmzoo.hub.families.gpt2 import MAX_SIZES, variable_shapes


def test_the_largest_config_is_named_without_an_allocation():
    arguments = {
        **{name: size for name, size in MAX_SIZES.items() if name != "sliding_window"},
        "positions": "rotary",
    }
    shapes = variable_shapes(arguments)
    assert shapes["token_embedding/embeddings"] == (2**24, 2**18)
    assert len(shapes) == 3 + 12 * 2**10


@pytest.mark.parametrize("head_dim", [1, 3, 5])
def test_rotary_heads_are_even(head_dim):
    arguments = {"vocabulary_size": 5, "num_layers": 1, "num_heads": 2, "hidden_dim": 4}
    with pytest.raises(ValueError, match=f"`head_dim` must be even. Received: head_dim={head_dim}"):
        variable_shapes({**arguments, "positions": "rotary", "head_dim": head_dim})
