"""The keyword arguments that the functions of all objectives share."""

import dataclasses
import inspect

import pytest

from lmzoo.data import causal_lm, masked_lm, prefix_lm, span_corruption
from lmzoo.data.objectives.datasets import DatasetOptions

every_objective = pytest.mark.parametrize(
    "objective", [causal_lm, masked_lm, prefix_lm, span_corruption], ids=lambda each: each.__name__
)


@every_objective
def test_the_signature_has_each_shared_option_with_its_default(objective):
    parameters = inspect.signature(objective).parameters
    for field in dataclasses.fields(DatasetOptions):
        parameter = parameters[field.name]
        if field.name not in ("sequence_length", "batch_size"):
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default == field.default
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())


@every_objective
def test_the_documentation_names_every_argument(objective):
    for name in inspect.signature(objective).parameters:
        assert name in objective.__doc__.partition("Args:")[2].partition("Returns:")[0]


@every_objective
def test_an_unknown_keyword_is_refused_before_anything_is_read(objective):
    with pytest.raises(TypeError, match="unexpected keyword argument 'shufle'"):
        objective("no file", None, 8, 4, shufle=False)
