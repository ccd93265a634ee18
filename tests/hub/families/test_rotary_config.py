import math
import re

import pytest

from lmzoo.hub.families.rotary_config import (
    find_context_length,
    has_rotary_config,
    make_rotary_config,
    read_rotary,
    read_scaling,
)
from lmzoo.models import GPTBackbone

THEIRS = {
    **{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "original_max_position_embeddings": 64,
}
OURS = {
    **{"kind": "llama3", "factor": 8.0, "low_frequency_factor": 1.0},
    **{"high_frequency_factor": 4.0, "original_length": 64},
}
YARN = {
    **{"kind": "yarn", "factor": 4.0, "original_length": 64, "beta_fast": 32.0, "beta_slow": 1.0},
    **{"attention_factor": 0.1 * math.log(4) + 1, "truncate": True},
}
DYNAMIC = {"kind": "dynamic", "factor": 2.0, "original_length": 256}
THEIR_YARN = {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 64}
LINEAR = {"kind": "linear", "factor": 2.0}


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, (10000.0, None)),
        ({"rope_theta": 5e5, "rope_scaling": None}, (5e5, None)),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, (1e6, None)),
        ({"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 1}}, (1e6, None)),
        ({"rope_theta": 7, "rope_scaling": {"type": "linear", "factor": 2}}, (7.0, LINEAR)),
        ({"rope_theta": 7, "rope_scaling": THEIRS}, (7.0, OURS)),
        ({"rope_parameters": {**THEIRS, "rope_theta": 9.0}, "rope_theta": 7}, (9.0, OURS)),
        ({"rope_scaling": THEIR_YARN}, (10000.0, YARN)),
        ({"rope_parameters": {**THEIR_YARN, "factor": None, "beta_fast": None}}, (10000.0, YARN)),
        ({"rope_scaling": {**THEIR_YARN, "attention_factor": 0.7, "truncate": False}},
         (10000.0, {**YARN, "attention_factor": 0.7, "truncate": False})),
        ({"rope_scaling": {**THEIR_YARN, "mscale": 2.0, "mscale_all_dim": 1.0}},
         (10000.0, {**YARN, "attention_factor":
                    (0.2 * math.log(4) + 1) / (0.1 * math.log(4) + 1)})),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, (10000.0, DYNAMIC)),
        # Where both are there, transformers takes the old one.
        ({"rope_scaling": {"rope_type": "linear", "factor": 2}, "rope_parameters": THEIRS},
         (10000.0, LINEAR)),
        # Where it stands beside the object, transformers takes that.
        ({"rope_scaling": {**THEIRS, "original_max_position_embeddings": 1},
          "original_max_position_embeddings": 64}, (10000.0, OURS)),
    ],
    ids=str,
)  # fmt: skip
def test_old_and_new_fields_say_the_same(config, wanted):
    assert read_rotary(config, 256) == wanted


def test_a_length_that_is_missing_is_that_of_the_model():
    found = {name: value for name, value in THEIRS.items() if not name.startswith("original")}
    assert read_rotary({"rope_scaling": found}, 256)[1] == {**OURS, "original_length": 256}


@pytest.mark.parametrize("scaling", [None, LINEAR, OURS, YARN, DYNAMIC])
def test_what_is_written_is_read_back(scaling):
    length = find_context_length(scaling, 256)
    assert length == (512 if scaling == DYNAMIC else 256)
    backbone = GPTBackbone(
        9, 1, 2, 8, 16, length, positions="rotary", max_wavelength=50.0, rotary_scaling=scaling
    )
    assert has_rotary_config(backbone)
    assert make_rotary_config(backbone).get("max_position_embeddings", 256) == 256
    assert read_rotary(make_rotary_config(backbone), 256) == (50.0, scaling)
    assert read_scaling({"rotary_scaling": scaling}, "rotary_scaling") == scaling


def test_a_yarn_of_our_own_may_lack_what_has_a_default():
    short = {"kind": "yarn", "factor": 4.0, "original_length": 64}
    wanted = {name: value for name, value in YARN.items() if name != "attention_factor"}
    assert read_scaling({"x": short}, "x") == wanted
    assert read_scaling({"x": {**YARN, "attention_factor": None}}, "x") == wanted


def test_dynamic_scaling_to_another_length_has_no_config():
    backbone = GPTBackbone(9, 1, 2, 8, 16, 256, positions="rotary", rotary_scaling=DYNAMIC)
    assert not has_rotary_config(backbone)


@pytest.mark.parametrize("kind", ["longrope", None, 3])
def test_an_unknown_kind_is_refused_with_those_that_are_known(kind):
    for config in ({"rope_scaling": {"type": kind}}, {"rope_parameters": {"rope_type": kind}}):
        message = (
            "`rope_type` must be one of default, linear, dynamic, llama3, yarn. Received: "
            f"rope_type={kind!r}."
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            read_rotary(config, 256)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rope_theta": None}, "rope_theta=None"),
        ({"rope_scaling": [2]}, "rope_scaling=[2]"),
        ({"rope_parameters": "linear"}, "rope_parameters='linear'"),
        ({"rope_scaling": {"type": "linear"}}, "factor=None"),
        ({"rope_scaling": {"type": "linear", "factor": "2"}}, "factor='2'"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor=0"),
        ({"rope_parameters": {"factor": 2.0}}, "['factor']"),
        ({"rope_parameters": {"full_attention": {}}}, "['full_attention']"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
        ({"rope_scaling": {**THEIRS, "low_freq_factor": 4.0}}, "low_freq_factor=4.0"),
        (
            {"rope_scaling": {**THEIRS, "original_max_position_embeddings": 1.5}},
            "original_max_position_embeddings=1.5",
        ),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_is_refused(config, message):
    with pytest.raises(ValueError, match=f"must .*Received: {re.escape(message)}"):
        read_rotary(config, 256)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("linear", "rotary_scaling='linear'"),
        ({"kind": "longrope", "factor": 2.0}, "kind='longrope'"),
        ({"kind": "yarn", "factor": 2.0}, "original_length=None"),
        ({**YARN, "beta_slow": 32.0}, "beta_slow=32.0, beta_fast=32.0"),
        ({**YARN, "truncate": 1}, "truncate=1"),
        ({"kind": "linear"}, "factor=None"),
        ({**LINEAR, "extra": 1}, "rotary_scaling={'kind': 'linear', 'factor': 2.0, 'extra': 1}"),
    ],
    ids=str,
)
def test_a_scaling_of_our_own_that_cannot_be_is_refused(scaling, message):
    with pytest.raises(ValueError, match=f"must .*Received: {re.escape(message)}"):
        read_scaling({"rotary_scaling": scaling}, "rotary_scaling")
