"""Runs exported models where nothing can be imported but TensorFlow itself.

Reads one command a line from standard input as JSON and answers each with one line. Strings travel
as hexadecimal bytes. With the argument `tensorflow_text` it loads the ops of SentencePiece out of
that package, whose Python would import Keras.
"""

import importlib.util
import json
import pathlib
import re
import resource
import sys
import threading

FORBIDDEN = ("keras", "tf_keras", "keras_hub", "tensorflow_text", "lmzoo")
FOLDERS = [importlib.util.find_spec(name).submodule_search_locations[0] for name in sys.argv[1:]]

for name in FORBIDDEN:
    # Importing it raises, and whoever looks whether it is installed finds that it is not.
    sys.modules[name] = None

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

for folder in FOLDERS:
    tf.load_op_library(f"{folder}/python/ops/_sentencepiece_tokenizer.so")

MODELS = {}


def open_model(folder):
    if folder not in MODELS:
        MODELS[folder] = tf.saved_model.load(folder)
    return MODELS[folder]


def decode(value):
    if value["dtype"] != "string":
        return tf.constant(value["values"], value["dtype"], value["shape"])
    values = np.array([bytes.fromhex(text) for text in value["values"]], object)
    return tf.constant(values.reshape(value["shape"]), tf.string)


def encode(tensor):
    values = tensor.numpy().reshape(-1).tolist()
    if tensor.dtype == tf.string:
        values = [value.hex() for value in values]
    return {"dtype": tensor.dtype.name, "shape": tensor.shape.as_list(), "values": values}


def call(folder, signature, inputs):
    run = open_model(folder).signatures[signature]
    outputs = run(**{name: decode(value) for name, value in inputs.items()})
    return {name: encode(tensor) for name, tensor in outputs.items()}


def describe(folder):
    def specs(structure):
        # An input that is one number or one a row has an open rank.
        return {
            name: [spec.dtype.name, spec.shape.as_list() if spec.shape.rank else None]
            for name, spec in structure.items()
        }

    return {
        name: [specs(run.structured_input_signature[1]), specs(run.structured_outputs)]
        for name, run in open_model(folder).signatures.items()
    }


def hammer(folder, cases, rounds):
    """One thread a case, all at once: how many answers were not the expected ones."""
    wrong, barrier = [], threading.Barrier(len(cases))

    def work(case):
        barrier.wait()
        for _ in range(rounds):
            got = call(folder, "generate", case["inputs"])["text"]["values"]
            if got != case["text"]:
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(wrong)


def grow(folder, inputs, warm, rounds):
    """By how many bytes the most memory ever used has grown in `rounds` calls."""
    before = 0
    for index in range(warm + rounds):
        if index == warm:
            before = read_peak_memory()
        call(folder, "generate", inputs[index % len(inputs)])
    return read_peak_memory() - before


def read_peak_memory():
    """Bytes. `ru_maxrss` begins on Linux with what the parent of this process had."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def imported():
    names = [name for name, module in sys.modules.items() if module is not None]
    return sorted(name for name in names if name.split(".")[0] in FORBIDDEN)


COMMANDS = {
    "call": call,
    "describe": describe,
    "grow": grow,
    "hammer": hammer,
    "imported": imported,
}

for line in sys.stdin:
    command, arguments = json.loads(line)
    try:
        answer = {"answer": COMMANDS[command](**arguments)}
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the answer
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)
