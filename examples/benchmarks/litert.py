"""How fast exported files run on a plain CPU, beside other libraries.

Every contestant runs a model with random weights: a GPT-2 small that completes a prompt, the same
after a long prompt, a T5 small that answers a source, and a BERT base that reads 8 texts. lmzoo's
files are run by `lmzoo.runtime`, without TensorFlow. Each framework lives in a process of its own,
has the same threads, and takes its turn in every round; the first call of each is not counted.
LiteRT-LM runs lmzoo's own file in the benchmark that it brings, which reports decoding alone.

    python examples/benchmarks/litert.py --work gpt --only lmzoo,ctranslate2 --files /tmp/files
"""

import functools
import pathlib
import statistics
import tempfile

import seq2seq
from _harness import common, generation
from _harness import litert as contestants
from _harness.workers import open_workers

# The work -> whose int8 the ratios are to.
WORKS = {
    **{"gpt": "ctranslate2", "long": "llama.cpp", "t5": "ctranslate2", "bert": "onnxruntime"},
    # Of lmzoo alone.
    "start": None,
}
FAMILIES = ("lmzoo", "litert-lm", "ctranslate2", "llama.cpp", "openvino", "onnxruntime")
SIZES = {
    "t5": common.Size(6, 512, 8, 32128),
    "bert": common.Size(vocabulary_size=30522, max_sequence_length=512),
}
SMALL = common.Size(2, 128, 2, 320, 128)


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--work", choices=list(WORKS), help="one of the tables")
    parser.add_argument("--prompt", type=int, default=32, metavar="N", help="tokens")
    parser.add_argument("--new", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--files", metavar="FOLDER", help="where files are kept and looked for")
    arguments, data = common.start(parser, dict.fromkeys(FAMILIES))
    if arguments.smoke:
        arguments.prompt, arguments.new = 8, 8
    bandwidth = common.measure_bandwidth(arguments.threads, 0.1 if arguments.smoke else 1.0)
    data["bandwidth"] = bandwidth
    print(f"memory: {bandwidth / 1e9:.1f} GB/s read by {arguments.threads} threads", flush=True)
    run = {"gpt": compare_gpt, "long": compare_long, "t5": compare_t5, "bert": compare_bert}
    run["start"] = measure_starts
    with tempfile.TemporaryDirectory() as made:
        for work in [arguments.work] if arguments.work else WORKS:
            folder = pathlib.Path(arguments.files or made, work)
            size = SMALL if arguments.smoke else SIZES.get(work, arguments.size)
            rows = run[work](arguments, folder, size, bandwidth, data)
            data["rows"] += [{"work": work, **row} for row in rows]
            data.setdefault("bytes", {})[work] = {
                path.name: path.stat().st_size for path in sorted(folder.glob("*.*"))
            }
    common.finish(arguments, data)


def _choose(arguments, openers):
    """The openers of the frameworks that were asked for."""
    return {name: opener for name, opener in openers.items() if name in arguments.families}


def compare_gpt(arguments, folder, size, bandwidth, data):
    """A prompt and its continuation: rows of the table."""
    prompt, new = arguments.prompt, arguments.new
    precisions = tuple(contestants.QUANTIZATIONS)
    names = [f"{precision}.tflite" for precision in precisions]
    if "litert-lm" in arguments.families:
        names += ["int8.litertlm", "int4.litertlm"]
    contestants.export_files("gpt", folder, size, prompt + new, names)
    openers = {
        "lmzoo": functools.partial(contestants.open_gpt, str(folder), precisions),
        "ctranslate2": generation.open_ctranslate2,
        "llama.cpp": generation.open_llama_cpp,
        "openvino": functools.partial(contestants.open_openvino_gpt, precisions),
    }
    with open_workers(_choose(arguments, openers), size, arguments.threads) as workers:
        rows = common.compare(
            workers,
            f"GPT-2, batch 1, prompt {prompt}, {new} new tokens",
            [(1, prompt, new)] * (arguments.repeats + 1),
            (WORKS["gpt"], "int8"),
            ("tokens", new),
            _make_describe(new, bandwidth / size.num_weights),
        )
    if "litert-lm" in arguments.families:
        data["decoding"] = compare_decoding(arguments, folder)
    return rows


def compare_decoding(arguments, folder):
    """Decoding alone, without the prompt, on the same file: list of dict, printed as a table."""
    table = common.Table(
        "decoding alone, tokens/s", ["file", "", "lmzoo", "litert-lm", "x litert-lm"]
    )
    counts = (arguments.prompt, arguments.new, arguments.repeats)
    rows = []
    for path in sorted(folder.glob("*.litertlm")):
        own = contestants.measure_own_decoding(path, arguments.threads, *counts)
        try:
            theirs = contestants.measure_litert_lm(path, arguments.threads, *counts)
        except ImportError as error:
            table.add(path.name, "", own, f"not installed ({error})")
            theirs = None
        else:
            theirs = statistics.median(theirs)
            table.add(path.name, "", own, theirs, own / theirs)
        rows.append(
            {
                "family": "lmzoo",
                "file": path.name,
                "tokens_per_second": own,
                "litert_lm": theirs,
                "problem": None,
            }
        )
    return rows


def compare_long(arguments, folder, size, bandwidth, data):
    """What a token costs at a context of 1,024 with 512 tokens in it, and early in that context."""
    context, new = size.max_sequence_length, arguments.new
    precisions = ("float32", "int8")
    names = [f"{precision}.tflite" for precision in precisions]
    contestants.export_files("gpt", folder, size, context, names)
    openers = {
        "lmzoo": functools.partial(contestants.open_gpt, str(folder), precisions),
        "ctranslate2": generation.open_ctranslate2,
        "llama.cpp": generation.open_llama_cpp,
    }
    with open_workers(_choose(arguments, openers), size, arguments.threads) as workers:
        lengths = (arguments.prompt, context // 2)
        rounds = arguments.repeats + 1
        costs = common.measure_token_cost(workers, "prompts", lengths, new, rounds)
    # They are no rows of a comparison: each is a cost.
    data["long"] = costs
    return []


def measure_starts(arguments, folder, size, bandwidth, data):
    """How long a process without TensorFlow takes to its first token: no rows of a comparison."""
    names = [f"{precision}.tflite" for precision in ("int8", "int4")]
    contestants.export_files("start", folder, size, arguments.prompt + arguments.new, names)
    columns = ["file", "", "whole s", "import s", "open s", "first token s", "MB", "bytes/weight"]
    table = common.Table("from the start of a process to its first token", columns)
    data["start"] = []
    for name in names:
        path = folder / name
        runs = [
            contestants.measure_start(path, arguments.threads, "import os\n")
            for _ in range(arguments.repeats + 1)
        ][1:]
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        positions = size.max_sequence_length * size.hidden_dim
        row["bytes_per_weight"] = path.stat().st_size / (size.num_weights + positions)
        table.add(name, "", *row.values())
        data["start"].append({"family": "lmzoo", "file": name, **row, "problem": None})
    return []


def compare_t5(arguments, folder, size, bandwidth, data):
    """A source and its answer: rows of the table."""
    length, new = 2 * arguments.prompt, arguments.new
    openers = {
        "lmzoo": functools.partial(contestants.open_t5, str(folder)),
        "ctranslate2": seq2seq.open_ctranslate2,
        "openvino": contestants.open_openvino_t5,
    }
    # The start token takes a slot too.
    title = f"T5, batch 1, source {length}, {new} new tokens"
    check = functools.partial(_check_counts, new)
    return _compare(
        "t5",
        arguments,
        (folder, size, max(length, new + 1)),
        openers,
        title,
        (1, length, new),
        new,
        check,
    )


def compare_bert(arguments, folder, size, bandwidth, data):
    """Eight texts: rows of the table."""
    batch_size, length = 8, 4 * arguments.prompt
    openers = {
        "lmzoo": functools.partial(contestants.open_bert, str(folder)),
        "onnxruntime": contestants.open_onnxruntime_bert,
        "openvino": contestants.open_openvino_bert,
    }
    title = f"BERT, {batch_size} x {length} tokens"
    return _compare(
        "bert",
        arguments,
        (folder, size, length),
        openers,
        title,
        (batch_size, length),
        batch_size * length,
        common.check_finite,
    )


def _compare(work, arguments, files, openers, title, call, num_tokens, describe):
    """Exports what is missing and compares the frameworks at calls that are all alike."""
    names = [f"{precision}.tflite" for precision in contestants.QUANTIZATIONS]
    folder, size, context = files
    contestants.export_files(work, folder, size, context, names)
    with open_workers(_choose(arguments, openers), size, arguments.threads) as workers:
        return common.compare(
            workers,
            title,
            [call] * (arguments.repeats + 1),
            (WORKS[work], "int8"),
            ("tokens", num_tokens),
            describe,
        )


def _check_counts(num_tokens, row):
    return common.check_equal(row["results"], num_tokens)


def _make_describe(num_tokens, weights_per_second):
    """The further column of a row: its rate as a share of what reading every weight once allows."""

    def describe(row):
        # Some contestants also count traces.
        counts = [each[0] if isinstance(each, tuple) else each for each in row["results"]]
        common.check_equal(counts, num_tokens)
        limit = weights_per_second / common.WIDTHS[row["precision"]]
        return {"to_memory_limit": num_tokens / row["seconds"] / limit}

    return describe


if __name__ == "__main__":
    main()
