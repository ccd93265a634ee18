"""How fast lmzoo completes text, beside other libraries and the limit that memory sets.

Every contestant runs a model of GPT-2's size with random weights and takes the likeliest token,
always 64 of them. Each framework lives in a process of its own, has the same threads, and takes its
turn in every round; the first call of each (tracing, compiling) is not counted.

    python examples/benchmarks/generation.py --only lmzoo,kerashub --json generation.json
"""

from _harness import common
from _harness import generation as contestants
from _harness.workers import open_workers

FAMILIES = {
    "lmzoo": contestants.open_lmzoo,
    "kerashub": contestants.open_kerashub,
    "transformers": contestants.open_transformers,
    "ctranslate2": contestants.open_ctranslate2,
    "llama.cpp": contestants.open_llama_cpp,
}
# What others are held against: the faster of plain and compiled.
REFERENCE = ("kerashub", "float32")


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--prompt", type=int, default=32, metavar="N", help="tokens")
    parser.add_argument("--new", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--batches", default="1,8", metavar="N,N")
    arguments, data = common.start(parser, FAMILIES)
    size, threads = arguments.size, arguments.threads
    if arguments.smoke:
        arguments.prompt, arguments.new = 8, 8
        size = size._replace(max_sequence_length=64)
    prompt, new, rounds = arguments.prompt, arguments.new, arguments.repeats + 1
    bandwidth = common.measure_bandwidth(threads, 0.1 if arguments.smoke else 1.0)
    data["bandwidth"] = bandwidth
    print(f"memory: {bandwidth / 1e9:.1f} GB/s read by {threads} threads", flush=True)
    with open_workers(arguments.families, size, threads) as workers:
        for batch_size in map(int, arguments.batches.split(",")):
            data["rows"] += common.compare(
                workers,
                f"batch {batch_size}, prompt {prompt}, {new} new tokens",
                [(batch_size, prompt, new)] * rounds,
                REFERENCE,
                ("tokens", batch_size * new),
                _make_describe(batch_size * new, batch_size * bandwidth / size.num_weights),
                batch_size=batch_size,
            )
        lengths = (prompt, size.max_sequence_length - new)
        names = contestants.GENERATE
        own = {family: each for family, each in workers.items() if family == "lmzoo"}
        data["prompts"] = common.measure_token_cost(own, "prompts", lengths, new, rounds, names)
    common.finish(arguments, data)


def _make_describe(num_tokens, weights_per_second):
    """The further columns of a row.

    Args:
        num_tokens: int. How many tokens each call must give.
        weights_per_second: float. How many tokens a second would be if each read every weight from
            memory once and did nothing else, times the bytes of a weight.
    """

    def describe(row):
        counts, traces = zip(*row["results"], strict=True)
        common.check_equal(counts, num_tokens)
        limit = weights_per_second / common.WIDTHS[row["precision"]]
        return {
            "to_memory_limit": num_tokens / row["seconds"] / limit,
            # How often calls after the first traced the model; only lmzoo counts.
            "retraces": None if traces[0] is None else sum(traces[1:]),
        }

    return describe


if __name__ == "__main__":
    main()
