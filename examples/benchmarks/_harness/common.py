"""What the benchmarks share: arguments, the machine's description, comparisons, tables."""

import argparse
import concurrent.futures
import datetime
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np

from _harness.workers import measure

# How many bytes one weight has.
WIDTHS = {"float32": 4, "bfloat16": 2, "mixed_bfloat16": 4, "int8": 1, "int4": 0.5}
# Of these, the installed ones are named with their versions.
PACKAGES = (
    *("lmzoo", "tensorflow", "keras", "tensorflow-text", "numpy", "keras-hub", "torch"),
    *("transformers", "ctranslate2", "llama-cpp-python", "tokenizers", "sentencepiece"),
    *("safetensors", "ai-edge-litert", "litert-quantizer", "litert-lm-api", "openvino"),
    *("openvino-genai", "optimum-intel", "nncf", "onnxruntime"),
)


class Size(NamedTuple):
    """The model all contestants build, with random weights; the defaults are GPT-2 small."""

    num_layers: int = 12
    hidden_dim: int = 768
    num_heads: int = 12
    vocabulary_size: int = 50257
    max_sequence_length: int = 1024

    @property
    def arguments(self):
        """dict. The arguments of a backbone of this size, as lmzoo and KerasHub name them."""
        names = ("num_layers", "num_heads", "hidden_dim", "vocabulary_size")
        return {name: getattr(self, name) for name in names} | {
            "intermediate_dim": 4 * self.hidden_dim
        }

    @property
    def num_weights(self):
        """How many numbers a token reads: all but the positions."""
        block = 12 * self.hidden_dim**2 + 13 * self.hidden_dim
        return self.num_layers * block + (self.vocabulary_size + 2) * self.hidden_dim


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


def _parse(parser, families):
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


def start(parser, families):
    """Reads the arguments, prepares the environment of the children and prints the machine.

    Returns:
        (arguments, dict for the JSON file): the arguments have `size` (Size) and `families`, the
        chosen part of that dict.
    """
    arguments = _parse(parser, families)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}
    machine = describe_machine(arguments.threads)
    for name, value in machine.items():
        print(f"{name}: {value}", flush=True)
    return arguments, {"machine": machine, "size": arguments.size._asdict(), "rows": []}


def describe_machine(threads):
    """What figures depend on: processor, threads, system and the versions of the libraries."""
    versions = [f"{name} {_find_version(name)}" for name in PACKAGES if _find_version(name)]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{_name_processor()}, {os.cpu_count()} logical cores",
        "threads": threads,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(versions),
    }


