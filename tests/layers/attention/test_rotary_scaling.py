import math
import re

import numpy as np
import pytest

from lmzoo.layers.attention import SelfAttention
from lmzoo.layers.attention.positions import rotate_by_position
from lmzoo.layers.attention.rotary_scaling import (
    check_rotary_scaling,
    compute_frequencies,
    find_attention_factor,
)
from lmzoo.models import GPTBackbone
from tests.layers import reference

LLAMA3 = {
    **{"kind": "llama3", "factor": 8.0, "low_frequency_factor": 1.0},
    **{"high_frequency_factor": 4.0, "original_length": 8192},
}


def scale_one(frequency, scaling):
    """Llama 3.1's rule for one frequency, by its wavelength, in plain Python."""
    wavelength = 2 * math.pi / frequency
    low = scaling["original_length"] / scaling["low_frequency_factor"]
    high = scaling["original_length"] / scaling["high_frequency_factor"]
    if wavelength < high:
        return frequency
    if wavelength > low:
        return frequency / scaling["factor"]
    smooth = (low / wavelength - 1) / (low / high - 1)
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency


@pytest.mark.parametrize("scaling", [LLAMA3, {**LLAMA3, "low_frequency_factor": 2.0}])
def test_llama3_stretches_the_long_waves_alone(scaling):
    frequencies, scaled = (compute_frequencies(128, 5e5, x) for x in (None, scaling))
    wanted = [scale_one(frequency, scaling) for frequency in frequencies]
    if scaling["low_frequency_factor"] == 1.0:
        np.testing.assert_allclose(scaled, wanted, rtol=1e-12)
    untouched = np.isclose(scaled, frequencies, rtol=1e-12)
    stretched = np.isclose(scaled, frequencies / 8, rtol=1e-12)
    # Each of the three kinds is there.
    assert untouched.any() and stretched.any() and not (untouched | stretched).all()


def test_linear_divides_every_frequency():
    scaled = compute_frequencies(4, 100.0, {"kind": "linear", "factor": 4.0})
    np.testing.assert_allclose(scaled, [0.25, 0.025], rtol=1e-15)


