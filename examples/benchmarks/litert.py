"""How fast exported files decode on a plain CPU, beside other libraries.

Every contestant runs a model of GPT-2's size with random weights and takes the likeliest token,
always 64 of them. lmzoo's files are run by `lmzoo.runtime`, without TensorFlow. Each framework
lives in a process of its own, has the same threads, and takes its turn in every round; the first
call of each is not counted. LiteRT-LM runs lmzoo's own file in the benchmark that it brings.

    python examples/benchmarks/litert.py --only lmzoo,ctranslate2 --files /tmp/files
"""

import functools
import pathlib
import statistics
import subprocess
import sys
import tempfile

import _common as common
import _generation_contestants as contestants
from _workers import Contestant, open_workers

REFERENCE = ("ctranslate2", "int8")
QUANTIZATIONS = {"float32": None, "int8": "int8", "int4": "int4"}
# Makes the files in a process of its own, so that the one that runs them has no TensorFlow.
_EXPORT = """
import pathlib, sys
import lmzoo

folder, context, quantizations, *size = sys.argv[1:]
names = ("num_layers", "num_heads", "hidden_dim", "vocabulary_size", "max_sequence_length")
size = dict(zip(names, map(int, size)))
backbone = lmzoo.models.GPTBackbone(**size)
text = pathlib.Path(lmzoo.__file__).read_text()
tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([text]), vocabulary_size=300)
ids = lmzoo.tasks.CausalLM(backbone)
text = lmzoo.tasks.CausalLM(backbone, tokenizer)
for task, suffix in ((ids, "tflite"), (text, "litertlm")):
    for name in quantizations.split(","):
        path = pathlib.Path(folder, f"{name}.{suffix}")
        if path.exists() or (suffix == "litertlm" and name == "float32"):
            continue
        task.export(
            path, quantization=None if name == "float32" else name, prefill_lengths=[32],
            max_sequence_length=int(context), verbose=False,
        )
"""


def main():
    families = {
        "lmzoo": open_lmzoo,
        "litert-lm": open_litert_lm,
        "ctranslate2": contestants.open_ctranslate2,
        "llama.cpp": contestants.open_llama_cpp,
    }
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--prompt", type=int, default=32, metavar="N", help="tokens")
    parser.add_argument("--new", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--context", type=int, default=96, metavar="N", help="slots of the cache")
    parser.add_argument("--files", metavar="FOLDER", help="where files are kept and looked for")
    arguments, data = common.start(parser, families)
    size = arguments.size
    if arguments.smoke:
        arguments.prompt, arguments.new = 8, 8
        size = size._replace(max_sequence_length=64)
    prompt, new, rounds = arguments.prompt, arguments.new, arguments.repeats + 1
    bandwidth = common.measure_bandwidth(arguments.threads, 0.1 if arguments.smoke else 1.0)
    data["bandwidth"] = bandwidth
    print(f"memory: {bandwidth / 1e9:.1f} GB/s read by {arguments.threads} threads", flush=True)
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(arguments.files or made)
        folder.mkdir(parents=True, exist_ok=True)
        if {"lmzoo", "litert-lm"} & arguments.families.keys():
            export_files(folder, size, max(arguments.context, prompt + new))
            data["bytes"] = {path.name: path.stat().st_size for path in folder.glob("*.*")}
        families = dict(arguments.families)
        own = families.pop("litert-lm", None)
        if "lmzoo" in families:
            families["lmzoo"] = functools.partial(open_lmzoo, str(folder))
        with open_workers(families, size, arguments.threads) as workers:
            data["rows"] += common.compare(
                workers,
                f"batch 1, prompt {prompt}, {new} new tokens",
                [(1, prompt, new)] * rounds,
                REFERENCE,
                ("tokens", new),
                _make_describe(new, bandwidth / size.num_weights),
            )
        if own is not None:
            data["litert_lm"] = own(folder, arguments.threads, prompt, new, arguments.repeats)
    common.finish(arguments, data)


def _make_describe(num_tokens, weights_per_second):
    """The further column of a row: its rate as a share of what reading every weight once allows."""

    def describe(row):
        counts, _ = zip(*row["results"], strict=True)
        common.check_equal(counts, num_tokens)
        limit = weights_per_second / common.WIDTHS[row["precision"]]
        return {"to_memory_limit": num_tokens / row["seconds"] / limit}

    return describe


def export_files(folder, size, context):
    """Writes a .tflite of each precision and a .litertlm of the quantized ones, where missing."""
    arguments = [folder, context, ",".join(QUANTIZATIONS), *size]
    subprocess.run([sys.executable, "-c", _EXPORT, *map(str, arguments)], check=True)


def open_lmzoo(folder, size, threads):
    """lmzoo's files in `lmzoo.runtime`."""
    from lmzoo import runtime

    def make(precision):
        model = runtime.load(pathlib.Path(folder, f"{precision}.tflite"), num_threads=threads)

        def run(batch_size, prompt, new):
            rows = contestants.make_prompts(size, batch_size, prompt).tolist()
            made = model.generate(rows, max_new_tokens=new, return_prompt=False)
            return sum(map(len, made)), None

        return Contestant(precision, run)

    return {name: make(name) for name in QUANTIZATIONS}


def open_litert_lm(folder, threads, prompt, new, repeats):
    """Prints and returns the decode tokens/s of LiteRT-LM's own benchmark on lmzoo's files."""
    try:
        import litert_lm
    except ImportError as error:
        print(f"litert-lm: not installed ({error})")
        return {}
    rates = {}
    for path in sorted(folder.glob("*.litertlm")):
        runs = [
            litert_lm.Benchmark(
                str(path),
                litert_lm.Backend.CPU(thread_count=threads),
                prefill_tokens=prompt,
                decode_tokens=new,
            ).run()
            for _ in range(repeats)
        ]
        rates[path.name] = statistics.median(run.last_decode_tokens_per_second for run in runs)
        print(f"litert-lm {path.name}: {rates[path.name]:.1f} tokens/s of decoding")
    return rates


if __name__ == "__main__":
    main()
