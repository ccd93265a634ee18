"""Mixtures of tasks at chosen rates, whose rows are computed from their index."""

import dataclasses

from lmzoo.data.checks import check_at_least, check_seed
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.objectives.mixing_rates import compute_rates, normalise, share_out
from lmzoo.data.objectives.seq2seq_examples import Seq2SeqExamples
from lmzoo.data.rows.rows import Rows

__all__ = ["mix"]


def mix(tasks, *, rates=None, cap=None, temperature=1.0, prefix=True, seed=0, num_rows=None):
    """Mixes several tasks for one text-to-text model.

    Row i is computed from i alone, so a mixture of any size takes no memory. The tasks are
    interleaved evenly: any range of rows has about as many of a task as its rate says. All rows of
    a task are used once, in random order, before any is used twice, and then in another order.

    A task may also be a pretraining objective, span corruption or prefix language modelling. Its
    rows are windows of a token stream; each pass over them corrupts other spans. They come as
    token ids in columns of their own, because text never becomes a sentinel::

        stream = lmzoo.data.stream_tokens(lmzoo.data.Corpus("a.txt"), tokenizer)
        spans = lmzoo.data.SpanCorruptionExamples(stream, tokenizer, 512, batch_size=1)
        lm.fit(lmzoo.data.mix({"spans": spans, "translate": rows}))

    Each epoch of `Rows.dataset` has the same rows, so make the mixture as long as the whole
    training: rows beyond `num_rows` are never seen. `shuffle=False` keeps the interleaving, which
    depends on `num_rows`.

    Args:
        tasks: dict of name to Rows with columns `source` and `target`, both str, or to
            `SpanCorruptionExamples` or `PrefixLMExamples`, which have their own seed.
        rates: dict of name to float, or None. How often each task is used, in any unit; 0 leaves
            one out. None goes by the tasks' numbers of rows; see `compute_rates`.
        cap: int or None. See `compute_rates`.
        temperature: float. See `compute_rates`.
        prefix: bool or dict of name to str. The text before each source. True is "name: " for tasks
            that are Rows, False is none; a dict has the prefix of each task, "" where it has none.
        seed: int. Seed of the shuffles of all tasks that are Rows.
        num_rows: int or None. How many rows the mixture has; None for the sum of the rows of all
            tasks whose rate is not 0.
    Returns:
        Rows with columns `source`, `target` and `task`, its name. If windows of tokens are among
        them, also `source_token_ids` and `target_token_ids`, lists of int that follow the
        texts: empty for rows of text; the only text of a window is its prefix.
    Raises:
        TypeError: if `tasks` is not a dict of these, or `seed` is not an integer; on reading, if a
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
    prefixes = _find_prefixes(prefix, tasks)
    parts = {
        name: _TextTask(task, prefixes[name], name)
        if isinstance(task, Rows)
        else _WindowTask(task, prefixes[name], name)
        for name, task in tasks.items()
    }
    sizes = {name: len(part) for name, part in parts.items()}
    if rates is None:
        rates = compute_rates(sizes, cap, temperature)
    elif cap is not None or temperature != 1.0:
        raise ValueError(
            "`cap` and `temperature` must be left out where `rates` are given. Received: "
            f"rates={rates}, cap={cap}, temperature={temperature}."
        )
    else:
        rates = normalise(rates, tasks)
    used = {name: rate for name, rate in rates.items() if rate > 0}
    if num_rows is None:
        num_rows = sum(sizes[name] for name in used)
    check_at_least(1, num_rows=num_rows)
    return Rows(
        _Mixture([parts[name] for name in used], list(used.values()), int(seed), int(num_rows))
    )


class _Mixture:
    """The source of a mixture's `Rows`.

    The first task takes its share of all rows at even distances, the second its share of the rest,
    and so on. A division gives the number of earlier rows of the same task.
    """

    def __init__(self, tasks, rates, seed, num_rows):
        self._tasks = tasks
        self._seed = seed
        self._num_rows = num_rows
        self._counts = share_out(num_rows, rates)
        self._defaults = {"source": "", "target": "", "task": ""}
        # Only with tasks that have ids, because the type of a column is found from its items.
        if any(n and isinstance(t, _WindowTask) for t, n in zip(tasks, self._counts, strict=True)):
            self._defaults |= {"source_token_ids": [], "target_token_ids": []}
        self.columns = tuple(self._defaults)

    def __len__(self):
        return self._num_rows

    def row(self, index):
        task, use = self._find_task(index)
        # Another seed for each task, so that tasks of equal size are not shuffled alike.
        row = self._tasks[task].row(use, self._seed + task)
        return {**self._defaults, "task": self._tasks[task].name, **row}

    def place(self, index):
        task, use = self._find_task(index)
        return self._tasks[task].place(use, self._seed + task)

    def _find_task(self, index):
        """The task of a row, and how many earlier rows of that task there are."""
        num_left = self._num_rows
        for task, count in enumerate(self._counts):
            # Of `num_left` rows for this task and the later ones, `count` are of this task.
            before, after = index * count // num_left, (index + 1) * count // num_left
            # The last task takes all that are left.
            if after > before:
                return task, before
            index -= before
            num_left -= count


@dataclasses.dataclass(frozen=True)
class _TextTask:
    """A task of text, shuffled anew in each pass over its rows."""

    rows: Rows
    prefix: str
    name: str

    def __len__(self):
        return len(self.rows)

    def row(self, use, seed):
        row = self.rows[self._find(use, seed)]
        for name in ("source", "target"):
            if not isinstance(row[name], str):
                raise TypeError(
                    f"{self.place(use, seed)}: `{name}` must be a string. Received: "
                    f"{row[name]!r}. Convert it with `with_column`."
                )
        return {"source": self.prefix + row["source"], "target": row["target"]}

    def place(self, use, seed):
        return f"{self.name}, {self.rows.place(self._find(use, seed))}"

    def _find(self, use, seed):
        epoch, index = divmod(use, len(self))
        return int(shuffle_indices([index], len(self), seed, epoch)[0])


@dataclasses.dataclass(frozen=True)
class _WindowTask:
    """A pretraining objective, with a shuffle and noise of its own in each pass."""

    examples: Seq2SeqExamples
    prefix: str
    name: str

    def __len__(self):
        return self.examples.num_examples

    def row(self, use, seed):
        source, target = self.examples.pair(*divmod(use, len(self)))
        return {
            "source": self.prefix,
            "source_token_ids": source,
            "target_token_ids": target,
        }

    def place(self, use, seed):
        epoch, index = divmod(use, len(self))
        return f"{self.name}, example {index} of epoch {epoch}"


def _check_tasks(tasks):
    rule = "`tasks` must be a dict of str to Rows, SpanCorruptionExamples or PrefixLMExamples."
    if not isinstance(tasks, dict) or not tasks:
        raise TypeError(f"{rule} Received: tasks={tasks!r}.")
    for name, task in tasks.items():
        if not isinstance(name, str) or not isinstance(task, Rows | Seq2SeqExamples):
            raise TypeError(f"{rule} Received: {name!r} with {type(task).__name__}.")
        if isinstance(task, Rows) and not ({"source", "target"} <= set(task.columns) and len(task)):
            raise ValueError(
                "`tasks` must have rows with columns `source` and `target`. Received: "
                f"{name!r} with {task!r}."
            )


def _find_prefixes(prefix, tasks):
    """The prefix of each task: dict of name to str."""
    if isinstance(prefix, bool):
        # Pretraining objectives have no prefix, as in T5.
        has_prefix = {name: prefix and isinstance(task, Rows) for name, task in tasks.items()}
        return {name: f"{name}: " if given else "" for name, given in has_prefix.items()}
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
