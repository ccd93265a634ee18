"""The server's side of a worker: starts the process, asks it, and notices its end."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys

from lmzoo.serving.errors import RefusalError, WorkerLostError
from lmzoo.serving.frames import encode_frame, read_frame_async

__all__ = ["Generation", "WorkerClient", "WorkerFailedError"]

_STOP_SECONDS = 5


class WorkerFailedError(Exception):
    """A worker that could not open its model, or whose model failed its self-test.

    Args:
        message: str.
        is_crash: bool. Whether its process ended without a word.
    """

    def __init__(self, message, is_crash=False):
        super().__init__(message)
        self.is_crash = is_crash


class WorkerClient:
    """A process that has one version of a model open.

    Args:
        version: Version.
        options: ServeOptions.
    Attributes:
        info: dict. What the worker says of its model, once `start` has returned: `signatures`,
            `kind`, `has_slots`, `task`, `context`.
        lost: asyncio.Event. Set when the process has ended.
        num_generating: int. Texts that are being generated or wait for it.
    """

    def __init__(self, version, options):
        self.version = version
        self.options = options
        self.info = None
        self.lost = asyncio.Event()
        self.process = None
        self.num_generating = 0
        self._ids = itertools.count(1)
        self._waiting = {}
        self._reader_task = None
        self._writer = None

    async def start(self, timeout_seconds=600):
        """Starts the process and waits until its model is open and has passed its self-test.

        Raises:
            WorkerFailedError: if it did not.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
            # The token is none of a model's business.
            environment.pop("LMZOO_SERVE_TOKEN", None)
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lmzoo.serving.worker", str(theirs.fileno())),
                *(self.version.kind, str(self.version.folder), str(self.options.num_slots)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                # Ctrl-C in a terminal is for the server, which ends its workers in order.
                start_new_session=True,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(timeout_seconds):
                first = await read_frame_async(reader)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self.process.wait()
            raise WorkerFailedError(
                f"The process ended with code {code}.", is_crash=True
            ) from error
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise WorkerFailedError("The model was not open in time.") from error
            raise
        if "failed" in first:
            await self.stop()
            raise WorkerFailedError(first["failed"])
        self.info = first
        self._reader_task = asyncio.create_task(self._read(reader))

    async def _read(self, reader):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await read_frame_async(reader)
                take = self._waiting.get(message["id"])
                if take is not None:
                    take(message)
        self.lost.set()
        for identity, take in list(self._waiting.items()):
            take({"id": identity, "lost": True})
        await self.process.wait()

    def send(self, message):
        """Sends a message.

        Raises:
            WorkerLostError: if the process has ended.
        """
        if self.lost.is_set():
            raise WorkerLostError
        self._writer.write(encode_frame(message))

    async def run(self, signature, inputs):
        """Runs a signature on nested lists.

        Returns:
            dict of nested lists.
        Raises:
            RefusalError: if the model refuses the inputs.
            WorkerLostError: if the process ends meanwhile.
        """
        identity, answer = next(self._ids), asyncio.get_running_loop().create_future()
        self._waiting[identity] = lambda message: answer.done() or answer.set_result(message)
        try:
            self.send({"id": identity, "op": "run", "signature": signature, "inputs": inputs})
            message = await answer
        finally:
            del self._waiting[identity]
        return _check_answer(message)["outputs"]

    def generate(self, request):
        """Begins to generate a text in a slot.

        Args:
            request: dict of `prompt` or `messages`, `options`, `stop`.
        Returns:
            Generation.
        Raises:
            RefusalError: 429 if too many wait, or as `send`.
        """
        if self.num_generating >= self.options.num_slots + self.options.max_queue:
            raise RefusalError(429, "Too many requests wait for this model.", retry_after=1)
        identity, events = next(self._ids), asyncio.Queue()
        self._waiting[identity] = events.put_nowait
        self.send({"id": identity, "op": "generate", **request})
        self.num_generating += 1
        return Generation(self, identity, events)

    def forget(self, identity, is_finished):
        """Ends a generation; one that is not finished leaves its slot."""
        if self._waiting.pop(identity, None) is None:
            return
        self.num_generating -= 1
        if not is_finished and not self.lost.is_set():
            self.send({"id": identity, "op": "cancel"})

    async def stop(self):
        """Ends the process: asked first, then killed."""
        if self._writer is not None:
            self._writer.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        if self._reader_task is not None:
            await self._reader_task

    def kill(self):
        """Kills the process."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class Generation:
    """The text of one request as it comes: an async iterator of dicts.

    Each has `text` str, what is new; the last one also `reason`, "stop" or "length", and the
    numbers `prompt_tokens` and `new_tokens`.
    """

    def __init__(self, worker, identity, events):
        self._worker = worker
        self._identity = identity
        self._events = events

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self._worker.forget(self._identity, is_finished=False)

    async def __aiter__(self):
        while True:
            message = _check_answer(await self._events.get())
            is_last = "reason" in message
            if is_last:
                self._worker.forget(self._identity, is_finished=True)
            yield message
            if is_last:
                return


def _check_answer(message):
    if "lost" in message:
        raise WorkerLostError
    if "error" in message:
        raise RefusalError(message["status"], message["error"])
    return message
