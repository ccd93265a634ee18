"""What the benchmarks share: arguments, frameworks in child processes, fair rounds, tables."""

import argparse
import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
import traceback
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

# How many bytes one weight has.
WIDTHS = {"float32": 4, "bfloat16": 2, "mixed_bfloat16": 4, "int8": 1}


class Size(NamedTuple):
    """The model all contestants build, with random weights; the defaults are GPT-2 small."""

    num_layers: int = 12
    hidden_dim: int = 768
    num_heads: int = 12
    vocabulary_size: int = 50257
    max_sequence_length: int = 1024

    @property
    def num_weights(self):
        """How many numbers a token reads: all but the positions."""
        block = 12 * self.hidden_dim**2 + 13 * self.hidden_dim
        return self.num_layers * block + (self.vocabulary_size + 2) * self.hidden_dim


class Contestant(NamedTuple):
    """One row of a table.

    precision: str, a key of `WIDTHS`.
    run: callable, what is timed. Its result must be picklable.
    """

    precision: str
    run: Any


def make_parser(description):
    """The arguments that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    for name, value in zip(("layers", "hidden", "heads", "vocabulary"), Size(), strict=False):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds to take")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each framework")
    parser.add_argument("--only", metavar="NAMES", help="frameworks, such as lmzoo,kerashub")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers too")
    parser.add_argument("--smoke", action="store_true", help="a tiny model and one round")
    return parser


def parse(parser, families):
    """The arguments with `size` (Size) and `families` (the chosen part of that dict) added."""
    arguments = parser.parse_args()
    size = Size(arguments.layers, arguments.hidden, arguments.heads, arguments.vocabulary)
    if arguments.smoke:
        size, arguments.repeats = Size(2, 32, 2, 320), 1
    names = arguments.only.split(",") if arguments.only else list(families)
    if unknown := set(names) - set(families):
        parser.error(f"--only knows {', '.join(families)}. Received: {', '.join(unknown)}.")
    arguments.size = size
    arguments.families = {name: families[name] for name in names}
    return arguments


def prepare_environment(threads):
    """Gives every child the same threads and silences what frameworks say when they start."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    # A script's own folder leads the path of modules, and a neighbour here would stand before an
    # installed package of the same name, `tokenizers`.
    folder = str(pathlib.Path(__file__).parent)
    sys.path = [entry for entry in sys.path if entry != folder] + [folder]


