"""The keys that a recipe of a search has beside those of a run."""

from lmzoo.runs.schema import SCHEMA, Key

__all__ = ["TUNERS", "TUNING_SCHEMA"]

TUNERS = ("RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch")

_SEARCH = {
    "search.tuner": Key(
        str, "RandomSearch", "the algorithm, under its name in keras-tuner", choices=TUNERS
    ),
    "search.max_trials": Key(
        int,
        None,
        "how many trials there are at most; 10 by default, the whole grid for GridSearch, and what "
        "its brackets need for Hyperband",
        1,
    ),
    "search.objective": Key(str, "val_loss", "what is compared, as `fit` names it"),
    "search.direction": Key(
        str,
        None,
        "whether the lowest or the highest is best; max for accuracies, F1 and correlations by "
        "default",
        choices=("min", "max"),
    ),
    "search.seed": Key(
        int, 0, "of the values that are tried; that of each trial is `training.seed`"
    ),
    "search.factor": Key(int, 3, "of Hyperband: of so many trials of a round one goes on", 2),
    "search.initial_points": Key(
        int,
        None,
        "of BayesianOptimization: how many trials are random before it models the objective",
        1,
    ),
    "search.patience": Key(
        int, 3, "validations without a better objective after which a trial ends; 0 for all", 0
    ),
    "search.prune_after": Key(
        int,
        1,
        "validations after which a trial ends that is worse than the median of the earlier ones at "
        "the same point; 0 for never, as with Hyperband",
        0,
    ),
    "search.keep": Key(int, 3, "the models of so many of the best trials stay on the disk", 1),
    "search.memory_limit": Key(
        float,
        None,
        "gigabytes that training may take, by estimate; nine tenths of what is free by default, 0 "
        "for no limit",
        0,
    ),
    "search.trial_seconds": Key(float, None, "the longest time of a trial; it then fails", 1),
    "search.max_failures": Key(
        int, 5, "failed trials in a row after which the search stops; skipped ones do not count", 1
    ),
    "search.chief_seconds": Key(
        float, 60.0, "how long a worker waits for an answer of the chief", 1
    ),
    "search.lost_seconds": Key(
        float,
        120.0,
        "how long a worker may show no sign of life before another one has its trial",
        10,
    ),
    "space": Key(
        dict,
        None,
        "what is searched: a list of choices, or a range such as `{ min = 1e-5, max = 1e-3, log = "
        "true }`; without it, all that suits the model and is not in the recipe",
    ),
}
TUNING_SCHEMA = {**SCHEMA, **_SEARCH}
