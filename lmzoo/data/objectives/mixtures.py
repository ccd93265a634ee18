"""Several tasks as one, at chosen rates: each row is found by its number."""

import dataclasses
import numbers

from lmzoo.data.checks import check_seed
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.data.objectives.mixing_rates import compute_rates, normalise, share_out
from lmzoo.data.objectives.seq2seq_examples import Seq2SeqExamples
from lmzoo.data.rows.rows import Rows

__all__ = ["mix"]


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
    """Mixes several tasks for one text-to-text model.

    Row i is known from i alone, so a mixture of any size costs nothing. The tasks take turns
    evenly: each stretch of rows has about as many of a task as its rate says. A task's rows are all
    used once, in random order, before any is used twice, and then in another order.

    A task may also be what a model is pretrained on, hidden spans or the rest of a text: then its
    rows are windows of a token stream, and each time that all were used other spans are hidden.
    They come as ids in columns of their own, since no text becomes a sentinel::

        stream = lmzoo.data.stream_tokens(lmzoo.data.Corpus("a.txt"), tokenizer)
        spans = lmzoo.data.SpanCorruptionExamples(stream, tokenizer, 512, batch_size=1)
        lm.fit(lmzoo.data.mix({"spans": spans, "translate": rows}))

    Each epoch of `Rows.dataset` has the same rows, so make the mixture as long as the whole
    training: what `num_rows` leaves out is never seen. There `shuffle=False` keeps the turns.
    With another `num_rows` the tasks take other turns.

    Args:
        tasks: dict of name to Rows with columns `source` and `target`, both str, or to
            `SpanCorruptionExamples` or `PrefixLMExamples`, which go by their own seed.
        rates: dict of name to float, or None. How often each task is used, in any unit; 0 leaves
            one out. None goes by the tasks' numbers of rows; see `compute_rates`.
        cap: int or None. See `compute_rates`.
        temperature: float. See `compute_rates`.
        prefix: bool or dict of name to str. What stands before each source: "name: " before those
            of Rows if True, nothing if False, or what a dict has for the task, "" if it has
            nothing.
        seed: int. Decides the orders of the rows of each task of Rows.
        num_rows: int or None. How many rows the mixture has; None for those of all tasks that are
            used.
    Returns:
        Rows with columns `source`, `target` and `task`, its name. If windows of tokens are among
        them, also `source_token_ids` and `target_token_ids`, lists of int that follow the texts:
        empty for text alone, while a window has no text but its prefix.
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
    if not isinstance(num_rows, numbers.Integral) or num_rows < 1:
        raise ValueError(
            f"`num_rows` must be an integer of at least 1. Received: num_rows={num_rows!r}."
        )
    return Rows(
        _Mixture([parts[name] for name in used], list(used.values()), int(seed), int(num_rows))
    )


class _Mixture:
    """The rows of a mixture, as `Rows` asks for them.

    The first task takes its share of all rows at even distances, the second its share of the rest,
    and so on: a division says how often a task came before, so which of its uses a row is.
    """

    def __init__(self, tasks, rates, seed, num_rows):
        self._tasks = tasks
        self._seed = seed
        self._num_rows = num_rows
        self._counts = share_out(num_rows, rates)
        self._defaults = {"source": "", "target": "", "task": ""}
        # Only where there are some, so that the columns have items of which to know their kind.
        if any(n and isinstance(t, _WindowTask) for t, n in zip(tasks, self._counts, strict=True)):
            self._defaults |= {"source_token_ids": [], "target_token_ids": []}
        self.columns = tuple(self._defaults)

    def __len__(self):
        return self._num_rows

    def row(self, index):
        task, use = self._take_turns(index)
        # Another seed for each task: those of one size would run through theirs in step.
        row = self._tasks[task].row(use, self._seed + task)
        return {**self._defaults, "task": self._tasks[task].name, **row}

    def place(self, index):
        task, use = self._take_turns(index)
        return self._tasks[task].place(use, self._seed + task)

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


@dataclasses.dataclass(frozen=True)
class _TextTask:
    """Rows of text, in another random order each time that all were used."""

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
    """Windows of a token stream, which have an order and draws of their own in each epoch."""

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
    """What stands before the sources of each task: dict of name to str."""
    if isinstance(prefix, bool):
        # What is pretrained on is asked for by its sentinels or by nothing, as published.
        is_asked = {name: prefix and isinstance(task, Rows) for name, task in tasks.items()}
        return {name: f"{name}: " if asked else "" for name, asked in is_asked.items()}
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
