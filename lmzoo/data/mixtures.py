"""Several tasks as one: rows of all of them at chosen rates, each found by its number."""

import fractions
import math
import numbers

from lmzoo.data.checks import check_seed
from lmzoo.data.order import shuffled
from lmzoo.data.rows import Rows

__all__ = ["compute_rates", "mix"]


def mix(
    tasks,
    *,
    rates=None,
    cap=None,
    temperature=1.0,
    prefix=True,
    seed=0,
    num_rows=None,
):
    """Mixes the rows of several tasks for one text-to-text model.

    Row i is known from i alone, so a mixture of any size costs nothing. The tasks take turns
    evenly: each stretch of rows has about as many of a task as its rate says. A task's rows are all
    used once, in random order, before any is used twice, and then in another order.

    Each epoch of `Rows.dataset` has the same rows, so make the mixture as long as the whole
    training: what `num_rows` leaves out is never seen. There `shuffle=False` keeps the turns.
    With another `num_rows` the tasks take other turns.

    The rows are text, so hidden spans are none of them: no text becomes a sentinel. To train on
    both, batches of tokens take turns, by tf.data's own draw and not by the arithmetic here::

        tasks = rows.dataset(8, encode=lambda columns, number: lm.encode(columns, number)[:3])
        spans = lmzoo.data.span_corruption("a.txt", lm.tokenizer, batch_size=8)
        both = tf.data.Dataset.sample_from_datasets([spans.repeat(), tasks.repeat()], [0.5, 0.5])
        lm.fit(both, steps_per_epoch=1000)

    Args:
        tasks: dict of name to Rows with columns `source` and `target`, both str.
        rates: dict of name to float, or None. How often each task is used, in any unit; 0 leaves
            one out. None goes by the tasks' numbers of rows; see `compute_rates`.
        cap: int or None. See `compute_rates`.
        temperature: float. See `compute_rates`.
        prefix: bool or dict of name to str. What stands before each source: "name: " if True,
            nothing if False, or what a dict has for the task, "" if it has nothing.
        seed: int. Decides the orders of each task's rows.
        num_rows: int or None. How many rows the mixture has; None for those of all tasks that are
            used.
    Returns:
        Rows with columns `source`, `target` and `task`, its name.
    Raises:
        TypeError: if `tasks` is not a dict of Rows, or `seed` is not an integer; on reading, if a
            source is no string.
        ValueError: if a task has no `source` or `target`, rates or prefixes do not fit the
            tasks' names, or a number is out of its range.
    Example:
    >>> signs = lmzoo.data.make_rows(source=["plus", "minus"], target=["+", "-"])
    >>> digits = lmzoo.data.make_rows(source=["one", "two"], target=["1", "2"])
    >>> rows = lmzoo.data.mix({"sign": signs, "digit": digits})
    >>> sorted(row["source"] for row in rows)
    ['digit: one', 'digit: two', 'sign: minus', 'sign: plus']

    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 3.5.2.
    """
    _check_tasks(tasks)
    check_seed(seed)
    sizes = {name: len(rows) for name, rows in tasks.items()}
    if rates is None:
        rates = compute_rates(sizes, cap, temperature)
    elif cap is not None or temperature != 1.0:
        raise ValueError(
            "`cap` and `temperature` must be left out where `rates` are given. Received: "
            f"rates={rates}, cap={cap}, temperature={temperature}."
        )
    else:
        rates = _normalise(rates, tasks)
    used = {name: rate for name, rate in rates.items() if rate > 0}
    if num_rows is None:
        num_rows = sum(sizes[name] for name in used)
    if not isinstance(num_rows, numbers.Integral) or num_rows < 1:
        raise ValueError(
            f"`num_rows` must be an integer of at least 1. Received: num_rows={num_rows!r}."
        )
    return Rows(_Mixture(tasks, used, _find_prefixes(prefix, tasks), int(seed), int(num_rows)))


def compute_rates(sizes, cap=None, temperature=1.0):
    """Says how often to use each task of a mixture.

    A task's rate is in proportion to its number of rows, but no more than `cap` of them, to the
    power of 1 / `temperature`.

    Args:
        sizes: dict of name to int. How many rows each task has.
        cap: int or None. The most rows that count, so that a large task does not crowd out the
            others; None for all.
        temperature: float, at least 1. 1 is in proportion; the higher, the more equal.
    Returns:
        dict of name to float, which sum to 1.
    Raises:
        ValueError: if there is no task, or if a number is out of its range.
    Example:
    >>> compute_rates({"small": 100, "large": 900}, cap=300)
    {'small': 0.25, 'large': 0.75}

    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 3.5.2, where it is
        examples-proportional and temperature-scaled mixing.
    """
    if cap is not None and not (isinstance(cap, numbers.Real) and cap >= 1):
        raise ValueError(f"`cap` must be None or a number of at least 1. Received: cap={cap!r}.")
    if not isinstance(temperature, numbers.Real) or not 1 <= temperature < math.inf:
        raise ValueError(
            "`temperature` must be a finite number of at least 1. Received: "
            f"temperature={temperature!r}."
        )
    capped = {name: size if cap is None else min(size, cap) for name, size in sizes.items()}
    # In proportion to the largest, so that no power overflows.
    largest = max(capped.values(), default=1) or 1
    weights = {name: (size / largest) ** (1 / temperature) for name, size in capped.items()}
    return _normalise(weights, sizes)


