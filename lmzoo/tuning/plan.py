"""A recipe of a search: what is searched, what is compared, and the recipe of each trial."""

import json
import pathlib

from lmzoo.hub.published import find_arguments
from lmzoo.json_files import read_json, write_json
from lmzoo.runs.recipe import Recipe, read_recipe
from lmzoo.tuning.default_space import find_backbone_name, make_default_space
from lmzoo.tuning.schema import TUNING_SCHEMA
from lmzoo.tuning.space import FRESH, Space, find_dimensions
from lmzoo.zoo import find_entry

__all__ = ["Plan", "read_plan"]

_CONFIG = "search.json"
# What may be another value when a search goes on.
_MAY_CHANGE = ("run_dir", "checkpoints.", "export.", "search.max_trials", "search.keep")
_MAY_CHANGE += ("search.memory_limit", "search.trial_seconds", "search.max_failures")
_MAY_CHANGE += ("search.chief_seconds", "search.lost_seconds")
_HIGHER_IS_BETTER = ("accuracy", "f1", "exact_match", "pearson", "spearman", "recall", "precision")
_LOWER_IS_BETTER = ("loss", "perplexity", "error")
_RANGE_KEYS = {"min", "max", "step", "log"}
# What describes a fresh model, and does not go with a source.
_OF_FRESH = ("model.size", "model.backbone", "model.backbone_options", "tokenizer.")


class Plan:
    """What a search does.

    Args:
        recipe: Recipe with the keys of a search.
        space: Space.
    Attributes:
        folder: pathlib.Path. Of the search.
        objective: str. The value that is compared.
        direction: "min" or "max".
    """

    def __init__(self, recipe, space):
        self.recipe, self.space = recipe, space
        self.folder = pathlib.Path(recipe["run_dir"] or f"runs/{recipe.name or 'search'}")
        self.objective = recipe["search.objective"]
        self.direction = _find_direction(recipe)
        self._check()

    def _check(self):
        recipe = self.recipe
        has_validation = "validation.files" in recipe or "validation.split" in recipe
        if self.objective.startswith("val_") and not has_validation:
            raise recipe.make_error(
                "search.objective",
                "needs held-out data to compare trials: give `validation.split` or "
                "`validation.files`",
            )
        if recipe["search.tuner"] == "Hyperband" and recipe["training.epochs"] is None:
            raise recipe.make_error("search.tuner", "needs `training.epochs`, which it divides")
        steps = {"validation.every_steps", "training.steps"} & recipe.given.keys()
        if recipe["search.tuner"] == "Hyperband" and steps:
            raise recipe.make_error("search.tuner", "counts epochs, so it takes no steps")
        if recipe["training.strategy"] == "multi_worker":
            raise recipe.make_error(
                "training.strategy", "must be of one host in a search, whose workers take trials"
            )

    @property
    def max_trials(self):
        """int or None. How many trials there are at most; None for as many as the tuner wants."""
        given = self.recipe["search.max_trials"]
        has_own = self.recipe["search.tuner"] in ("GridSearch", "Hyperband")
        return 10 if given is None and not has_own else given

    def resolve(self, values):
        """The values of a trial by dimension.

        Args:
            values: dict of the names of hyperparameters to what keras-tuner chose.
        Returns:
            dict of dimension to value, fixed ones too; without those that do not apply.
        """
        import keras_tuner

        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = {name: values[name] for name in values if "/" not in name}
        return self.space.declare(hyperparameters)

    def list_searched(self, values):
        """dict of dimension to value, as `resolve`, without what is fixed."""
        fixed = {name for name, each in self.space.dimensions.items() if each.is_fixed}
        if self.space.is_mixed:
            fixed.discard("learning_rate")
        return {name: each for name, each in self.resolve(values).items() if name not in fixed}

    def make_trial_recipe(self, values, folder, epochs=None):
        """The recipe of a trial.

        Args:
            values: dict of dimension to value, as `Space.declare` gives it.
            folder: pathlib.Path. Of the trial.
            epochs: int or None. Another number of epochs than the recipe's.
        Returns:
            Recipe with the keys of a run.
        """
        given = {
            key: value
            for key, value in self.recipe.given.items()
            if not key.startswith(("search.", "space", "export.", "checkpoints."))
        }
        sections = self.space.make_sections(values)
        if sections.get("model.source"):
            given = {key: given[key] for key in given if not key.startswith(_OF_FRESH)}
        for key, value in sections.items():
            table, _, name = key.rpartition(".")
            if key in self.recipe.schema:
                given[key] = value
            else:
                given[table] = {**given.get(table, {}), name: value}
        if "schedule.warmup_share" in sections:
            given.pop("schedule.warmup_steps", None)
        given |= {
            "run_dir": str(folder),
            "checkpoints.monitor": self.objective,
            "checkpoints.mode": self.direction,
            "checkpoints.keep": 1,
        }
        if epochs is not None:
            given["training.epochs"] = epochs
        return Recipe(given, self.recipe.places, self.recipe.name)

    def check_files(self):
        """Raises ValueError if files of the recipe are not there."""
        from lmzoo.runs.building import find_files

        for key in ("data.files", "validation.files", "tokenizer.files"):
            if key in self.recipe:
                find_files(self.recipe, key)

    def to_config(self):
        """dict that JSON can hold: what makes it this search."""
        config = {**self.recipe.to_dict(), "dimensions": self.space.describe()}
        return json.loads(json.dumps(config))

    def check_folder(self):
        """Refuses a folder that has a search of another recipe; with the difference.

        Raises:
            ValueError: if it has one.
        """
        path = self.folder / _CONFIG
        if not path.exists():
            return
        one, other = _without_changes(read_json(path)), _without_changes(self.to_config())
        lines = list(_list_differences(one, other))
        if lines:
            raise self.recipe.make_error(
                "run_dir",
                f"must not hold a search by another recipe, which differs in {'; '.join(lines[:5])}"
                ". Choose another `run_dir`, or change it back",
                str(self.folder),
            )

    def prepare_folder(self):
        """Makes the folder of the search.

        Raises:
            OSError: if it cannot be written.
            ValueError: if it has a search of another recipe.
        """
        self.check_folder()
        (self.folder / "trials").mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _CONFIG, self.to_config())

    def describe(self):
        """dict of str to value: what would be searched."""
        recipe = self.recipe
        return {
            "tuner": recipe["search.tuner"],
            "max_trials": self.max_trials,
            "objective": f"{self.objective} ({self.direction})",
            **{
                name: text if not self.space.dimensions[name].is_fixed else f"{text} (fixed)"
                for name, text in self.space.describe().items()
            },
            "run_dir": str(self.folder),
        }


