"""LiteRT's compiled model behind a small face: named buffers of fixed shapes, and runs on them."""

import contextlib
import functools
import importlib
import os
import re
import sys
import tempfile
import threading

import numpy as np

__all__ = [
    *("Engine", "Session", "check_threads"),
    *("explain_open", "explain_run", "import_litert"),
]

# What XNNPACK calls a cache of packed weights that is no file. With it all signatures of a model
# share their packed weights: a GPT of 20 million float32 parameters with four signatures takes 233
# MB instead of 477, and loads in 0.2 s instead of 0.5.
_SHARED_WEIGHTS = ":memory"
# LiteRT tells on the standard error stream what it tries. Nobody can switch that off.
_CHATTER = re.compile(r"(INFO|WARNING|VERBOSE|ERROR): .*|└ .*|\s*$")
_LOADING = threading.Lock()


class Engine:
    """A model that is ready to run.

    Args:
        file: ModelFile.
        num_threads: int or None. None for all processors that this process may use.
    Raises:
        ImportError: if ai-edge-litert is not installed.
        TypeError, ValueError: if `num_threads` is not a positive int, or LiteRT cannot run the
            model.
    """

    def __init__(self, file, num_threads=None):
        num_threads = check_threads(num_threads)
        litert = import_litert("compiled_model")
        options = litert.Options(
            cpu_options=litert.CpuOptions(
                num_threads=num_threads, xnnpack_weight_cache_path=_SHARED_WEIGHTS
            )
        )
        self.file, self.signatures, self.num_threads = file, file.signatures, num_threads
        self._lock = threading.Lock()
        with explain_open(file):
            content = {"options": options, "environment": _make_environment()}
            if file.kind == "tflite":
                _verify(model_path=str(file.path))
                self._model = litert.CompiledModel.from_file(str(file.path), **content)
            else:
                data = bytes(file.model)
                _verify(model_content=data)
                self._model = litert.CompiledModel.from_buffer(data, **content)
        self._numbers = {name: self._model.get_signature_index(name) for name in self.signatures}

    def open_session(self, signature, shared=None):
        """Buffers of a signature, some of which belong to another session too.

        Args:
            signature: str. One without open sizes.
            shared: dict of str to buffer, or None. Each is both the input and the output of its
                name: what a run writes is what the next one reads, and nothing is copied.
        Returns:
            Session.
        """
        with self._lock, _preparing(signature):
            return Session(self._model, signature, self._numbers[signature], shared or {})

    def make_buffers(self, signature, names):
        """Buffers of zeros for some inputs: dict of str to buffer."""
        specs, buffers = self.signatures[signature][0], {}
        with self._lock, _preparing(signature):
            for name in names:
                buffer = self._model.create_input_buffer_by_name(signature, name)
                # What is not written may be NaN, and NaN times a weight of 0 is NaN.
                buffer.write(np.zeros(specs[name].shape, specs[name].dtype))
                buffers[name] = buffer
        return buffers

    @contextlib.contextmanager
    def running(self):
        """Held while a session runs: LiteRT's models are not for two threads at once."""
        with self._lock:
            yield


# LiteRT has no class of its own for what it raises. These three make it a ValueError.


@contextlib.contextmanager
def explain_open(file):
    """While a model is opened; what LiteRT tells is left out."""
    with quiet() as told:
        try:
            yield
        except Exception as error:
            raise ValueError(
                "`path` must be a model that LiteRT runs here. Received: "
                f"{str(file.path)!r:.200}, and LiteRT says: {error}. {told()}"
            ) from error


@contextlib.contextmanager
def explain_run(signature):
    """While a signature runs."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            "A run must have inputs that the model takes, such as ids of its vocabulary. "
            f"Received: LiteRT's error in {signature!r}: {error}"
        ) from error


@contextlib.contextmanager
def _preparing(signature):
    """While the buffers of a signature are made."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            "A model must have signatures that LiteRT can prepare. Received: "
            f"{signature!r}, and LiteRT says: {error}"
        ) from error


