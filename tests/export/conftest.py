import contextlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import lmzoo

CONTEXT = 32


class Server:
    """A process that has TensorFlow, and ops of the named packages: no Keras and no lmzoo."""

    def __init__(self, log, *packages):
        runner = pathlib.Path(__file__).with_name("run_artefact.py")
        self.process = subprocess.Popen(
            [sys.executable, "-I", runner, *packages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(self, command, **arguments):
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the serving process has died"
        answer = json.loads(line)
        if "error" in answer:
            raise ServingError(f"{answer['error']}: {answer['message']}")
        return answer["answer"]

    def call(self, folder, signature, **inputs):
        inputs = {name: encode(value) for name, value in inputs.items()}
        outputs = self.ask("call", folder=str(folder), signature=signature, inputs=inputs)
        return {name: decode(value) for name, value in outputs.items()}


class ServingError(Exception):
    """What the serving process answers to a request that it refuses."""


def encode(value):
    """A NumPy array, or strings as str or bytes, for the wire."""
    if not isinstance(value, np.ndarray | np.generic):
        values = [text.encode() if isinstance(text, str) else text for text in value]
        return {"dtype": "string", "shape": [len(values)], "values": [v.hex() for v in values]}
    return {
        "dtype": value.dtype.name,
        "shape": list(value.shape),
        "values": value.reshape(-1).tolist(),
    }


def decode(value):
    if value["dtype"] == "string":
        return [bytes.fromhex(text) for text in value["values"]]
    return np.array(value["values"], value["dtype"]).reshape(value["shape"])


@contextlib.contextmanager
def serve(folder, *packages):
    with open(folder / "log", "w") as log:
        server = Server(log, *packages)
        yield server
        server.process.stdin.close()
        server.process.stdout.close()
        server.process.wait(timeout=60)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def text_server(tmp_path_factory):
    """The same with the ops of tensorflow-text."""
    with serve(tmp_path_factory.mktemp("text_server"), "tensorflow_text") as server:
        yield server


TEXT = "a cat sat on the mat and that hat, then the rat ate the cat's other hat on the mat. "


@pytest.fixture(scope="session")
def tokenizer():
    return lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)


def make_task(tokenizer, seed=0):
    backbone = lmzoo.models.GPTBackbone(
        285, num_layers=2, num_heads=2, hidden_dim=16, max_sequence_length=CONTEXT
    )
    generator = np.random.default_rng(seed)
    for variable in backbone.weights:
        variable.assign(generator.normal(size=variable.shape) * 0.4)
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


@pytest.fixture(scope="session")
def lm(tokenizer):
    """A model of random weights: it writes nonsense, but no two prompts get the same."""
    return make_task(tokenizer)


@pytest.fixture(scope="session")
def other_lm(tokenizer):
    return make_task(tokenizer, seed=1)


@pytest.fixture(scope="session")
def export(tmp_path_factory, lm):
    """Exports the model with some options, each set of them once."""
    folders = {}

    def export(task=lm, **options):
        key = (id(task), repr(sorted(options.items())))
        if key not in folders:
            folder = tmp_path_factory.mktemp("artefact") / "1"
            task.export(folder, **{"max_new_tokens": 8, **options})
            folders[key] = folder
        return folders[key]

    return export