class _Mixture:
    """The rows of a mixture, as `Rows` asks for them.

    The first task takes its share of all rows at even distances, the second its share of the rest,
    and so on: a division says how often a task came before, so which of its uses a row is, and a
    permutation says which of the task's rows that use is.
    """

    columns = ("source", "target", "task")

    def __init__(self, tasks, rates, prefixes, seed, num_rows):
        self._names = list(rates)
        self._tasks = [tasks[name] for name in self._names]
        self._prefixes = [prefixes[name] for name in self._names]
        self._seed = seed
        self._num_rows = num_rows
        self._counts = _share_out(num_rows, list(rates.values()))

    def __len__(self):
        return self._num_rows

    def row(self, index):
        task, place = self._find(index)
        row = self._tasks[task][place]
        for name in ("source", "target"):
            if not isinstance(row[name], str):
                raise TypeError(
                    f"{self.place(index)}: `{name}` must be a string. Received: {row[name]!r}. "
                    "Convert it with `with_column`."
                )
        source = self._prefixes[task] + row["source"]
        return {"source": source, "target": row["target"], "task": self._names[task]}

    def place(self, index):
        task, place = self._find(index)
        return f"{self._names[task]}, {self._tasks[task].place(place)}"

    def _find(self, index):
        """Which task a row is of, and which of its rows it is."""
        task, use = self._take_turns(index)
        size = len(self._tasks[task])
        # Another seed for each task: those of one size would run through theirs in step.
        seed = self._seed + task
        return task, int(shuffled([use % size], size, seed, epoch=use // size)[0])

    def _take_turns(self, place):
        """Which task a row is of, and how many rows of that task stand before it."""
        num_left = self._num_rows
        for task, count in enumerate(self._counts):
            # Of n rows that are left to them, this task and those after it, it has n * share.
            before, after = place * count // num_left, (place + 1) * count // num_left
            # The last task takes all that is left.
            if after > before:
                return task, before
            place -= before
            num_left -= count


def _share_out(total, rates):
    """Whole numbers that sum to the total and are less than one from their exact shares."""
    # As fractions, for which no total is too large.
    exact = [total * fractions.Fraction(rate) for rate in rates]
    exact = [share * total / sum(exact) for share in exact]
    counts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(rates)), key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: total - sum(counts)]:
        counts[task] += 1
    return counts


def _normalise(weights, names):
    """Makes weights sum to 1: dict of name to float, in the order of `names`."""
    if not isinstance(weights, dict) or set(weights) != set(names):
        raise ValueError(
            f"`rates` must be a dict with a rate for each of the tasks {sorted(names)}. Received: "
            f"rates={weights}."
        )
    is_right = all(
        isinstance(weight, numbers.Real) and 0 <= weight < math.inf for weight in weights.values()
    )
    if not is_right or not 0 < sum(weights.values()) < math.inf:
        raise ValueError(
            "`rates` must be numbers of at least 0 that do not sum to 0. Received: "
            f"rates={weights}."
        )
    total = float(sum(weights.values()))
    return {name: float(weights[name]) / total for name in names}


def _check_tasks(tasks):
    if not isinstance(tasks, dict) or not tasks:
        raise TypeError(f"`tasks` must be a dict of name to Rows. Received: tasks={tasks!r}.")
    for name, rows in tasks.items():
        if not isinstance(name, str) or not isinstance(rows, Rows):
            raise TypeError(
                "`tasks` must be a dict of str to Rows. Received: "
                f"{name!r} with {type(rows).__name__}. For batches of tokens see `mix`."
            )
        if not {"source", "target"} <= set(rows.columns) or not len(rows):
            raise ValueError(
                "`tasks` must have rows with columns `source` and `target`. Received: "
                f"{name!r} with {rows!r}."
            )


def _find_prefixes(prefix, tasks):
    """What stands before the sources of each task: dict of name to str."""
    if isinstance(prefix, bool):
        return {name: f"{name}: " if prefix else "" for name in tasks}
    if not isinstance(prefix, dict):
        raise TypeError(f"`prefix` must be a bool or a dict. Received: prefix={prefix!r}.")
    if unknown := sorted(set(prefix) - set(tasks), key=str):
        raise ValueError(
            f"`prefix` must name tasks of {sorted(tasks)}. Received: unknown names {unknown}."
        )
    wrong = [text for text in prefix.values() if not isinstance(text, str)]
    if wrong:
        raise TypeError(f"`prefix` must have strings. Received: {wrong[0]!r}.")
    return {name: prefix.get(name, "") for name in tasks}
