"""The dtype policy in config.json."""

import json

import numpy as np
import pytest

import lmzoo
from lmzoo.hub.files.config import read_policy_name


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_model_continues_with_the_same_logits_after_it_was_saved(golden, tmp_path, policy):
    lm = lmzoo.load(golden, dtype=policy)
    lm.save_pretrained(tmp_path / "a")
    inputs = {"token_ids": np.arange(12).reshape(2, 6)}
    again = lmzoo.load(tmp_path / "a")
    assert again.backbone.dtype_policy.name == policy
    np.testing.assert_array_equal(again(inputs), lm(inputs))
    # A caller's choice takes precedence.
    assert lmzoo.load(tmp_path / "a", dtype="float32").backbone.dtype_policy.name == "float32"
    again.save_pretrained(tmp_path / "b")
    assert (tmp_path / "a" / "config.json").read_bytes() == (
        tmp_path / "b" / "config.json"
    ).read_bytes()


@pytest.mark.parametrize("policy", ["float32", "bfloat16", "float64"])
def test_a_model_of_one_dtype_takes_the_global_policy(golden, tmp_path, policy):
    lmzoo.load(golden, dtype=policy).save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert "lmzoo_dtype_policy" not in config and config["dtype"] == policy
    assert lmzoo.load(tmp_path / "a").backbone.dtype_policy.name == "float32"


@pytest.mark.parametrize("name", ["float8", "int8_from_float32", "float32", 3, None, ["x"]])
def test_another_policy_is_refused_by_its_name(tmp_path, name):
    message = "config.json' cannot be used: `lmzoo_dtype_policy` must be one of mixed_bfloat16, "
    with pytest.raises(ValueError, match=message) as caught:
        read_policy_name(tmp_path, {"lmzoo_dtype_policy": name})
    assert f"Received: lmzoo_dtype_policy={name!r}." in str(caught.value)