YARN = {"kind": "yarn", "factor": 4.0, "original_length": 4096}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"factor": 1.5, "original_length": 64},
        {"beta_fast": 16.0, "beta_slow": 2.5, "truncate": False},
        # Both ends of the range are index 0.
        {"original_length": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("head_dim", [12, 128])
def test_yarn_is_the_papers_ramp(options, head_dim):
    scaling = {**YARN, **options}
    filled = {"beta_fast": 32.0, "beta_slow": 1.0, "truncate": True, **scaling}
    length, base = scaling["original_length"], 5e4
    ends = []
    for rotations in (filled["beta_fast"], filled["beta_slow"]):
        # The index whose frequency rotates so often within the length, by bisection.
        low, high = -200.0, 200.0
        for _ in range(200):
            middle = (low + high) / 2
            turns = length * base ** (-2 * middle / head_dim) / (2 * math.pi)
            low, high = (middle, high) if turns > rotations else (low, middle)
        ends.append(low)
    first, last = ends
    if filled["truncate"]:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    last += 0.001 * (first == last)
    wanted = []
    for index in range(head_dim // 2):
        frequency = base ** (-2 * index / head_dim)
        divided = min(max((index - first) / (last - first), 0), 1)
        wanted.append((1 - divided) * frequency + divided * frequency / scaling["factor"])
    scaled = compute_frequencies(head_dim, base, scaling)
    np.testing.assert_allclose(scaled, wanted, rtol=1e-9)


def test_yarn_multiplies_queries_and_keys():
    assert find_attention_factor(None) == find_attention_factor(LLAMA3) == 1.0
    assert find_attention_factor(YARN) == pytest.approx(0.1 * math.log(4) + 1)
    heads = np.random.default_rng(2).normal(size=(1, 2, 3, 8))
    scaling = {**YARN, "attention_factor": 0.5}
    rotated = rotate_by_position(heads, [[0, 1, 2]], 100.0, scaling)
    # At position 0 nothing rotates.
    np.testing.assert_allclose(rotated[:, :, 0], 0.5 * heads[:, :, 0], atol=1e-15)
    lengths = np.linalg.norm(rotated, axis=-1) / np.linalg.norm(heads, axis=-1)
    np.testing.assert_allclose(lengths, np.full((1, 2, 3), 0.5), rtol=1e-12)


def test_dynamic_scaling_raises_the_base_by_the_length_of_each_text():
    scaling = {"kind": "dynamic", "factor": 2.0, "original_length": 4}
    heads = np.random.default_rng(2).normal(size=(3, 2, 10, 8))
    # 10, 4 and 7 tokens: the rest of a row repeats its last position, as padding does.
    positions = np.minimum(np.arange(10), np.array([[9], [3], [6]]))
    rotated = rotate_by_position(heads, positions, 100.0, scaling)
    for row, length in enumerate((10, 4, 7)):
        base = 100.0 * (2.0 * length / 4 - 1.0) ** (8 / 6)
        expected = reference.rotate(heads[row], positions[row], base)
        np.testing.assert_allclose(rotated[row], expected, rtol=0, atol=1e-12)
    # Within the original length nothing changes.
    short = rotate_by_position(heads[:, :, :4], positions[1:2, :4], 100.0, scaling)
    plain = rotate_by_position(heads[:, :, :4], positions[1:2, :4], 100.0)
    np.testing.assert_allclose(short, plain, rtol=0, atol=1e-15)


def test_yarn_needs_wavelengths_that_grow():
    with pytest.raises(ValueError, match="max_wavelength=1.0"):
        compute_frequencies(8, 1.0, YARN)


def test_a_head_of_two_features_has_no_dynamic_scaling():
    scaling = {"kind": "dynamic", "factor": 2.0, "original_length": 4}
    with pytest.raises(ValueError, match="head_dim=2"):
        rotate_by_position(np.zeros((1, 1, 1, 2)), [[0]], 100.0, scaling)


@pytest.mark.parametrize("scaling", [YARN, {**YARN, "kind": "dynamic"}], ids=str)
def test_a_scaled_model_tells_padding_from_text(scaling):
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "dtype": "float64"}
    scaling = {**scaling, "original_length": 4}
    model = GPTBackbone(11, positions="rotary", rotary_scaling=scaling, **sizes)
    token_ids = np.random.default_rng(4).integers(0, 11, (2, 9)).astype("int32")
    mask = np.arange(9) < np.array([[9], [6]])
    hidden = model({"token_ids": token_ids, "padding_mask": mask})
    alone = model({"token_ids": token_ids[1:, :6]})
    np.testing.assert_allclose(hidden[1, :6], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"kind": "longrope", "factor": 2.0}, "kind='longrope'"),
        ({"kind": "yarn", "factor": 2.0}, "kind, factor"),
        ({"kind": "dynamic", "factor": 2.0}, "kind, factor"),
        ({**YARN, "beta": 2.0}, "kind, factor, original_length, beta"),
        ({**YARN, "beta_fast": 1.0}, "beta_slow=1.0, beta_fast=1.0"),
        ({**YARN, "attention_factor": -1.0}, "attention_factor=-1.0"),
        ({"factor": 2.0}, "kind=None"),
        ({"kind": "linear"}, "kind."),
        ({"kind": "linear", "factor": 2.0, "original_length": 3}, "kind, factor, original_length"),
        ({"kind": "linear", "factor": 0}, "factor=0"),
        ({**LLAMA3, "original_length": 0}, "original_length=0"),
        ({**LLAMA3, "high_frequency_factor": 1.0}, "low_frequency_factor=1.0, high_frequency"),
    ],
    ids=str,
)
def test_a_scaling_that_cannot_be_is_refused(scaling, message):
    with pytest.raises(ValueError, match=f"must .*Received: {re.escape(message)}"):
        check_rotary_scaling(scaling)
    with pytest.raises(ValueError, match=f"must .*Received: {re.escape(message)}"):
        SelfAttention(2, rotary=True, rotary_scaling=scaling)


def test_a_scaling_is_a_dict():
    with pytest.raises(
        TypeError, match="`rotary_scaling` must be a dict .*rotary_scaling='linear'"
    ):
        check_rotary_scaling("linear")
    with pytest.raises(TypeError, match="`original_length` must be an int. .*original_length=1.5"):
        check_rotary_scaling({**LLAMA3, "original_length": 1.5})
    with pytest.raises(TypeError, match="`truncate` must be a bool. .*truncate=1"):
        check_rotary_scaling({**YARN, "truncate": 1})


def test_learned_positions_are_not_scaled():
    with pytest.raises(ValueError, match="`rotary_scaling` must be None .*positions='learned'"):
        GPTBackbone(9, 1, 2, 8, rotary_scaling={"kind": "linear", "factor": 2.0})
