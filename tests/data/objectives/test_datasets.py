"""The keyword arguments that the functions of all objectives share."""

import dataclasses
import inspect
import json
import re

import pytest

from lmzoo.data import causal_lm, masked_lm, prefix_lm, span_corruption
from lmzoo.data.objectives.datasets import DatasetOptions
from tests.data.byte_tokenizer import ByteTokenizer
from tests.data.sentinel_tokenizer import SentinelTokenizer
from tests.data.small_tokenizers import make_word_piece

TOKENIZERS = {
    causal_lm: ByteTokenizer,
    masked_lm: make_word_piece,
    prefix_lm: SentinelTokenizer,
    span_corruption: SentinelTokenizer,
}
every_objective = pytest.mark.parametrize("objective", TOKENIZERS, ids=lambda each: each.__name__)


@every_objective
def test_the_signature_has_each_shared_option_with_its_default(objective):
    parameters = inspect.signature(objective).parameters
    for field in dataclasses.fields(DatasetOptions):
        parameter = parameters[field.name]
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default == field.default
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())


@every_objective
def test_the_documentation_names_every_argument(objective):
    for name in inspect.signature(objective).parameters:
        assert name in objective.__doc__.partition("Args:")[2].partition("Returns:")[0]


@every_objective
def test_an_unknown_keyword_is_refused_before_anything_is_read(objective):
    with pytest.raises(
        TypeError,
        match="takes no argument `shufle`. Received: shufle=False. Did you mean `shuffle`",
    ):
        objective("no file", None, 8, 4, shufle=False)


@every_objective
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sequence_length": 0}, ValueError, "Received: sequence_length=0"),
        ({"batch_size": 0}, ValueError, "Received: batch_size=0"),
        ({"validation_split": 1.0}, ValueError, "Received: validation_split=1.0"),
        ({"initial_step": -1}, ValueError, "Received: initial_step=-1"),
        ({"initial_epoch": -1}, ValueError, "Received: initial_epoch=-1"),
        ({"seed": 0.5}, TypeError, "Received: seed=0.5"),
        ({"files": "gone.txt"}, FileNotFoundError, "Received: 'gone.txt'"),
        ({"field": "body"}, ValueError, "Received: field='body'"),
        ({"clean": "NFC"}, TypeError, "Received: clean='NFC'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    tmp_path, cache_home, objective, options, error, message
):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"w{number}"}) for number in range(90)))
    good = {"files": path, "tokenizer": TOKENIZERS[objective](), "sequence_length": 24}
    with pytest.raises(error, match=re.escape(message)):
        objective(**{**good, "batch_size": 4, **options})
    assert not cache_home.exists()
