"""What a new process takes to open a SavedModel and to answer, and how large its graph is.

A causal language model of GPT-2 small's size with random weights, and with a tokenizer of as many
byte pairs, is exported in float32 and in int8. Processes of their own, which have TensorFlow alone,
open each artefact and complete one prompt by the signature `generate`: with one new token and with
as many as `--new` says, twice. Two peaks of memory are known, on Linux only: that of importing
TensorFlow, and that of all. With `--kinds tiny` it is a GPT, a T5 and a BERT of a million weights.

    python examples/benchmarks/cold_start.py --json cold_start.json
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from _harness import common
from _harness.litert import train_tokenizer

PROMPT = "import os\n"
# In a process without lmzoo and Keras; the ops of SentencePiece are loaded where a model has them.
_CHILD = """
import json, re, sys, time
times = [time.perf_counter()]
import tensorflow as tf
times.append(time.perf_counter())

def read_peak():
    try:
        found = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
    except OSError:
        return None
    return int(found[1]) * 1024

folder, threads, prompt, new, library = sys.argv[1:]
tf.config.threading.set_intra_op_parallelism_threads(int(threads))
tf.config.threading.set_inter_op_parallelism_threads(int(threads))
if library:
    tf.load_op_library(library)
peaks = [read_peak()]
times = [0, times[1] - times[0]]

def measure(work):
    start = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - start)
    return result

def answer(new):
    values = {"text": tf.constant([prompt])}
    name = "serving_default"
    if "generate" in model.signatures:
        name = "generate"
        values |= {"max_new_tokens": tf.constant(new), "temperature": tf.constant(0.0)}
        values |= {"top_k": tf.constant(0), "top_p": tf.constant(1.0), "seed": tf.constant(0)}
    outputs = model.signatures[name](**values)
    return [value.numpy() for value in outputs.values()]

model = measure(lambda: tf.saved_model.load(folder))
measure(lambda: answer(1))
measure(lambda: answer(int(new)))
measure(lambda: answer(int(new)))
peaks.append(read_peak())
print(json.dumps({"seconds": times[1:], "peaks": peaks}))
"""


def main():
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--new", type=int, default=64, metavar="N", help="new tokens of an answer")
    parser.add_argument("--kinds", default="gpt", choices=("gpt", "tiny"), help="which models")
    parser.set_defaults(repeats=3)
    arguments, data = common.start(parser, {"lmzoo": None})
    with tempfile.TemporaryDirectory() as name:
        export = export_gpt if arguments.kinds == "gpt" else export_tiny
        folders = export(pathlib.Path(name), arguments.size)
        data["rows"] = _measure(folders, arguments)
        data["functions"] = {name: list_functions(folder) for name, folder in folders.items()}
    for name, functions in data["functions"].items():
        table = common.Table(f"the largest functions in the graph of {name}", ["", "nodes", "kB"])
        for function in functions[:8]:
            table.add(function["name"][:34], function["nodes"], function["bytes"] / 1e3)
    common.finish(arguments, data)


def _measure(folders, arguments):
    """A row for each artefact."""
    columns = ["artefact", "import s", "load s", "first token s", "answer s", "again s"]
    columns += ["import MB", "peak MB", "weights MB", "graph MB"]
    table, rows = common.Table("SavedModels in a new process", columns), []
    for name, folder in folders.items():
        runs = [start(folder, arguments) for _ in range(arguments.repeats)]
        seconds = [
            statistics.median(column)
            for column in zip(*(run["seconds"] for run in runs), strict=True)
        ]
        peaks = runs[0]["peaks"]
        weights = sum(path.stat().st_size for path in (folder / "variables").iterdir())
        graph = (folder / "saved_model.pb").stat().st_size
        keys = ("import", "load", "first_token", "answer", "again")
        row = {f"{key}_seconds": value for key, value in zip(keys, seconds, strict=True)}
        row |= {"import_bytes": peaks[0], "peak_bytes": peaks[1]}
        row |= {"weight_bytes": weights, "graph_bytes": graph}
        megabytes = [value and value / 1e6 for value in (*peaks, weights, graph)]
        table.add(name, *seconds, *megabytes)
        rows.append({"family": "lmzoo", "name": name, **row, "problem": None})
    return rows


def start(folder, arguments):
    """What a process says that opens an artefact: dict of `seconds` and `peaks`."""
    library = ""
    if b"SentencepieceOp" in (folder / "saved_model.pb").read_bytes():
        import importlib.util

        package = importlib.util.find_spec("tensorflow_text").submodule_search_locations[0]
        library = f"{package}/python/ops/_sentencepiece_tokenizer.so"
    done = subprocess.run(
        [
            *(sys.executable, "-c", _CHILD, str(folder), str(arguments.threads)),
            *(PROMPT, str(arguments.new), library),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def export_gpt(folder, size):
    """A GPT in float32 and in int8: dict of name to folder."""
    import lmzoo

    tokenizer = train_tokenizer(size.vocabulary_size)
    backbone = lmzoo.models.GPTBackbone(
        **size.arguments, max_sequence_length=size.max_sequence_length
    )
    task = lmzoo.tasks.CausalLM(backbone, tokenizer)
    folders = {name: folder / name for name in ("float32", "int8")}
    for name, path in folders.items():
        task.export(path, quantization=None if name == "float32" else name)
    return folders


def export_tiny(folder, size):
    """A GPT, a T5 and a BERT of about a million weights: dict of name to folder."""
    from lmzoo import models, tasks, tokenizers

    text = pathlib.Path(common.__file__).read_text(encoding="utf-8")
    options = {"num_heads": 4, "hidden_dim": 128, "intermediate_dim": 512}
    kinds = {
        "gpt": (tokenizers.BytePairTokenizer, models.GPTBackbone, tasks.CausalLM, 4),
        "t5": (tokenizers.SentencePieceTokenizer, models.T5Backbone, tasks.Seq2SeqLM, 2),
        "bert": (tokenizers.WordPieceTokenizer, models.BertBackbone, tasks.TextClassifier, 4),
    }
    folders = {}
    for name, (tokenizer_class, backbone_class, task_class, num_layers) in kinds.items():
        tokenizer = tokenizer_class.train(iter([text]), vocabulary_size=600)
        backbone = backbone_class(tokenizer.vocabulary_size, num_layers, **options)
        task = task_class(backbone, tokenizer, **({"num_classes": 2} if name == "bert" else {}))
        folders[name] = folder / name
        task.export(folders[name])
    return folders


def list_functions(folder):
    """The functions in the graph of a SavedModel, the largest first: name, nodes and bytes."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    found = [(function.signature.name, function) for function in graph.library.function]
    rows = [
        {"name": name, "nodes": len(each.node_def), "bytes": each.ByteSize()}
        for name, each in found
    ]
    main = {"name": "(main graph)", "nodes": len(graph.node)}
    rows.append(main | {"bytes": sum(node.ByteSize() for node in graph.node)})
    return sorted(rows, key=lambda row: -row["bytes"])


if __name__ == "__main__":
    main()