def set_tensorflow_threads(threads):
    """To be called in a child before TensorFlow computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class Worker:
    """One framework in a child process, so that no runtime disturbs another.

    Args:
        open_contestants: function of a module, `(*arguments) -> dict of Contestant`. An ImportError
            in it means that the framework is not installed.
        arguments: what it is called with, picklable.
    Attributes:
        precisions: dict, the contestants' names and precisions; empty if there are none.
        problem: str or None. Why there are none.
    """

    def __init__(self, open_contestants, *arguments):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, open_contestants, arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        self.precisions, self.problem = {}, None

    def wait(self):
        """Waits until the child has opened its contestants."""
        self.precisions, self.problem = self._receive()

    def run(self, name, *arguments):
        """Runs one contestant: how long it took in seconds, and its result."""
        self._connection.send((name, arguments))
        outcome, problem = self._receive()
        if problem is not None:
            raise RuntimeError(f"{name} failed:\n{problem}")
        return outcome

    def _receive(self):
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"A child ended with {self._process.exitcode}.") from None

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
    precisions = {name: contestant.precision for name, contestant in contestants.items()}
    connection.send((precisions, None))
    while (request := connection.recv()) is not None:
        name, call = request
        try:
            start = time.perf_counter()
            result = contestants[name].run(*call)
            connection.send(((time.perf_counter() - start, result), None))
        except Exception:
            connection.send((None, traceback.format_exc()))


@contextlib.contextmanager
def open_workers(families, *arguments):
    """Starts a worker for each family: dict of Worker, without those that are not installed."""
    workers = {family: Worker(opener, *arguments) for family, opener in families.items()}
    try:
        for family, worker in workers.items():
            worker.wait()
            if worker.problem is not None:
                print(f"{family}: {worker.problem}", flush=True)
        yield {family: worker for family, worker in workers.items() if worker.problem is None}
    finally:
        for worker in workers.values():
            worker.close()


def measure(workers, repeats, *call, names=None):
    """Runs every contestant once to warm up, then all of them in turn, `repeats` times.

    Taking turns lets a drift of the machine hit all of them alike.

    Args:
        workers: dict of Worker.
        repeats: int. How many rounds are counted.
        *call: what each contestant's `run` is given.
        names: contestants to measure; None for all.
    Returns:
        dict from (family, name) to dict: `precision`, `first_seconds`, `seconds` (the median),
        `all_seconds`, `results` (of the warm-up and of each round).
    """
    rows = {}
    for family, worker in workers.items():
        for name in worker.precisions if names is None else names:
            seconds, result = worker.run(name, *call)
            rows[family, name] = {
                "precision": worker.precisions[name],
                "first_seconds": seconds,
                "all_seconds": [],
                "results": [result],
            }
    for _ in range(repeats):
        for (family, name), row in rows.items():
            seconds, result = workers[family].run(name, *call)
            row["all_seconds"].append(seconds)
            row["results"].append(result)
    for row in rows.values():
        row["seconds"] = statistics.median(row["all_seconds"])
    return rows


def measure_bandwidth(threads, gigabytes=1.0):
    """How many bytes a second `threads` read from an array far beyond the caches."""
    parts = np.array_split(np.ones(int(gigabytes * 2**30 / 4), np.float32), threads)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            # The maximum is vectorised and gives up the interpreter's lock.
            list(pool.map(np.max, parts))
            times.append(time.perf_counter() - start)
    return sum(part.nbytes for part in parts) / min(times)


def print_table(title, columns, rows):
    """Prints rows of cells; numbers are rounded to three digits."""
    table = Table(title=title)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < 2 else "right")
    for row in rows:
        table.add_row(*(_to_cell(value) for value in row))
    # Wide enough for a file, too, where the width of a terminal is not known.
    console = Console()
    Console(width=max(console.width, 120)).print(table)


def make_rates(measured, tokens, reference, **more):
    """A row for each contestant of `measure`, with its tokens a second and its ratio.

    Args:
        measured: dict, as `measure` gives it.
        tokens: int. How many tokens a call takes in or makes.
        reference: str. The family whose fastest contestant the ratio is to.
        **more: what all rows say beside.
    Returns:
        list of dict.
    """
    seconds = [row["seconds"] for (family, _), row in measured.items() if family == reference]
    return [
        {
            "family": family,
            "name": name,
            **more,
            "precision": row["precision"],
            "tokens_per_second": tokens / row["seconds"],
            "to_reference": min(seconds) / row["seconds"] if seconds else None,
            "first_seconds": row["first_seconds"],
            "all_seconds": row["all_seconds"],
        }
        for (family, name), row in measured.items()
    ]


def print_rates(title, rows):
    """Prints what `make_rates` gave, with KerasHub as the reference."""
    print_table(
        title,
        ["contestant", "precision", "tokens/s", "x KerasHub", "first s"],
        [
            (
                f"{row['family']} {row['name']}",
                row["precision"],
                row["tokens_per_second"],
                row["to_reference"],
                row["first_seconds"],
            )
            for row in rows
        ],
    )


def make_saved(lm, jit_compile):
    """A function that runs a task's SavedModel: ids (B, T) and how many new tokens -> their count.

    It is written and opened at the first call; what it makes is fixed then.
    """
    import tensorflow as tf

    loaded = {}

    def run(token_ids, new):
        if new not in loaded:
            loaded.clear()
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder) / "1"
                lm.export(folder, max_new_tokens=new, jit_compile=jit_compile)
                loaded[new] = tf.saved_model.load(folder)
        token_ids = tf.constant(token_ids)
        tokens = loaded[new].signatures["tokens"]
        results = tokens(token_ids=token_ids, padding_mask=tf.ones_like(token_ids, tf.bool))
        return int(np.sum(results["padding_mask"]))

    return run


def _to_cell(value):
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_json(path, data):
    """Writes the numbers where the caller asked for it."""
    if path is not None:
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