def read_plan(recipe=None, overrides=(), sections=None):
    """Reads a recipe of a search; nothing of TensorFlow is needed for it.

    Args:
        recipe, overrides, sections: as for `lmzoo.runs.read_recipe`.
    Returns:
        Plan.
    Raises:
        OSError: if the file cannot be read.
        ValueError: if a key or a value is wrong, or there is nothing to search; in a message with
            file, line and key.
    """
    recipe = read_recipe(recipe, overrides, sections, TUNING_SCHEMA)
    try:
        return Plan(recipe, _make_space(recipe))
    except TypeError as error:
        raise recipe.explain("space", error) from None


def _make_space(recipe):
    given = recipe["space"]
    options = dict(recipe["model.backbone_options"])
    backbone = recipe["model.backbone"]
    if "model.size" in recipe:
        try:
            options = {**find_arguments(find_entry(recipe["model.size"])), **options}
        except ValueError as error:
            raise recipe.explain("model.size", error) from None
    if given is None:
        dimensions = _find_defaults(recipe, backbone)
    else:
        dimensions = _flatten_table(given)
    if "model.source" in recipe and FRESH in _list(dimensions.get("source")):
        raise recipe.make_error(
            "model.source",
            f"must not be given where `space.source` has {FRESH!r}, which needs `model.backbone` "
            "and a tokenizer",
        )
    fixed_source = "model.source" in recipe and "source" not in dimensions
    try:
        if fixed_source:
            dimensions = {"source": recipe["model.source"], **dimensions}
        space = Space(dimensions, options, backbone)
    except (TypeError, ValueError) as error:
        raise recipe.explain("space", error) from None
    if space.is_empty:
        raise recipe.make_error(
            "space",
            "must have something to search: a list of at least two choices, or a range. There are "
            f"{', '.join(Space.names())}",
            given or {},
        )
    return space


def _find_defaults(recipe, backbone):
    """The default space without what the recipe says itself."""
    task = recipe["model.task"]
    has_source = "model.source" in recipe
    if backbone is None and not has_source and task is not None:
        backbone = find_backbone_name(task)
    space = make_default_space(task, backbone, has_source)
    said = set(recipe.given) | {
        f"{table}.{name}"
        for table in ("model.backbone_options", "model.options", "optimizer.options")
        for name in recipe[table]
    }
    if "schedule.warmup_steps" in said:
        said.add("schedule.warmup_share")
    if "model.size" in said:
        said |= {f"model.backbone_options.{name}" for name in ("hidden_dim", "num_heads")}
        said.add("model.backbone_options.num_layers")
    return {name: space[name] for name in space if find_dimensions()[name] not in said}


def _flatten_table(table, prefix=""):
    """The dimensions of a table; dotted keys of a recipe are tables in TOML."""
    found = {}
    for name, value in table.items():
        is_table = isinstance(value, dict) and not (value.keys() & _RANGE_KEYS)
        if is_table and value:
            found |= _flatten_table(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _list(value):
    return value if isinstance(value, list) else [value]


def _find_direction(recipe):
    name, given = recipe["search.objective"], recipe["search.direction"]
    if given is not None:
        return given
    if any(word in name for word in _LOWER_IS_BETTER):
        return "min"
    if any(word in name for word in _HIGHER_IS_BETTER):
        return "max"
    raise recipe.make_error("search.objective", "needs `search.direction`, min or max")


def _without_changes(config):
    return {key: config[key] for key in config if not key.startswith(_MAY_CHANGE)}


def _list_differences(one, other):
    for key in sorted(one.keys() | other.keys()):
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from (f"{key}.{line}" for line in _list_differences(left, right))
        elif left != right:
            yield f"{key}: {json.dumps(left)} -> {json.dumps(right)}"
