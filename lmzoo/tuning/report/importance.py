"""How much of the differences between trials each hyperparameter explains."""

import importlib.util

__all__ = ["encode_values", "list_names", "measure_importance"]

_FEWEST_TRIALS = 5
_NUM_TREES, _NUM_REPEATS = 100, 10


def list_names(trials):
    """The hyperparameters that differ among trials, list of str, in the order of the first."""
    names = dict.fromkeys(name for trial in trials for name in trial["values"])
    return [name for name in names if len({str(trial["values"].get(name)) for trial in trials}) > 1]


def encode_values(trials, name):
    """The values of a hyperparameter as numbers, and the labels of an axis.

    Args:
        trials: list of dict with `values`.
        name: str.
    Returns:
        list of float or None (where it does not apply), and list of (float, str): the choices of
        strings, or None for numbers.
    """
    values = [trial["values"].get(name) for trial in trials]
    found = [value for value in values if value is not None]
    if all(isinstance(value, int | float) for value in found):
        return [None if value is None else float(value) for value in values], None
    labels = sorted(set(map(str, found)))
    places = {label: float(index) for index, label in enumerate(labels)}
    encoded = [None if value is None else places[str(value)] for value in values]
    return encoded, [(places[label], label) for label in labels]


def measure_importance(trials):
    """The share of each hyperparameter in what a random forest explains of the objective.

    It is the loss of the forest's fit where the values of one hyperparameter are shuffled among the
    trials (permutation importance), over the sum of all. Few trials say little: look at the
    parallel coordinates too.

    Args:
        trials: list of dict with `values` and `objective` (float or None).
    Returns:
        dict of name to float, the largest first, whose sum is 1; None for fewer than five trials
        with an objective, where nothing differs, or without scikit-learn.
    Reference: Breiman 2001, https://doi.org/10.1023/A:1010933404324, section 10.
    """
    scored = [trial for trial in trials if trial["objective"] is not None]
    names = list_names(scored)
    objectives = [trial["objective"] for trial in scored]
    has_library = importlib.util.find_spec("sklearn") is not None
    if len(scored) < _FEWEST_TRIALS or not names or len(set(objectives)) < 2 or not has_library:
        return None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    columns = []
    for name in names:
        encoded, _ = encode_values(scored, name)
        # Outside of all others, so that a tree can tell them apart.
        low = min(value for value in encoded if value is not None)
        columns.append([low - 1 if value is None else value for value in encoded])
    rows = list(map(list, zip(*columns, strict=True)))
    forest = RandomForestRegressor(_NUM_TREES, random_state=0).fit(rows, objectives)
    found = permutation_importance(forest, rows, objectives, n_repeats=_NUM_REPEATS, random_state=0)
    drops = [max(float(value), 0.0) for value in found.importances_mean]
    total = sum(drops)
    if total == 0:
        return None
    shares = {name: drop / total for name, drop in zip(names, drops, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
