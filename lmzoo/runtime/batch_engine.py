"""LiteRT's interpreter for token batches, whose shapes change from call to call."""

import threading

from .engine import check_threads, explain_open, explain_run, import_litert, quiet

__all__ = ["BatchEngine"]


class BatchEngine:
    """A model that answers batches of any size that its signatures take.

    The compiled model of LiteRT 2.3 keeps buffers of an earlier shape, and its interpreter is as
    fast on whole texts.

    Args, Raises: those of `Engine`.
    """

    def __init__(self, file, num_threads=None):
        num_threads = check_threads(num_threads)
        litert = import_litert("interpreter")
        self.file, self.signatures, self.num_threads = file, file.signatures, num_threads
        content = {"model_path": str(file.path)}
        if file.kind != "tflite":
            content = {"model_content": bytes(file.model)}
        with explain_open(file):
            self._interpreter = litert.Interpreter(**content, num_threads=num_threads)
            self._interpreter.allocate_tensors()
        self._runners, self._lock = {}, threading.Lock()

    def run(self, signature, inputs):
        """Runs a signature once.

        Args:
            signature: str.
            inputs: dict of str to array.
        Returns:
            dict of str to array.
        Raises:
            ValueError: if an array has a shape that the signature does not take, or LiteRT cannot
                run.
        """
        for name, spec in self.signatures[signature][0].items():
            shape = inputs[name].shape
            if len(shape) != len(spec.shape) or any(
                size not in (-1, given) for size, given in zip(spec.shape, shape, strict=True)
            ):
                raise ValueError(
                    f"`{name}` must be of shape {spec.shape}, with -1 for any size. Received: "
                    f"{shape}."
                )
        # The interpreter is not for two threads at once.
        with explain_run(signature), self._lock:
            if signature not in self._runners:
                # It tells of its delegate.
                with quiet():
                    self._runners[signature] = self._interpreter.get_signature_runner(signature)
            return self._runners[signature](**inputs)
