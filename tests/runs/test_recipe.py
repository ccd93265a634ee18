"""What a recipe may say, and how it is told what is wrong."""

import pathlib
import re

import pytest

from lmzoo.runs.recipe import read_recipe
from lmzoo.runs.schema import SCHEMA, describe_schema

ROOT = pathlib.Path(__file__).parents[2]
RECIPE = """\
# A comment.
run_dir = "runs/a"

[data]
files = "a.txt"
batch_size = 4
options = { mask_rate = 0.2 }

[tokenizer]
kind = "ByteTokenizer"

[model]
task = "CausalLM"
backbone = "GPTBackbone"

[model.backbone_options]
num_layers = 1

[training]
steps = 10
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(recipe, *overrides, **sections):
    with pytest.raises(ValueError) as caught:
        read_recipe(recipe, overrides, sections)
    return str(caught.value)


def test_values_come_from_the_file_then_from_python_then_from_the_command_line(write):
    recipe = read_recipe(
        write(RECIPE),
        ["training.steps=30", "model.backbone_options.num_heads=2", "training.precision=float32"],
        {"training": {"steps": 20}, "data": {"batch_size": 8}},
    )
    assert recipe["training.steps"] == 30
    assert recipe["data.batch_size"] == 8
    assert recipe["data.files"] == ["a.txt"]
    # Options of a table are added to the others, and a value that is no TOML is a string.
    assert recipe["model.backbone_options"] == {"num_layers": 1, "num_heads": 2}
    assert recipe["training.precision"] == "float32"
    assert recipe["schedule.name"] == SCHEMA["schedule.name"].default
    assert recipe.to_dict().keys() == SCHEMA.keys()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("batch_size = 4", "batchsize = 4", r"recipe.toml:6: `data.batchsize` is no key .*"
         r"Did you mean `data.batch_size`\?"),
        ("steps = 10", 'step = 10\nsteps = "ten"', r"recipe.toml:20: .*`training.step`.*"
         r"`training.steps`"),
        ("steps = 10", 'steps = "ten"', r"recipe.toml:20: `training.steps` must be an integer. "
         r"Received: 'ten'"),
        ("steps = 10", "steps = 0", r"recipe.toml:20: `training.steps` must be at least 1. .*: 0"),
        ('"CausalLM"', '"CausalML"', r"recipe.toml:13: `model.task` must be one of CausalLM, .*"
         r"Did you mean 'CausalLM'\? *.*Received: 'CausalML'"),
        ("[training]", "[trainning]", r"recipe.toml:19: `trainning` .*Did you mean `training`\?"),
        ("[training]", "[data.training]", r"recipe.toml:19: `data.training` is no key"),
        ("steps = 10", "", r"recipe.toml:19: `training.steps` or `training.epochs` must be given"),
        ("steps = 10", "steps = 10\nepochs = 1", r"recipe.toml:21: `training.epochs` must not be "
         r"given beside `training.steps`. Received: 1"),
        ('"GPTBackbone"', '"GPTBackbone"\nsource = "b"', r"recipe.toml:14: `model.backbone` must "
         r"not be given beside `model.source`"),
        ('files = "a.txt"', "files = []", r"recipe.toml:5: `data.files` must name a file"),
        ('files = "a.txt"', "files = [1]", r"recipe.toml:5: .* a list of strings. Received: \[1\]"),
        ("[training]\n", "[validation]\nevery_steps = 3\n[training]\n",
         r"recipe.toml:20: `validation.every_steps` must divide .* 10. Received: 3"),
        ("[training]\n", "[validation]\nsplit = 1.0\n[training]\n",
         r"recipe.toml:20: `validation.split` must be above 0 and below 1. Received: 1.0"),
        ("[model.backbone_options]", "[model.backbone_options", r"recipe.toml:16: .*TOML"),
        ("[data]", "data = 3\n[other]", r"recipe.toml:4: `data` must be a table. Received: 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_line_and_key(write, before, after, message):
    assert before in RECIPE
    found = refused(write(RECIPE.replace(before, after, 1)))
    assert re.search(message, found), found


def test_what_is_wrong_outside_of_a_file_has_its_place_too(write):
    assert refused(write(RECIPE), "training.step=3").startswith("--set training.step: `training.s")
    assert "must be given as KEY=VALUE. Received: --set 'steps'" in refused(write(RECIPE), "steps")
    assert refused(write(RECIPE), data={"bach_size": 1}).startswith("`data.bach_size` is no key")
    with pytest.raises(FileNotFoundError, match="missing.toml"):
        read_recipe("missing.toml")


def test_errors_of_other_rooms_get_the_line_of_the_argument_that_they_name(write):
    recipe = read_recipe(write(RECIPE))
    error = recipe.explain("model.backbone_options", ValueError("`num_layers` must be even."))
    assert re.search(r"recipe.toml:17: `model.backbone_options`: `num_layers` must", str(error))
    error = recipe.explain("data.options", TypeError("no `such` argument"))
    assert re.search(r"recipe.toml:7: ", str(error)) and isinstance(error, ValueError)
    error = recipe.explain("optimizer.options", OSError("no"))
    assert isinstance(error, OSError)


@pytest.mark.parametrize("path", sorted((ROOT / "examples/recipes").glob("[!t]*.toml")), ids=str)
def test_the_recipes_of_the_examples_are_right(path):
    recipe = read_recipe(path)
    assert recipe["run_dir"] == f"runs/{path.stem}"


def test_the_page_has_the_table_of_all_keys():
    page = (ROOT / "lmzoo/runs/README.md").read_text(encoding="utf-8")
    assert describe_schema() in page, "Paste what `lmzoo train --keys` prints."
    assert all(f"`{key}`" in page for key in SCHEMA)
