"""A process that runs artefacts, and how to talk with it."""

import contextlib
import json
import pathlib
import subprocess
import sys

import numpy as np


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
        rows = value if value and isinstance(value[0], list) else [value]
        values = [text.encode() if isinstance(text, str) else text for row in rows for text in row]
        shape = [len(values)] if rows[0] is value else [len(rows), len(rows[0])]
        return {"dtype": "string", "shape": shape, "values": [v.hex() for v in values]}
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
