"""What a run costs beside its steps: saving once a minute, and reading the data.

Trains a model of GPT-2's size by plain `fit` on text, first without `Checkpoint` and then with one
that saves each minute. What checkpoints cost is the share of the second run that its steps would
not have taken if each were like its median one: waiting for the copy, and steps that are slower
while a thread writes. The data are read once more without a model, as fast as they come.

    python examples/benchmarks/checkpoints.py --json checkpoints.json
"""

import itertools
import json
import pathlib
import statistics
import tempfile
import time

from _harness import common

WORDS = "the of and to in is that it was for on are as with his they at be this from".split()


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="sequences a step")
    parser.add_argument("--length", type=int, default=256, metavar="N", help="tokens a sequence")
    parser.add_argument("--steps", type=int, default=12, metavar="N", help="steps without saving")
    parser.add_argument("--seconds", type=float, default=200, help="of the run with saving")
    parser.add_argument("--every", type=float, default=60, metavar="S", help="seconds to a save")
    arguments, data = common.start(parser, {"lmzoo": None})
    if arguments.smoke:
        arguments.batch, arguments.length, arguments.steps = 2, 16, 4
        arguments.seconds, arguments.every = 4.0, 1.0
    common.set_tensorflow_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        row = measure(pathlib.Path(name), arguments)
    data["rows"] = [row]
    table = common.Table("a run, beside its steps alone", ["what", "measured"])
    for what in ("step_seconds", "pipeline_to_step", "share_of_saving", "seconds_waited"):
        table.add(what.replace("_", " "), row[what])
    saves = ", ".join(f"{seconds:.1f}" for seconds in row["seconds_between_saves"])
    table.add("seconds between saves", saves or "-")
    common.finish(arguments, data)


def measure(folder, arguments):
    import keras

    import lmzoo

    (folder / "text.txt").write_text(write_text(arguments))
    tokenizer = lmzoo.tokenizers.ByteTokenizer()
    examples = lmzoo.data.causal_lm(
        [folder / "text.txt"],
        tokenizer,
        arguments.length,
        arguments.batch,
        cache_dir=folder / "cache",
    )
    sizes = arguments.size._asdict()
    sizes["vocabulary_size"] = max(sizes["vocabulary_size"], tokenizer.vocabulary_size)
    backbone = lmzoo.models.GPTBackbone(dtype="mixed_bfloat16", dropout=0.1, **sizes)
    lm = lmzoo.tasks.CausalLM(backbone, tokenizer)
    lm.compile()
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    # The first step is traced; it is no step of either run.
    lm.fit(examples, steps_per_epoch=1 + arguments.steps, callbacks=[clock], verbose=0)
    step = find_usual_step(ends)
    batches = itertools.islice(iter(examples.repeat()), 400)
    next(batches)
    start, count = time.perf_counter(), sum(1 for _ in batches)
    read = (time.perf_counter() - start) / count

    saving = lmzoo.training.Checkpoint(
        folder / "run", every_seconds=arguments.every, keep=100, monitor=None, verbose=False
    )
    num_steps = max(4, round(arguments.seconds / step))
    ends.clear()
    lm.fit(examples, steps_per_epoch=num_steps, callbacks=[clock, saving], verbose=0)
    # From its first end on, without the snapshot at the end of the epoch.
    elapsed = ends[-1] - ends[0]
    manifests = sorted((folder / "run").glob("step-*/manifest.json"))
    times = [manifest.stat().st_mtime for manifest in manifests]
    steps = [json.loads(manifest.read_text())["step"] for manifest in manifests]
    return {
        "family": "lmzoo",
        "problem": None,
        "step_seconds": step,
        "pipeline_to_step": step / read,
        "share_of_saving": 1 - find_usual_step(ends) * (num_steps - 1) / elapsed,
        "seconds_waited": saving.seconds,
        "num_saves": len(steps),
        "seconds_between_saves": [b - a for a, b in itertools.pairwise(times)],
    }


def find_usual_step(ends):
    """The median of the seconds between the ends of steps, which few saves do not change."""
    return statistics.median(b - a for a, b in itertools.pairwise(ends))


def write_text(arguments):
    """Enough text for 200 batches."""
    size = 200 * arguments.batch * arguments.length
    words = itertools.islice(itertools.cycle(WORDS), size // 4)
    return " ".join(words)


if __name__ == "__main__":
    main()
