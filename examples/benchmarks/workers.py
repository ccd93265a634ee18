"""What tf.distribute costs: one process with all threads beside two workers that share them.

Both train the same GPT on the same global batches, so the second has nothing to gain: it computes
half of each batch in each process and sums the gradients over the loopback interface. Processes
take turns, and the first steps of each are not counted.

    python examples/benchmarks/workers.py --steps 40 --json workers.json
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

from _harness import common

WARM_UP = 5


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.set_defaults(layers=4, hidden=256, heads=8, vocabulary=4096)
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="sequences a step")
    parser.add_argument("--length", type=int, default=256, metavar="N", help="tokens a sequence")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="steps a run")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes")
    arguments, data = common.start(parser, {"lmzoo": None})
    if arguments.smoke:
        arguments.batch, arguments.length, arguments.steps = 4, 16, 8
    counts = (1, arguments.workers)
    rates = {count: [] for count in counts}
    tokens = arguments.batch * arguments.length
    for _ in range(arguments.repeats):
        for count in counts:
            rates[count].append(tokens / statistics.median(run(count, arguments)))
    columns = ["processes", "threads each", "tokens/s", "to one"]
    table = common.Table(f"a step of {arguments.batch} x {arguments.length} tokens", columns)
    for count in counts:
        rate = statistics.median(rates[count])
        ratio = rate / statistics.median(rates[1])
        table.add(str(count), str(count_threads(count, arguments)), rate, ratio)
        row = {"family": "lmzoo", "processes": count, "tokens_per_second": rate, "problem": None}
        data["rows"].append({**row, "to_one": ratio, "all_rates": rates[count]})
    common.finish(arguments, data)


def count_threads(count, arguments):
    return max(1, arguments.threads // count)


def run(count, arguments):
    """The seconds of each step that counts, of the first of so many processes."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    options = [count_threads(count, arguments), arguments.batch, arguments.length, arguments.steps]
    command = [sys.executable, __file__, *map(str, [*options, *arguments.size])]
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for index in range(count):
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            environment = {**os.environ, "LMZOO_WORKER": os.path.join(folder, str(index))}
            if count > 1:
                environment["TF_CONFIG"] = json.dumps(config)
            children.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        try:
            codes = [child.wait(timeout=1800) for child in children]
        finally:
            for child in children:
                child.kill()
        if any(codes):
            sys.exit(f"A worker must end with 0. Received: {codes}.")
        return json.loads(pathlib.Path(folder, "0").read_text())


def work(threads, batch_size, length, steps, *size):
    """What each process does: writes the seconds of its steps."""
    common.set_tensorflow_threads(threads)
    import time

    import keras
    import numpy as np
    import tensorflow as tf

    import lmzoo

    strategy = lmzoo.training.multi_worker_strategy()
    size = common.Size(*size)
    with strategy.scope():
        lm = lmzoo.tasks.CausalLM(lmzoo.models.GPTBackbone(dropout=0.1, **size._asdict()))
        lm.compile()
    ids = np.random.default_rng(0).integers(0, size.vocabulary_size, (batch_size, length + 1))
    rows = {"token_ids": ids[:, :-1].astype("int32")}, ids[:, 1:].astype("int32")
    data = tf.data.Dataset.from_tensor_slices(rows).repeat().batch(batch_size)
    times = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    lm.fit(data, steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[callback])
    seconds = [
        end - start for start, end in zip(times[WARM_UP:], times[WARM_UP + 1 :], strict=False)
    ]
    pathlib.Path(os.environ["LMZOO_WORKER"]).write_text(json.dumps(seconds))


if __name__ == "__main__":
    if "LMZOO_WORKER" in os.environ:
        work(*map(int, sys.argv[1:]))
    else:
        main()
