"""What long texts cost in training: memory and seconds, plain and by each way to save memory.

One step of a decoder reads a text of 4,096 random tokens: forward, cross-entropy, backward, AdamW.
The ways are chunks of the attention's queries, the blocks computed again (`remat`), and both. They
take turns, each in a process of its own. The peak is what the steps raise the memory of the process
by, over its weights and what Python has loaded, and is known on Linux only. All start from the same
weights and have no dropout, so they must have the same loss.

    python examples/benchmarks/memory.py --json memory.json
    python examples/benchmarks/memory.py --layers 2 --hidden 768 --heads 12
"""

import statistics
import time

import numpy as np
from _harness import common
from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant, measure, open_workers
from loading import read_memory

WAYS = {
    "plain": {"attention_chunks": 1},
    "chunks": {},
    "remat": {"attention_chunks": 1, "remat": True},
    "both": {"remat": True},
}


def main():
    families = dict.fromkeys(WAYS)
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.set_defaults(layers=4, hidden=128, heads=4, vocabulary=512, repeats=3)
    parser.add_argument("--length", type=int, default=4096, metavar="N", help="tokens of the text")
    parser.add_argument("--chunks", type=int, metavar="N", help='instead of what "auto" chooses')
    arguments, data = common.start(parser, families)
    length = 64 if arguments.smoke else arguments.length
    chunks = 4 if arguments.smoke else arguments.chunks
    size = arguments.size._replace(max_sequence_length=length)
    openers = {
        way: (open_lmzoo, (size, arguments.threads, way, chunks)) for way in arguments.families
    }
    with open_workers(openers) as workers:
        measured = measure(workers, [()] * (arguments.repeats + 1))
    data["rows"] = _make_rows(measured)
    table = common.Table(
        f"A step with a text of {length} tokens, {size.num_layers} layers of {size.hidden_dim}",
        ["way", "MB", "x plain", "seconds", "x plain", "loss"],
    )
    for row in data["rows"]:
        cells = (row["peak_bytes"] and row["peak_bytes"] / 1e6, row["memory_to_plain"])
        cells += (row["seconds"], row["seconds_to_plain"], row["loss"])
        table.add(row["name"], *([row["problem"]] if row["problem"] else cells))
    common.finish(arguments, data)


def _make_rows(measured):
    """Rows with what the steps gave; the seconds of the first one, which traces, are left out."""
    rows = []
    for (_, name), row in measured.items():
        calls = [] if row["problem"] else row["results"]
        rows.append(
            {
                "family": "lmzoo",
                "name": name,
                "seconds": statistics.median(call[0] for call in calls[1:]) if calls else None,
                "peak_bytes": calls[-1][1] if calls else None,
                "loss": calls[0][2] if calls else None,
                "problem": row["problem"],
            }
        )
    plain = next((row for row in rows if row["name"] == "plain"), None)
    for row in rows:
        for ratio, name in (("memory_to_plain", "peak_bytes"), ("seconds_to_plain", "seconds")):
            known = plain is not None and plain[name] and row[name]
            row[ratio] = row[name] / plain[name] if known else None
    return rows


def open_lmzoo(size, threads, way, chunks):
    """A step of lmzoo's CausalLM in one of the ways."""
    set_tensorflow_threads(threads)
    import keras
    import tensorflow as tf

    import lmzoo

    keras.utils.set_random_seed(0)
    options = dict(WAYS[way])
    if chunks:
        options.setdefault("attention_chunks", chunks)
    lm = lmzoo.tasks.CausalLM(lmzoo.models.GPTBackbone(**size._asdict(), **options))
    lm.compile()
    ids = np.random.default_rng(0).integers(
        0, size.vocabulary_size, (1, size.max_sequence_length + 1), "int32"
    )
    inputs, labels = {"token_ids": tf.constant(ids[:, :-1])}, tf.constant(ids[:, 1:])
    losses = []

    def step():
        losses.append(float(lm.train_on_batch(inputs, labels)))

    before = read_memory("VmRSS")

    def run():
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        return seconds, None if before is None else read_memory("VmHWM") - before, losses[-1]

    return {way: Contestant("float32", run)}


if __name__ == "__main__":
    main()