class Session:
    """The buffers of one signature, and the runs on them.

    Args:
        model: CompiledModel.
        signature: str.
        number: int. The signature's index.
        shared: dict of str to buffer.
    """

    def __init__(self, model, signature, number, shared):
        self._model, self._signature, self._number = model, signature, number
        # In the order in which LiteRT lists them, which a run by index needs.
        names = model.get_signature_list()[signature]
        self._inputs = {
            name: shared[name]
            if name in shared
            else model.create_input_buffer_by_name(signature, name)
            for name in names["inputs"]
        }
        self._outputs = {
            name: shared[name]
            if name in shared
            else model.create_output_buffer_by_name(signature, name)
            for name in names["outputs"]
        }
        self._dtypes = _read_details(model.get_input_tensor_details(signature))
        self._results = _read_details(model.get_output_tensor_details(signature))

    def write(self, name, value):
        """Fills an input with an array of its shape."""
        self._inputs[name].write(np.ascontiguousarray(value, self._dtypes[name][1]))

    def run(self):
        """Runs the signature.

        Raises:
            ValueError: if LiteRT cannot.
        """
        buffers = list(self._inputs.values()), list(self._outputs.values())
        with explain_run(self._signature):
            self._model.run_by_index(self._number, *buffers)

    def read(self, name):
        """An output as an array of its own."""
        shape, dtype = self._results[name]
        return self._outputs[name].read(int(np.prod(shape)), dtype).reshape(shape)


def _verify(**content):
    """Refuses a damaged model: the compiled model does not look, and ends the process by a fault.

    The interpreter compares the whole structure with the file's size, in two milliseconds.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    Interpreter(**content, num_threads=1, experimental_op_resolver_type=plain)


@functools.cache
def _make_environment():
    """LiteRT's environment of this process. Whatever it tells, it tells here."""
    import ai_edge_litert
    from ai_edge_litert.environment import Environment, EnvironmentOptions
    from ai_edge_litert.tensor_buffer import TensorBuffer

    # The first buffer that is written makes another environment.
    TensorBuffer.create_from_host_memory(np.zeros(64, np.float32)).write(np.zeros(64, np.float32))
    path = os.path.dirname(os.path.abspath(ai_edge_litert.__file__))
    return Environment.create(options=EnvironmentOptions(runtime_path=path))


def import_litert(module):
    """A module of the package ai_edge_litert; ImportError with what to install without it."""
    try:
        return importlib.import_module(f"ai_edge_litert.{module}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"Running a model needs ai-edge-litert. Received: no package {error.name}. Install it, "
            "`pip install ai-edge-litert`."
        ) from error


def _read_details(details):
    """(shape, dtype) of each tensor."""
    return {name: (tuple(each["shape"]), np.dtype(each["dtype"])) for name, each in details.items()}


def check_threads(num_threads):
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if isinstance(num_threads, bool) or not isinstance(num_threads, int):
        raise TypeError(f"`num_threads` must be an int. Received: num_threads={num_threads!r:.60}.")
    if not 0 < num_threads <= 1024:
        raise ValueError(
            f"`num_threads` must be from 1 to 1024. Received: num_threads={num_threads}."
        )
    return num_threads


@contextlib.contextmanager
def quiet():
    """Keeps what LiteRT tells off the standard error stream; what others write goes there later.

    Yields:
        callable () -> str: the errors that LiteRT has told so far.
    """
    with _LOADING, tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)

        def read():
            file.seek(0)
            return file.read().decode("utf-8", "replace").splitlines()

        try:
            os.dup2(file.fileno(), 2)
            yield lambda: " ".join(line for line in read() if line.startswith("ERROR"))[:500]
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            for line in read():
                if not _CHATTER.fullmatch(line):
                    os.write(2, f"{line}\n".encode())
