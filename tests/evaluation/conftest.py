"""Numbers of other libraries, from the golden files of the metrics."""

import json
import pathlib

import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="session")
def golden_metrics():
    return json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden_texts():
    return json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
