"""Whether XLA compiles the decode loop: measured once for a size of model on a machine.

Which of the two is faster depends on the processor. XLA gains 1.4 times on GPT-2 small and loses on
T5 small on one, and wins on both on another.
"""

import contextlib
import logging
import os
import platform
import statistics
import time

import numpy as np
import tensorflow as tf

from lmzoo.data.corpus.cache import cache_folder, cache_key
from lmzoo.generation.generator import Generator, make_graph_signature
from lmzoo.generation.options import GenerationOptions
from lmzoo.json_files import read_json, write_json
from lmzoo.runtime.engine import check_threads
from lmzoo.tracing import trace_once

__all__ = ["SWITCH", "choose_jit_compile"]

# Set to 0, nothing is measured.
SWITCH = "LMZOO_MEASURE_ENGINES"
_LOG = logging.getLogger(__name__)
_PROMPT_TOKENS, _NEW_TOKENS, _ROUNDS = 16, 16, 3
# In seconds. The rounds of both forms together stay below this; tracing and compiling come on top.
_BUDGET = 20.0
# A form is compiled if it is faster by this much at least: every pair of buckets waits for XLA.
_LEAST_GAIN = 1.05


def choose_jit_compile(task):
    """Whether XLA should compile the decode loop of a large task on this machine.

    On a processor bfloat16 and float16 are never compiled: TensorFlow's own products are up to four
    times faster there. Nor are weights in int4, with which XLA took four times as long for one text
    as without quantization. For other tasks both forms generate 16 tokens a few times. That takes
    as long as tracing and compiling both, some ten seconds for GPT-2 small. The result is kept in
    the folder `engines` of the cache (`$LMZOO_CACHE`, else `~/.cache/lmzoo`) for all models of this
    kind, size, precision and processor. So the choice, and with it the last bits of the scores,
    stays what it is until that file is deleted. With `LMZOO_MEASURE_ENGINES=0` nothing is measured
    and XLA compiles.

    Args:
        task: GenerativeTask.
    Returns:
        bool.
    """
    on_cpu = not tf.config.list_logical_devices("GPU")
    is_half = task.backbone.compute_dtype in ("float16", "bfloat16")
    if on_cpu and (is_half or task.quantization == "int4"):
        return False
    if os.environ.get(SWITCH) == "0":
        return True
    if "engine" not in task.graphs:
        task.graphs["engine"] = _open_or_measure(task)
    return task.graphs["engine"]


def _open_or_measure(task):
    description = _describe(task)
    path = cache_folder(kind="engines") / f"{cache_key(description)}.json"
    found = _open(path, description)
    if found is not None:
        return found
    start = time.perf_counter()
    _LOG.warning(
        "lmzoo times generation with XLA and without, once for a %s of this size on this machine. "
        "It takes about as long as two first calls; %s=0 avoids it.",
        description["model"],
        SWITCH,
    )
    seconds = _measure(task)
    # One that is too slow to be timed is compiled, as every large model is without measurement.
    choice = seconds is None or seconds["plain"] >= _LEAST_GAIN * seconds["xla"]
    _LOG.warning(
        "lmzoo generates %s XLA here (%.0f s to find out). Kept in %s.",
        "with" if choice else "without",
        time.perf_counter() - start,
        path,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**description, "seconds": seconds, "jit_compile": choice})
    except OSError as error:
        _LOG.warning("The choice could not be kept: %s", error)
    return choice


def _open(path, description):
    """The choice in a file; None where there is no file of this description."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    choice = content.get("jit_compile")
    is_same = all(content.get(name) == value for name, value in description.items())
    return choice if is_same and isinstance(choice, bool) else None


def _describe(task):
    """What the choice depends on, as JSON values."""
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return {
        "model": type(task.backbone).__name__,
        "parameters": int(task.backbone.count_params()),
        "dtype": task.backbone.compute_dtype,
        "quantization": task.quantization,
        "processor": _name_processor(),
        "threads": threads or check_threads(None),
        "accelerators": len(tf.config.list_logical_devices("GPU")),
        "tensorflow": tf.__version__,
    }


def _name_processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _measure(task):
    """Median seconds of a short generation without XLA ("plain") and with it ("xla").

    Returns:
        dict, or None if a token takes so long that both forms cannot be timed in the budget.
    """
    length = min(_PROMPT_TOKENS, task.max_sequence_length // 2)
    token_ids = np.random.default_rng(0).integers(
        task.backbone.vocabulary_size, size=(1, length), dtype=np.int32
    )
    plain = _make_run(task, token_ids, jit_compile=False)
    plain(1)
    num_tokens = int(_BUDGET / (2 * _ROUNDS) / _time(plain, 1))
    if num_tokens < 1:
        return None
    num_tokens = min(num_tokens, _NEW_TOKENS)
    compiled = _make_run(task, token_ids, jit_compile=True)
    compiled(1)
    runs, seconds = {"plain": plain, "xla": compiled}, {"plain": [], "xla": []}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            seconds[name].append(_time(run, num_tokens))
    return {name: statistics.median(values) for name, values in seconds.items()}


def _make_run(task, token_ids, jit_compile):
    """A function that generates a number of tokens behind the ids, whatever they are."""
    options = GenerationOptions(max_new_tokens=_NEW_TOKENS)
    generator = Generator(task, options, jit_compile)
    # No token ends the text before its time.
    generator.static = generator.static._replace(end_token_ids=())
    graph = trace_once(generator.generate, make_graph_signature(options))
    mask = np.ones_like(token_ids, bool)

    def run(num_tokens):
        parameters = GenerationOptions(max_new_tokens=num_tokens).make_parameters(1)
        graph(token_ids, mask, parameters)["log_prob"].numpy()

    return run


def _time(run, num_tokens):
    start = time.perf_counter()
    run(num_tokens)
    return time.perf_counter() - start
