"""What an exported file is: its size, its ops, its speed, and its quality."""

import importlib.util
import json
import pathlib
import time

import numpy as np

from lmzoo.export.litert.flatbuffer import list_ops, open_model
from lmzoo.export.litert.quality import FileRunner, measure_quality
from lmzoo.json_files import write_json

__all__ = ["make_report", "print_report", "write_report"]

_RUNS = 5
# Of a signature whose sizes are open.
_LENGTH = 32


def make_report(task, path, content, num_bytes, manifest, evaluation_data):
    """Describes a file.

    Args:
        task: the task it was made of.
        path: pathlib.Path of the file.
        content: bytes of the .tflite in it.
        num_bytes: int. The size of the file.
        manifest: Manifest.
        evaluation_data: as for `measure_quality`, or None.
    Returns:
        dict: `path`, `task`, `quantization`, `bytes`, `parameters`, `bytes_per_parameter`,
        `signatures` (list), `ops` (dict of name to number), `speed` (dict, or None without
        ai-edge-litert), `quality` (dict, or None without data).
    """
    model = open_model(content)
    names = [definition.signatureKey.decode() for definition in model.signatureDefs]
    has_runtime = importlib.util.find_spec("ai_edge_litert") is not None
    quality = None
    if evaluation_data is not None:
        quality = measure_quality(task, content, evaluation_data)
    return {
        "path": str(path),
        "task": manifest.task,
        "quantization": manifest.quantization,
        "bytes": num_bytes,
        "parameters": manifest.parameters,
        "bytes_per_parameter": round(num_bytes / manifest.parameters, 4),
        "signatures": sorted(names),
        "ops": list_ops(model),
        "speed": _measure_speed(content) if has_runtime else None,
        "quality": quality,
    }


def _measure_speed(content):
    """How long the signature that runs most often takes, in milliseconds, as a median."""
    runner = FileRunner(content)
    name = "decode" if "decode" in runner.names else "tokens"
    inputs = runner.make_inputs(name, _LENGTH)
    run, seconds = runner.open(name), []
    for _ in range(_RUNS + 1):
        start = time.perf_counter()
        run(**inputs)
        seconds.append(time.perf_counter() - start)
    # The first run prepares the kernels.
    milliseconds = round(float(np.median(seconds[1:])) * 1000, 3)
    shape = inputs["tokens" if name == "decode" else "token_ids"].shape
    return {"signature": name, "shape": list(shape), "milliseconds": milliseconds}


def write_report(report):
    """Writes a report as JSON beside its file; returns the pathlib.Path."""
    path = pathlib.Path(report["path"])
    path = path.with_name(path.name + ".json")
    write_json(path, {**report, "path": pathlib.Path(report["path"]).name})
    return path


def print_report(report, verbose=True):
    """Prints a report in a few lines."""
    kind = report["quantization"] or "float32"
    lines = [
        f"{report['path']}: {report['task']} in {kind}, {report['bytes']:,} bytes, "
        f"{report['bytes_per_parameter']} for each of {report['parameters']:,} parameters",
        f"signatures: {', '.join(report['signatures'])}",
        f"ops: {', '.join(f'{name} {count}' for name, count in report['ops'].items())}",
    ]
    if report["speed"] is not None:
        speed = report["speed"]
        lines.append(f"speed: {speed['signature']} takes {speed['milliseconds']} ms")
    if report["quality"] is not None:
        lines.append(f"quality: {json.dumps(report['quality'])}")
    if verbose:
        print("\n".join(lines))
