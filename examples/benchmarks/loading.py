"""How long lmzoo takes to open a folder of GPT-2's size and what memory, beside safetensors alone.

The reference reads every tensor by the safetensors library and assigns it to a Keras variable of
its shape that is already there. lmzoo reads the config, checks the header, builds the model and
fills it. Both take turns, each in a process of its own; the file is one that was just written, so
the system has it in memory. The peak is what a process's memory grew by while it loaded for the
first time, and is known on Linux only.

    python examples/benchmarks/loading.py --repeats 7 --json loading.json
"""

import gc
import json
import pathlib
import re
import statistics
import tempfile
import time

import numpy as np
from _harness import common
from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant, measure, open_workers

REFERENCE = "safetensors"
WEIGHTS = "model.safetensors"


def main():
    families = {REFERENCE: open_safetensors, "lmzoo": open_lmzoo}
    arguments, data = common.start(common.make_parser(__doc__.partition("\n")[0]), families)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data["num_bytes"] = write_folder(folder, arguments.size)
        with open_workers(arguments.families, folder, arguments.threads) as workers:
            measured = measure(workers, [()] * (arguments.repeats + 1))
    data["rows"] = _make_rows(measured, data["num_bytes"])
    table = common.Table(
        f"Opening {data['num_bytes'] / 1e6:.3g} MB of float32 weights",
        ["contestant", "seconds", f"x {REFERENCE}", "first s", "peak MB", "x weights"],
    )
    for row in data["rows"]:
        peak = row["peak_bytes"] and row["peak_bytes"] / 1e6
        cells = (row["seconds"], row["to_reference"], row["first_seconds"], peak, row["to_weights"])
        table.add(
            f"{row['family']} {row['name']}", *([row["problem"]] if row["problem"] else cells)
        )
    common.finish(arguments, data)


def _make_rows(measured, num_bytes):
    """Rows with the seconds and the memory that `measure_once` gave."""
    rows = []
    for (family, name), row in measured.items():
        failed = row["problem"] is not None
        (first, peak), *others = [(None, None)] if failed else row["results"]
        rows.append(
            {
                "family": family,
                "name": name,
                "seconds": None if failed else statistics.median(pair[0] for pair in others),
                "all_seconds": [seconds for seconds, _ in others],
                "first_seconds": first,
                "peak_bytes": peak,
                "to_weights": None if peak is None else peak / num_bytes,
                "problem": row["problem"],
            }
        )
    reference = next((row["seconds"] for row in rows if row["family"] == REFERENCE), None)
    for row in rows:
        compared = reference is not None and row["seconds"] is not None
        row["to_reference"] = row["seconds"] / reference if compared else None
    return rows


def write_folder(folder, size):
    """Writes a GPT-2 with random weights as transformers does; how many bytes they are."""
    from safetensors.numpy import save_file

    dim = size.hidden_dim
    shapes = {"wte.weight": (size.vocabulary_size, dim), "ln_f.weight": (dim,), "ln_f.bias": (dim,)}
    shapes["wpe.weight"] = (size.max_sequence_length, dim)
    dense = {"attn.c_attn": (1, 3), "attn.c_proj": (1, 1), "mlp.c_fc": (1, 4), "mlp.c_proj": (4, 1)}
    for index in range(size.num_layers):
        for name, (inputs, outputs) in dense.items():
            shapes[f"h.{index}.{name}.weight"] = (inputs * dim, outputs * dim)
            shapes[f"h.{index}.{name}.bias"] = (outputs * dim,)
        for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"):
            shapes[f"h.{index}.{name}"] = (dim,)
    random = np.random.default_rng(0)
    tensors = {
        f"transformer.{name}": random.standard_normal(shape, np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    config = {
        "model_type": "gpt2",
        "vocab_size": size.vocabulary_size,
        "n_positions": size.max_sequence_length,
        "n_embd": dim,
        "n_layer": size.num_layers,
        "n_head": size.num_heads,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return sum(array.nbytes for array in tensors.values())


def measure_once(work):
    """The seconds that `work` takes, and by how many bytes it raises the process's memory."""
    gc.collect()
    before = read_memory("VmRSS")
    if before is not None:
        # From here on the peak is counted anew.
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    peak = None if before is None else read_memory("VmHWM") - before
    del result
    return seconds, peak


def read_memory(name):
    """A line of Linux's status of this process, in bytes; None elsewhere."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    return int(re.search(rf"{name}:\s+(\d+) kB", status.read_text())[1]) * 1024


def open_safetensors(folder, threads):
    """The library's own reader, and a copy into variables."""
    set_tensorflow_threads(threads)
    import keras
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="np") as file:
        variables = {
            name: keras.Variable(np.zeros(file.get_slice(name).get_shape(), np.float32))
            for name in file.keys()
        }

    def copy():
        with safe_open(folder / WEIGHTS, framework="np") as file:
            for name, variable in variables.items():
                variable.assign(file.get_tensor(name))

    return {"read and copy": Contestant("float32", lambda: measure_once(copy))}


def open_lmzoo(folder, threads):
    """All that a user waits for."""
    set_tensorflow_threads(threads)
    import lmzoo

    return {"load": Contestant("float32", lambda: measure_once(lambda: lmzoo.load(folder)))}


if __name__ == "__main__":
    main()
