"""Frameworks in processes of their own, which are measured in turns and may crash."""

import contextlib
import multiprocessing
import signal
import statistics
import sys
import time
import traceback
from typing import Any, NamedTuple


class Contestant(NamedTuple):
    """One row of a table.

    precision: str, a key of `common.WIDTHS`, or None where it means nothing.
    run: callable, what is timed.
    summarize: callable or None. What of the result of `run` is sent to the parent, which must be
        picklable; it is not timed. None sends the result itself.
    """

    precision: str | None
    run: Any
    summarize: Any = None


class Worker:
    """One framework in a child process, so that it neither disturbs nor ends the others.

    Args:
        open_contestants: function of a module, `(*arguments) -> dict of Contestant`. An ImportError
            in it means that the framework is not installed.
        arguments: what it is called with, picklable.
    Attributes:
        precisions: dict, the contestants' names and precisions; empty if there are none.
        problem: str or None. Why there are none.
    """

    def __init__(self, open_contestants, *arguments):
        self._target = (open_contestants, arguments)
        self.precisions, self.problem = {}, None
        self._start()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._target), daemon=True)
        self._process.start()
        theirs.close()

    def wait(self):
        """Waits until the child has opened its contestants; True if it has."""
        try:
            self.precisions, self.problem = self._connection.recv()
        except (EOFError, ConnectionError):
            self.problem = self._describe_end()
        return self.problem is None

    def run(self, name, *arguments):
        """Runs one contestant.

        Returns:
            (float, the seconds it took; its result; None), or (None, None, str, what went wrong).
            A child that has ended is started anew, and its contestants are cold again.
        """
        if self.problem is not None:
            return None, None, self.problem
        try:
            self._connection.send((name, arguments))
            return self._connection.recv()
        except (EOFError, ConnectionError):
            problem = self._describe_end()
        self._start()
        self.wait()
        return None, None, problem

    def _describe_end(self):
        self._process.join()
        code = self._process.exitcode
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def close(self):
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._process.join()


def _serve(connection, open_contestants, arguments):
    try:
        contestants = open_contestants(*arguments)
    except ImportError as error:
        connection.send(({}, f"not installed ({error})"))
        return
    except Exception as error:
        traceback.print_exc()
        connection.send(({}, f"failed to start ({_describe(error)})"))
        return
    precisions = {name: contestant.precision for name, contestant in contestants.items()}
    connection.send((precisions, None))
    while (request := connection.recv()) is not None:
        name, call = request
        run, summarize = contestants[name].run, contestants[name].summarize
        try:
            start = time.perf_counter()
            result = run(*call)
            seconds = time.perf_counter() - start
            connection.send((seconds, summarize(result) if summarize else result, None))
        except Exception as error:
            traceback.print_exc()
            connection.send((None, None, _describe(error)))


def _describe(error):
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line:.100}"


@contextlib.contextmanager
def open_workers(families, *arguments):
    """Starts a worker for each family: dict of Worker, with those that have no contestants.

    Args:
        families: dict of name to a function of a module, or to a pair of one and its arguments.
        *arguments: what functions without arguments of their own are called with.
    """
    pairs = {
        family: opener if isinstance(opener, tuple) else (opener, arguments)
        for family, opener in families.items()
    }
    workers = {family: Worker(opener, *given) for family, (opener, given) in pairs.items()}
    try:
        for worker in workers.values():
            worker.wait()
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def measure(workers, calls, names=None):
    """Runs every contestant once to warm up, then all of them in turns.

    Taking turns lets a drift of the machine hit all of them alike. A contestant that fails, or
    whose process ends, is left out from then on and has a `problem`.

    Args:
        workers: dict of Worker.
        calls: list of tuples, what `run` is given: in the warm-up, then in each round.
        names: contestants to measure; None for all.
    Returns:
        dict from (family, name) to dict: `precision`, `first_seconds`, `seconds` (the median),
        `all_seconds`, `results` (of the warm-up and of each round), `problem` (str or None). A
        family that has not started is (family, "").
    """
    rows = {}
    for family, worker in workers.items():
        if worker.problem is not None:
            rows[family, ""] = _make_row(None, worker.problem)
        for name in worker.precisions if names is None else names:
            rows[family, name] = _make_row(worker.precisions.get(name))
            _run_first(worker, rows, family, name, calls[0])
    for call in calls[1:]:
        for (family, name), row in rows.items():
            if row["problem"] is not None:
                continue
            seconds, result, problem = workers[family].run(name, *call)
            if problem is None:
                row["all_seconds"].append(seconds)
                row["results"].append(result)
            else:
                row["problem"] = problem
                _warm_up_again(workers[family], rows, family, calls[0])
    for row in rows.values():
        row["seconds"] = None if row["problem"] else statistics.median(row["all_seconds"])
    return rows


def _make_row(precision, problem=None):
    return {
        "precision": precision,
        "first_seconds": None,
        "all_seconds": [],
        "results": [],
        "problem": problem,
    }


def _run_first(worker, rows, family, name, call):
    row = rows[family, name]
    seconds, result, row["problem"] = worker.run(name, *call)
    if row["problem"] is not None:
        _warm_up_again(worker, rows, family, call)
        return
    row["first_seconds"] = seconds
    row["results"].append(result)
    print(f"{family} {name}: first call {seconds:.1f} s", file=sys.stderr, flush=True)


def _warm_up_again(worker, rows, family, call):
    """Runs the others of a family after one of them has failed, since their process may be new."""
    for (other, name), row in rows.items():
        if other == family and row["results"] and row["problem"] is None:
            row["problem"] = worker.problem or worker.run(name, *call)[2]
