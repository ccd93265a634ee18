"""From traced signatures to a .tflite file, in a child process, which can be interrupted."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import tensorflow as tf

from lmzoo.export.litert import converter_process

__all__ = ["ConverterProcess", "convert", "make_error"]

# How often the time is printed, in seconds.
_INTERVAL = 0.5


def convert(signatures, variables, verbose=False):
    """Converts functions to one .tflite file, which shares their weights.

    TensorFlow's converter leaks memory and cannot be interrupted, so that it runs in a process of
    its own. The process imports TensorFlow while the functions are traced here.

    Args:
        signatures: dict of str to `Signature`.
        variables: list of Keras variables that the functions read.
        verbose: bool. Whether to print a line of progress.
    Returns:
        bytes.
    Raises:
        ValueError: if an op cannot be converted; it names the op and the layer.
    """
    with ConverterProcess() as process, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        progress = _Progress(verbose)
        progress.show(f"tracing {len(signatures)} signatures")
        module = tf.Module()
        # Keras variables would be converted to handles that nothing initializes.
        module.weights = [variable.value for variable in variables]
        traced = {name: signature.trace() for name, signature in signatures.items()}
        progress.show("writing the graph")
        tf.saved_model.save(module, str(folder / "saved_model"), signatures=traced)
        content = process.convert(
            folder / "saved_model", list(signatures), folder / "model.tflite", progress
        )
        progress.close()
        return content


class ConverterProcess:
    """A process that converts one SavedModel. It is killed where the block is left early."""

    def __enter__(self):
        script = converter_process.__file__
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        self._log = tempfile.TemporaryFile()
        # A session of its own, so that Ctrl-C reaches the parent alone, which then kills it. -P:
        # its folder holds modules that are not meant to be found by their bare names.
        self._process = subprocess.Popen(
            [sys.executable, "-P", script],
            stdin=subprocess.PIPE,
            # Unbuffered: closing the pipe to a process that died would write what is left again.
            bufsize=0,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *error):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._log.close()

    def convert(self, saved_model, signatures, out, progress=None):
        """Converts a SavedModel.

        Args:
            saved_model, out: pathlib.Path.
            signatures: list of str.
            progress: object with `show(words)`, or None.
        Returns:
            bytes.
        Raises:
            RuntimeError: if the process ended without a result, as for want of memory.
            ValueError: as `convert`.
        """
        request = {"saved_model": str(saved_model), "signatures": signatures, "out": str(out)}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            pass
        start = time.monotonic()
        while True:
            try:
                code = self._process.wait(_INTERVAL)
                break
            except subprocess.TimeoutExpired:
                if progress is not None:
                    progress.show(f"converting, {time.monotonic() - start:.0f} s")
        if code == 0:
            return out.read_bytes()
        failed = out.with_name(out.name + ".error")
        if failed.exists():
            raise make_error(failed.read_text(encoding="utf-8"))
        self._log.seek(0)
        words = self._log.read().decode("utf-8", "replace").strip()[-500:]
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise RuntimeError(
            f"The converter must end with a result. Received: {cause}. It may have run out of "
            f"memory. Its last words: {words!r}"
        )


def make_error(message):
    """The exception for what the converter said.

    Args:
        message: str. The text of its exception.
    Returns:
        ValueError that names op and layer where the message does.
    """
    places = re.findall(r'fused\["(\w+):", "([^"@]+)', message)
    ops = re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", message)
    ops = ops or re.findall(r"failed to legalize operation 'tf\.(\w+)'", message)
    if not ops:
        return ValueError(
            "Each op of a model must have a kernel in LiteRT. Received: a model of which the "
            f"converter says {message.strip()[:500]!r}."
        )
    found = []
    for op in dict.fromkeys(ops):
        layers = [place.rpartition("/")[0] or place for kind, place in places if kind == op]
        found.append(f"{op} in {layers[0]!r}" if layers else op)
    return ValueError(
        f"Each op of a model must have a kernel in LiteRT. Received: {', '.join(found)}."
    )


class _Progress:
    """One line of a terminal that is written anew; nothing where nobody looks."""

    def __init__(self, verbose):
        self._shows = verbose and sys.stderr.isatty()

    def show(self, words):
        if self._shows:
            sys.stderr.write(f"\r\x1b[KLiteRT: {words}")
            sys.stderr.flush()

    def close(self):
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
