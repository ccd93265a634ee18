import math
import re

import numpy as np
import pytest

from lmzoo.layers import check_rotary_scaling, scale_frequencies
from lmzoo.layers.attention import SelfAttention
from lmzoo.models import GPTBackbone

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
    frequencies = 5e5 ** -(np.arange(0, 128, 2) / 128)
    wanted = [scale_one(frequency, scaling) for frequency in frequencies]
    if scaling["low_frequency_factor"] == 1.0:
        np.testing.assert_allclose(scale_frequencies(frequencies, scaling), wanted, rtol=1e-12)
    untouched = np.isclose(scale_frequencies(frequencies, scaling), frequencies, rtol=1e-12)
    stretched = np.isclose(scale_frequencies(frequencies, scaling), frequencies / 8, rtol=1e-12)
    # Each of the three kinds is there.
    assert untouched.any() and stretched.any() and not (untouched | stretched).all()


def test_linear_divides_every_frequency():
    frequencies = np.array([1.0, 0.1])
    scaled = scale_frequencies(frequencies, {"kind": "linear", "factor": 4.0})
    np.testing.assert_array_equal(scaled, [0.25, 0.025])
    assert scale_frequencies(frequencies, None) is frequencies


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"kind": "yarn", "factor": 2.0}, "kind='yarn'"),
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


def test_learned_positions_are_not_scaled():
    with pytest.raises(ValueError, match="`rotary_scaling` must be None .*positions='learned'"):
        GPTBackbone(9, 1, 2, 8, rotary_scaling={"kind": "linear", "factor": 2.0})
