"""The doors out of Keras: what a model made of these layers must pass through unchanged."""

import json
import pathlib
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def litert_results():
    command = [sys.executable, "-W", "error::UserWarning", "-m", "tests.run_in_litert"]
    root = pathlib.Path(__file__).parent.parent
    child = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


# The exports to LiteRT prove it of their own graphs by default, in tests/export/litert.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("gpt2 forward", "gpt2 step", "everything forward", "everything step"),
        *("bert unmask", "bert classify"),
    ],
)
def test_a_backbone_is_the_same_in_litert_with_built_in_operators(litert_results, name):
    result = litert_results[name]
    # LiteRT sums float32 products in another order.
    assert result["error"] < 1e-4
    assert not [x for x in result["operators"] if x.startswith(("Flex", "CUSTOM", "Tf"))]
    # A graph that lost its products would pass the line above.
    assert {"FULLY_CONNECTED", "SOFTMAX", "GATHER"} <= set(result["operators"])