def _name_processor():
    path = pathlib.Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", path.read_text()) if path.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _find_version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def set_tensorflow_threads(threads):
    """To be called in a child before TensorFlow computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


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


class Table:
    """A table that is printed row by row, so that a pipe shows each as soon as it is known.

    Args:
        title: str.
        columns: list of str. The first is the widest.
    """

    def __init__(self, title, columns):
        self._widths = [34, 14, *(max(len(column), 9) for column in columns[2:])]
        print(f"\n{title}")
        self.add(*columns)
        print("-" * (sum(self._widths) + 2 * len(self._widths) - 2), flush=True)

    def add(self, *cells):
        """Prints a row; numbers are rounded to three digits."""
        cells = [_to_cell(cell) for cell in cells]
        line = "  ".join(
            [
                f"{cells[0]:{self._widths[0]}}",
                *(f"{c:>{w}}" for c, w in zip(cells[1:], self._widths[1:], strict=False)),
            ]
        )
        print(line.rstrip(), flush=True)


def _to_cell(value):
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def compare(workers, title, calls, reference, units, describe=None, **more):
    """Measures contestants and prints a table of their rates.

    Args:
        workers: dict of Worker.
        title: str. The table's.
        calls: list of tuples, as for `measure`.
        reference: (str, str or None). The family, and its precision if only one counts, whose
            fastest contestant the ratio is to.
        units: (str, float). What is counted, and how much of it a call does, such as tokens.
        describe: function of a contestant's measured row to a dict of its further columns, which
            raises ValueError if the results are wrong; or None.
        **more: what all rows of the JSON file say beside.
    Returns:
        list of dict, a row for each contestant: what it says is None where it failed.
    """
    unit, amount = units
    measured = measure(workers, calls)
    extras = {}
    for key, row in measured.items():
        try:
            extras[key] = describe(row) if describe and row["problem"] is None else {}
        except ValueError as error:
            extras[key], row["problem"] = {}, f"wrong results: {error}"
    works = {key: row for key, row in measured.items() if row["problem"] is None}
    seconds = [
        row["seconds"]
        for (family, _), row in works.items()
        if family == reference[0] and reference[1] in (None, row["precision"])
    ]
    names = next((list(extras[key]) for key in works), [])
    columns = ["contestant", "precision", f"{unit}/s", f"x {reference[0]}", "first s"]
    table, rows = Table(title, [*columns, *names]), []
    for (family, name), row in measured.items():
        failed = row["problem"] is not None
        made = {
            "family": family,
            "name": name,
            **more,
            "precision": row["precision"],
            f"{unit}_per_second": None if failed else amount / row["seconds"],
            "to_reference": None if failed or not seconds else min(seconds) / row["seconds"],
            "first_seconds": row["first_seconds"],
            "all_seconds": row["all_seconds"],
            **extras[family, name],
            "problem": row["problem"],
        }
        figures = (f"{unit}_per_second", "to_reference", "first_seconds", *names)
        cells = [row["problem"]] if failed else [made[figure] for figure in figures]
        table.add(f"{family} {name}", row["precision"], *cells)
        rows.append(made)
    return rows


def check_equal(found, expected):
    """Raises ValueError unless all of `found`, numbers of tokens, are `expected`.

    Returns:
        dict. Empty, for `compare`.
    """
    if set(found) != {expected}:
        raise ValueError(f"{sorted(set(found))} tokens instead of {expected}")
    return {}


def check_finite(row):
    """Raises ValueError unless all results of a measured row are finite; an empty dict if so."""
    if not np.all(np.isfinite(row["results"])):
        raise ValueError(f"{row['results']}")
    return {}


def measure_token_cost(workers, what, lengths, new, rounds, names=None):
    """What a new token costs after a short and a long text, which itself is taken off.

    Args:
        workers: dict of Worker.
        what: str. What the lengths are of, such as "prompts".
        lengths: (int, int). Tokens of the short and the long text.
        new: int. How many tokens are made.
        rounds: int. How many calls are made, the first one included.
        names: contestants to measure; None for all.
    Returns:
        list of dict, a row for each contestant: what it says is None where it failed.
    """
    costs, problems = {}, {}
    for length in lengths:
        many = measure(workers, [(1, length, new)] * rounds, names)
        one = measure(workers, [(1, length, 1)] * rounds, names)
        for key, row in many.items():
            problem = row["problem"] or one[key]["problem"]
            problems[key] = problems.get(key) or problem
            if problem is None:
                cost = (row["seconds"] - one[key]["seconds"]) / (new - 1)
                costs.setdefault(key, []).append(cost)
    table = Table("one new token, batch 1", ["contestant", what, "ms", "ms", "ratio"])
    rows = []
    for (family, name), problem in problems.items():
        pair = costs[family, name] if problem is None else None
        ratio = pair and pair[1] / pair[0]
        rows.append(
            {
                **{"family": family, "name": name, what: lengths},
                **{"seconds_per_token": pair, "ratio": ratio, "problem": problem},
            }
        )
        cells = [problem] if pair is None else [*(1e3 * seconds for seconds in pair), ratio]
        table.add(f"{family} {name}", " / ".join(map(str, lengths)), *cells)
    return rows


def make_torch_models(name, config, threads):
    """A model of transformers with random weights in each of two widths.

    Args:
        name: str. Its class.
        config: its configuration.
        threads: int. For all of PyTorch.
    Returns:
        dict of dtype to torch.nn.Module.
    """
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    kind = getattr(transformers, name)
    return {
        dtype: kind(config).to(getattr(torch, dtype)).eval() for dtype in ("float32", "bfloat16")
    }


def open_ctranslate2_engines(name, folder, threads):
    """A converted model in CTranslate2, float32 and int8: dict of precision to engine.

    Args:
        name: str. The class of CTranslate2, such as "Generator".
        folder: str. What was converted. It may go afterwards.
        threads: int.
    """
    import ctranslate2

    make = functools.partial(
        getattr(ctranslate2, name), folder, intra_threads=threads, inter_threads=1
    )
    return {precision: make(compute_type=precision) for precision in ("float32", "int8")}


def generate_with_torch(model, token_ids, new, pad_token_id=0):
    """Always `new` of the likeliest tokens, by the `generate` of transformers.

    Args:
        model: one of transformers, or of optimum-intel with its interface.
        token_ids: torch int64 (B, T). All of them are real tokens.
        new, pad_token_id: int.
    Returns:
        torch int64 (B, T'), as the model gives it.
    """
    import torch

    return model.generate(
        token_ids,
        attention_mask=torch.ones_like(token_ids),
        min_new_tokens=new,
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=pad_token_id,
    )


def make_torch_step(model, compute_logits, labels, precision, learning_rate, weight_decay):
    """A function that trains a PyTorch model by one step with AdamW and gives the loss.

    Args:
        model: torch.nn.Module.
        compute_logits: function without arguments, run under autocast unless `precision` is
            "float32". It gives (B, T, V).
        labels: torch int64 (B, T).
        precision: str.
        learning_rate, weight_decay: float.
    """
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=weight_decay)

    def run():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
            logits = compute_logits()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def make_saved(lm, jit_compile, quantization=None):
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
                lm.export(
                    folder,
                    max_new_tokens=new,
                    jit_compile=jit_compile,
                    quantization=quantization,
                )
                loaded[new] = tf.saved_model.load(folder)
        token_ids = tf.constant(token_ids)
        tokens = loaded[new].signatures["tokens"]
        results = tokens(token_ids=token_ids, padding_mask=tf.ones_like(token_ids, tf.bool))
        return int(np.sum(results["padding_mask"]))

    return run


def finish(arguments, data):
    """Writes the JSON file if it is asked for; exits with 1 if a contestant of lmzoo has failed."""
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    rows = [row for value in data.values() if isinstance(value, list) for row in value]
    own = [row for row in rows if row["family"] == "lmzoo" and row["problem"]]
    if own:
        sys.exit(f"lmzoo has failed: {own[0]['name']} {own[0]['problem']}")
