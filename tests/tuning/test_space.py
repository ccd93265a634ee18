"""The space of a search: combinations that make a model, and the recipe that values stand for."""

import doctest

import pytest

from lmzoo import models
from lmzoo.runs.schema import TASKS
from lmzoo.tuning import space as space_module
from lmzoo.tuning.default_space import find_backbone_name, make_default_space
from lmzoo.tuning.space import FRESH, Space

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")


def draw(space, count, seed=0):
    """What a random search of keras-tuner draws, by dimension."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("loss", "min"), hyperparameters=hp, seed=seed + 1
    )
    found = []
    for index in range(count):
        values = oracle.populate_space(str(index))["values"]
        again = keras_tuner.HyperParameters()
        again.values = dict(values)
        found.append(space.declare(again))
    return found


def test_heads_always_divide_the_width():
    space = Space({"hidden_dim": [48, 64, 96], "num_heads": [2, 3, 4]})
    drawn = {(each["hidden_dim"], each["num_heads"]) for each in draw(space, 200)}
    assert drawn == {(48, 2), (48, 3), (48, 4), (64, 2), (64, 4), (96, 2), (96, 3), (96, 4)}


def test_the_whole_grid_is_each_valid_combination_once():
    space = Space({"hidden_dim": [48, 64], "num_heads": [3, 4], "batch_size": [8, 16]})
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    oracle = keras_tuner.oracles.GridSearchOracle(
        keras_tuner.Objective("loss", "min"), hyperparameters=hp
    )
    found = []
    while True:
        trial_id = str(len(found))
        answer = oracle.populate_space(trial_id)
        if answer["values"] is None:
            break
        hp = keras_tuner.HyperParameters()
        hp.values = dict(answer["values"])
        values = space.declare(hp)
        found.append((values["hidden_dim"], values["num_heads"], values["batch_size"]))
        oracle.start_order.append(trial_id)
        hp.values = dict(answer["values"])
        oracle.trials[trial_id] = keras_tuner.engine.trial.Trial(hp, trial_id)
        oracle._populate_next.append(trial_id)
    wanted = {(48, 3, 8), (48, 3, 16), (48, 4, 8), (48, 4, 16), (64, 4, 8), (64, 4, 16)}
    assert len(found) == len(wanted) and set(found) == wanted


def test_rotary_heads_have_an_even_size_and_share_keys():
    options = {"positions": "rotary", "num_key_value_heads": 2}
    space = Space({"hidden_dim": 24, "num_heads": [1, 2, 4, 8]}, options, "GPTBackbone")
    assert space.find_heads(24) == (2, 4)
    assert Space({"hidden_dim": 36, "num_heads": [4, 6]}, None, "ModernBertBackbone").find_heads(
        36
    ) == (6,)


def test_a_fresh_backbone_has_dimensions_that_a_source_has_not():
    space = Space({"source": [FRESH, "bert-tiny"], "num_layers": [1, 2], "learning_rate": [1.0]})
    drawn = draw(space, 20)
    fresh = [each for each in drawn if each["source"] == FRESH]
    others = [each for each in drawn if each["source"] != FRESH]
    assert fresh and others
    assert all(each["num_layers"] in (1, 2) and each["learning_rate"] == 1.0 for each in fresh)
    assert all("num_layers" not in each and each["learning_rate"] < 1e-3 for each in others)
    assert space.make_sections(fresh[0])["model.source"] is None
    assert space.make_sections(others[0])["model.source"] == "bert-tiny"


@pytest.mark.parametrize("task", TASKS)
def test_the_default_space_of_each_task_makes_backbones(task):
    for name in ("BertBackbone", "ModernBertBackbone", "GPTBackbone", "T5Backbone"):
        space = Space(make_default_space(task, name), None, name)
        assert not space.is_empty
        values = draw(space, 1)[0]
        sections = space.make_sections(values)
        prefix = "model.backbone_options."
        options = {
            key.removeprefix(prefix): sections[key] for key in sections if key.startswith(prefix)
        }
        if task == "CausalLM":
            backbone = getattr(models, name)(50, **options)
            assert backbone.hidden_dim == values["hidden_dim"]
    assert find_backbone_name(task) in models.__all__


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ({"num_layer": [1]}, "`num_layer` is no dimension .*Did you mean `num_layers`"),
        ({"optimizer.rate": [1]}, "`optimizer.rate` is no dimension"),
        ({"training.seed": [1, 2]}, "`training.seed` must be the same in all trials"),
        ({"schedule": ["cosin"]}, "`schedule` must be one of .*'cosine'.*Received: 'cosin'"),
        ({"batch_size": [0, 8]}, "`batch_size` must be at least 1. Received: 0"),
        ({"batch_size": [1.5, 8]}, "`batch_size` must be an integer. Received: 1.5"),
        ({"dropout": [0.1, 1.0]}, r"`dropout` must be in \[0, 1\). Received: 1.0"),
        ({"num_layers": [0]}, "`num_layers` must be a positive integer. Received: 0"),
        ({"hidden_dim": {"min": 8.0, "max": 9.0}}, "`hidden_dim` must be a list of integers"),
        ({"hidden_dim": [48, 50], "num_heads": [4]}, "hidden_dim=50, num_heads=.4."),
        ({"source": ["bert-tiny"], "num_layers": [1]}, "`num_layers` must not be searched"),
        ({"learning_rate_of_source": [1.0]}, "`learning_rate_of_source` must be given only"),
        ({"source": [1, 2]}, "`source` must be a string. Received: 1"),
    ],
)
def test_what_makes_no_model_is_refused(dimensions, message):
    with pytest.raises(ValueError, match=message):
        Space(dimensions)


def test_the_examples_say_what_is_written_there():
    results = doctest.testmod(space_module)
    assert results.attempted and not results.failed
