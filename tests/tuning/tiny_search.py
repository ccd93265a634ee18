"""A recipe of a search whose trials are trained in seconds, and trials that nobody trains."""

import json
import random

from lmzoo.tuning.plan import read_plan
from lmzoo.tuning.trials import COMPLETED, FAILED, Result, TrialFolder

RECIPE = """\
run_dir = "{folder}/search"
[data]
kind = "table"
files = ["{folder}/rows.csv"]
options = {{ label = "label" }}
sequence_length = 24
batch_size = 16
[validation]
split = 0.25
[tokenizer]
kind = "ByteTokenizer"
[model]
task = "TextClassifier"
backbone = "BertBackbone"
backbone_options = {{ num_layers = 1, num_heads = 2, intermediate_dim = 16, pooler = false }}
[training]
epochs = 2
[search]
max_trials = {max_trials}
[space]
hidden_dim = [8, 16]
learning_rate = {{ min = 1e-3, max = 1e-1, log = true }}
"""


def write_recipe(folder, max_trials=2, name="recipe.toml", extra=""):
    """Writes a recipe of a search and its rows into a folder; the path of the recipe."""
    words = {"good": ["warm", "funny", "clever"], "bad": ["dull", "loud", "flat"]}
    nouns = ["film", "plot", "story", "ending"]
    rows = [
        (f"a {word} {noun}", label)
        for label, own in words.items()
        for word in own
        for noun in nouns
    ]
    random.Random(0).shuffle(rows)
    text = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    (folder / "rows.csv").write_text(text)
    path = folder / name
    path.write_text(RECIPE.format(folder=folder, max_trials=max_trials) + extra)
    return path


def make_plan(folder, **sections):
    """A plan that needs no file: of a language model with a width and a learning rate."""
    recipe = {
        "run_dir": str(folder / "search"),
        "data": {"files": ["text.txt"]},
        "validation": {"split": 0.1},
        "tokenizer": {"kind": "ByteTokenizer"},
        "model": {"task": "CausalLM", "backbone": "GPTBackbone"},
        "training": {"epochs": 9},
        "space": {"hidden_dim": [48, 96], "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True}},
        **sections,
    }
    return read_plan(json.loads(json.dumps(recipe)))


def pretend(plan, trial_id, values):
    """Writes the result of a trial that nobody trained; the objective follows from the values."""
    objective = 100 * values["learning_rate"] + values["hidden_dim"] / 100
    folder = TrialFolder(plan.folder, trial_id)
    result = Result(COMPLETED, metrics={plan.objective: objective}, epoch=0)
    result.history = [{plan.objective: objective}]
    folder.write_result(result)
    folder.model.mkdir(exist_ok=True)
    (folder.model / "model.safetensors").write_text(trial_id)
    return result


def pretend_failure(plan, trial_id, reason="it broke", status=FAILED, is_refused=False):
    TrialFolder(plan.folder, trial_id).write_result(Result(status, reason, is_refused=is_refused))
