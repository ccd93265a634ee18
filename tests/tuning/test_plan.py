"""Recipes of searches: what is read, what each trial trains by, and what is refused."""

import json
import pathlib

import pytest

from lmzoo.runs.recipe import read_recipe
from lmzoo.runs.schema import SCHEMA, describe_schema
from lmzoo.tuning.plan import read_plan
from lmzoo.tuning.schema import TUNING_SCHEMA
from tests.tuning.tiny_search import make_plan, write_recipe


def test_a_trial_is_a_recipe_of_a_run(tmp_path):
    plan = make_plan(tmp_path, schedule={"warmup_steps": 5})
    values = {"hidden_dim": 96, "learning_rate": 0.002, "warmup": 0.1}
    recipe = plan.make_trial_recipe(values, tmp_path / "trial", epochs=4)
    assert recipe["model.backbone_options"] == {"hidden_dim": 96}
    assert recipe["optimizer.learning_rate"] == 0.002 and recipe["training.epochs"] == 4
    assert recipe["schedule.warmup_share"] == 0.1 and "schedule.warmup_steps" not in recipe
    assert recipe["checkpoints.monitor"] == "val_loss" and recipe["run_dir"].endswith("trial")
    # `lmzoo train` would read it.
    nested = {}
    for key, value in recipe.given.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    assert read_recipe(nested).given == recipe.given


def test_a_source_takes_the_place_of_the_fresh_model(tmp_path):
    plan = make_plan(tmp_path, space={"source": ["fresh", "gpt2"], "num_layers": [1, 2]})
    fresh = plan.make_trial_recipe({"source": "fresh", "num_layers": 2}, tmp_path)
    assert fresh["model.backbone"] == "GPTBackbone" and "model.source" not in fresh
    other = plan.make_trial_recipe({"source": "gpt2"}, tmp_path)
    assert other["model.source"] == "gpt2"
    assert not {"model.backbone", "tokenizer.kind"} & other.given.keys()


def test_without_a_space_what_the_recipe_does_not_say_is_searched(tmp_path):
    model = {"task": "CausalLM", "backbone": "GPTBackbone", "backbone_options": {"num_layers": 1}}
    plan = make_plan(tmp_path, space=None, model=model, optimizer={"learning_rate": 1e-3})
    assert set(plan.space.dimensions) == {
        *("hidden_dim", "num_heads", "dropout", "schedule", "warmup", "batch_size")
    }
    sized = {"task": "MaskedLM", "size": "bert-tiny"}
    plan = make_plan(tmp_path, space=None, model=sized)
    assert "hidden_dim" not in plan.space.dimensions
    # The sizes of a published model are known: bert-tiny has a width of 128.
    plan = make_plan(tmp_path, model=sized, space={"num_heads": [2, 3, 4]})
    assert plan.space.find_heads(128) == (2, 4)
    tuned = {"source": "gpt2"}
    plan = make_plan(tmp_path, space=None, model=tuned, tokenizer={})
    assert "learning_rate" in plan.space.dimensions and "num_layers" not in plan.space.dimensions


def test_dotted_keys_of_a_recipe_are_dimensions_too(tmp_path):
    extra = 'optimizer.layer_decay = [0.8, 1.0]\n"model.frozen_layers" = [0, 1]\n'
    plan = read_plan(write_recipe(tmp_path, extra=extra))
    assert plan.space.dimensions["optimizer.layer_decay"].choices == (0.8, 1.0)
    recipe = plan.make_trial_recipe({"model.frozen_layers": 1}, tmp_path)
    assert recipe["model.frozen_layers"] == 1


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"space": {}}, "`space` must have something to search"),
        ({"space": {"batch_size": 8}}, "`space` must have something to search.*batch_size"),
        ({"space": {"batch_sizes": [8]}}, "`space`: `batch_sizes` is no dimension"),
        ({"space": {"batch_size": [8, "a"]}}, "`space`: `batch_size` must have choices of one"),
        ({"validation": {}}, "`search.objective` needs held-out data .*'val_loss'"),
        ({"search": {"objective": "val_quality"}}, "needs `search.direction`.*'val_quality'"),
        ({"search": {"tuner": "Hyperbnd"}}, "Did you mean 'Hyperband'"),
        ({"search": {"max_trial": 3}}, "Did you mean `search.max_trials`"),
        ({"training": {"steps": 5}, "search": {"tuner": "Hyperband"}}, "needs `training.epochs`"),
        ({"training": {"epochs": 1, "strategy": "multi_worker"}}, "`training.strategy` must be"),
        ({"model": {"task": "CausalLM", "size": "gpt3"}, "space": None}, "`model.size`: .*gpt3"),
        (
            {"model": {"source": "gpt2"}, "tokenizer": {}, "space": {"source": ["fresh", "gpt2"]}},
            "`model.source` must not be given where `space.source` has 'fresh'",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path, sections, message):
    with pytest.raises(ValueError, match=message):
        make_plan(tmp_path, **sections)


def test_the_recipe_of_the_examples_is_right():
    path = pathlib.Path(__file__).parents[2] / "examples" / "recipes" / "tune_bert.toml"
    plan = read_plan(path)
    assert plan.space.is_mixed and plan.max_trials == 12 and plan.direction == "max"
    with pytest.raises(ValueError, match="`search` is no key .* for `lmzoo tune`"):
        read_recipe(path)


def test_an_error_of_the_space_has_file_and_line(tmp_path):
    path = write_recipe(tmp_path, extra="num_heads = [3]\n")
    line = path.read_text().splitlines().index("num_heads = [3]") + 1
    with pytest.raises(ValueError, match=rf"recipe.toml:{line}: `space`: `num_heads` must .*=8"):
        read_plan(path)


@pytest.mark.parametrize(
    ("objective", "direction"),
    [
        ("val_loss", "min"),
        ("val_accuracy", "max"),
        ("val_span_f1", "max"),
        ("val_perplexity", "min"),
    ],
)
def test_the_direction_follows_from_the_objective(tmp_path, objective, direction):
    plan = make_plan(tmp_path, search={"objective": objective})
    assert plan.direction == direction


def test_a_folder_of_another_search_is_refused_with_the_difference(tmp_path):
    make_plan(tmp_path).prepare_folder()
    config = json.loads((tmp_path / "search" / "search.json").read_text())
    assert config["training.epochs"] == 9 and config["dimensions"]["hidden_dim"] == "48, 96"
    # More trials are the same search.
    make_plan(tmp_path, search={"max_trials": 99, "keep": 1}).prepare_folder()
    other = make_plan(tmp_path, space={"hidden_dim": [48, 60]}, optimizer={"learning_rate": 0.5})
    with pytest.raises(ValueError, match="differs in .*hidden_dim: .*96.*60") as caught:
        other.prepare_folder()
    assert "optimizer.learning_rate: null -> 0.5" in str(caught.value)


def test_the_page_has_the_table_of_the_keys():
    page = (pathlib.Path(__file__).parents[2] / "lmzoo/tuning/README.md").read_text("utf-8")
    own = {name: key for name, key in TUNING_SCHEMA.items() if name not in SCHEMA}
    assert describe_schema(own) in page, "Paste what `lmzoo tune --keys` prints of these."
