"""How fast lmzoo completes text, beside other libraries and the limit that memory sets.

Every contestant runs a model of GPT-2's size with random weights and takes the likeliest token,
always 64 of them. Each framework lives in a process of its own, has the same threads, and takes its
turn in every round; the first call of each (tracing, compiling) is not counted.

    python examples/benchmarks/generation.py --only lmzoo,kerashub --json generation.json
"""

import _common as common
import _generation_contestants as contestants

FAMILIES = {
    "lmzoo": contestants.open_lmzoo,
    "kerashub": contestants.open_kerashub,
    "transformers": contestants.open_transformers,
    "ctranslate2": contestants.open_ctranslate2,
    "llama.cpp": contestants.open_llama_cpp,
}
# What others are held against: KerasHub in float32, the faster of plain and compiled.
REFERENCE = "kerashub"


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--prompt", type=int, default=32, metavar="N", help="tokens")
    parser.add_argument("--new", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--batches", default="1,8", metavar="N,N")
    arguments = common.parse(parser, FAMILIES)
    if arguments.smoke:
        arguments.prompt, arguments.new = 8, 8
        arguments.size = arguments.size._replace(max_sequence_length=64)
    size, threads = arguments.size, arguments.threads
    common.prepare_environment(threads)
    bandwidth = common.measure_bandwidth(threads, 0.1 if arguments.smoke else 1.0)
    limit = bandwidth / size.num_weights
    data = {
        "size": size._asdict(),
        "threads": threads,
        "bandwidth": bandwidth,
        "rows": [],
        "context": [],
    }
    print(f"Memory: {bandwidth / 1e9:.1f} GB/s read by {threads} threads")
    with common.open_workers(arguments.families, size, threads) as workers:
        for batch_size in map(int, arguments.batches.split(",")):
            rows = common.measure(
                workers, arguments.repeats, batch_size, arguments.prompt, arguments.new
            )
            data["rows"] += _make_rows(rows, batch_size, arguments.new, limit)
            _print_rows(data["rows"], batch_size, arguments)
        data["context"] = _measure_context(workers, arguments)
    common.write_json(arguments.json, data)


def _make_rows(rows, batch_size, new, limit):
    """The numbers of one batch size, each contestant with its ratios."""
    floats = [
        row["seconds"]
        for (family, _), row in rows.items()
        if family == REFERENCE and row["precision"] == "float32"
    ]
    made = []
    for (family, name), row in rows.items():
        counts, traces = zip(*row["results"], strict=True)
        if set(counts) != {batch_size * new}:
            raise RuntimeError(
                f"{family} {name} gave {set(counts)} tokens, not {batch_size * new}."
            )
        speed = batch_size * new / row["seconds"]
        ceiling = batch_size * limit / common.WIDTHS[row["precision"]]
        made.append(
            {
                "family": family,
                "name": name,
                "precision": row["precision"],
                "batch_size": batch_size,
                "tokens_per_second": speed,
                "to_reference": min(floats) / row["seconds"] if floats else None,
                "to_memory_limit": speed / ceiling,
                "first_seconds": row["first_seconds"],
                "all_seconds": row["all_seconds"],
                # How often calls after the first traced the model; only lmzoo counts.
                "retraces": None if traces[0] is None else sum(traces[1:]),
            }
        )
    return made


def _print_rows(rows, batch_size, arguments):
    common.print_table(
        f"batch {batch_size}, prompt {arguments.prompt}, {arguments.new} new tokens",
        [
            "contestant",
            "precision",
            "tokens/s",
            "x KerasHub",
            "x memory",
            "first s",
            "retraces",
        ],
        [
            (
                f"{row['family']} {row['name']}",
                row["precision"],
                row["tokens_per_second"],
                row["to_reference"],
                row["to_memory_limit"],
                row["first_seconds"],
                row["retraces"],
            )
            for row in rows
            if row["batch_size"] == batch_size
        ],
    )


def _measure_context(workers, arguments):
    """What a new token of `generate` costs in a short and a full context, its prompt taken off."""
    if "lmzoo" not in workers:
        return []
    own, names = {"lmzoo": workers["lmzoo"]}, contestants.GENERATE
    longest, new = arguments.size.max_sequence_length, arguments.new
    costs = {}
    for context in (arguments.prompt + new, longest):
        prompt = context - new
        many = common.measure(own, arguments.repeats, 1, prompt, new, names=names)
        one = common.measure(own, arguments.repeats, 1, prompt, 1, names=names)
        for key, row in many.items():
            cost = (row["seconds"] - one[key]["seconds"]) / (new - 1)
            costs.setdefault(key, {})[context] = cost
    made = [
        {
            "family": family,
            "name": name,
            "contexts": list(by_context),
            "seconds_per_token": list(by_context.values()),
            "ratio": by_context[longest] / by_context[arguments.prompt + new],
        }
        for (family, name), by_context in costs.items()
    ]
    common.print_table(
        "one new token, batch 1",
        ["contestant", "contexts", "ms", "ms", "ratio"],
        [
            (
                f"{row['family']} {row['name']}",
                " / ".join(map(str, row["contexts"])),
                *(1e3 * seconds for seconds in row["seconds_per_token"]),
                row["ratio"],
            )
            for row in made
        ],
    )
    return made


if __name__ == "__main__":
    main()
