"""One model name: the version that answers, the one that is being opened, and those that failed."""

import asyncio
import contextlib
import time

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.models.batcher import Batcher
from lmzoo.serving.models.worker_client import WorkerClient, WorkerFailedError

__all__ = ["ServedModel"]

# After a process has ended, the next one starts at once; then later and later.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0, 60.0
_QUIET_SECONDS = 120
_MOST_CRASHES = 3
_POLL_SECONDS = 0.05


class _Served:
    """A version that answers: its worker and its batcher."""

    def __init__(self, worker, batcher):
        self.worker = worker
        self.batcher = batcher
        self.num_users = 0


class ServedModel:
    """A model name and its versions.

    Args:
        name: str.
        options: ServeOptions.
        loading: asyncio.Lock. Models open one after the other, since each takes all processors.
        report: callable (event, **fields). For logs and metrics.
    """

    def __init__(self, name, options, loading, report):
        self.name = name
        self.options = options
        self.versions = []
        self.failed = {}
        self._loading = loading
        self._report = report
        self._current = None
        self._opening = None
        self._task = None
        self._retiring = set()
        self._pause, self._last_loss = _FIRST_PAUSE, 0.0
        self._num_crashes = 0

    @property
    def version(self):
        """Version or None. The one that answers."""
        return None if self._current is None else self._current.worker.version

    @property
    def info(self):
        """dict or None. What the worker of that version says of its model."""
        return None if self._current is None else self._current.worker.info

    @property
    def worker(self):
        """WorkerClient or None. The process of that version."""
        return None if self._current is None else self._current.worker

    @property
    def num_waiting(self):
        """int. Requests that wait for it."""
        return 0 if self._current is None else self._current.batcher.num_waiting

    def list_states(self):
        """list of (number, state, message), as TensorFlow Serving names states."""
        states = []
        for version in self.versions:
            if self.version is not None and version.number == self.version.number:
                states.append((version.number, "AVAILABLE", ""))
            elif self._opening == version:
                states.append((version.number, "LOADING", ""))
            elif version in self.failed:
                states.append((version.number, "END", self.failed[version]))
        return states

    def update(self, versions):
        """Takes the versions that are in the folder now, and begins to open the newest.

        Args:
            versions: list of Version, the highest number first; empty if the model is gone.
        """
        self.versions = versions
        self.failed = {one: why for one, why in self.failed.items() if one in versions}
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def _follow(self):
        """Opens the newest version that is not known to fail, until it is the one that answers."""
        while True:
            wanted = next((one for one in self.versions if one not in self.failed), None)
            if wanted is None:
                if not self.versions:
                    self._replace(None)
                return
            is_current = self._current is not None and self._current.worker.version == wanted
            if is_current and not self._current.worker.lost.is_set():
                return
            if not is_current and self._current is not None and wanted.number < self.version.number:
                # Back to an older one only if the one that answers was removed, and not if it was
                # written anew and is broken now: its process goes on.
                if any(one.number == self.version.number for one in self.versions):
                    return
            await self._open(wanted)

    async def _open(self, version):
        async with self._loading:
            self._opening = version
            started = time.monotonic()
            worker = WorkerClient(version, self.options)
            try:
                await worker.start()
            except WorkerFailedError as error:
                # A process that was killed says nothing about its model.
                self._num_crashes += 1
                if not error.is_crash or self._num_crashes >= _MOST_CRASHES:
                    self.failed[version] = str(error)
                    self._num_crashes = 0
                    self._report("version_failed", model=self.name, version=version.number)
                return
            finally:
                self._opening = None
        if version not in self.versions:
            # It was removed or written anew while it was opened.
            await worker.stop()
            return
        self._num_crashes = 0
        self._replace(_Served(worker, Batcher(worker, self.options, self._observe_batch)))
        seconds = round(time.monotonic() - started, 3)
        self._report("version_available", model=self.name, version=version.number, seconds=seconds)

    def _observe_batch(self, num_rows):
        self._report("batch", model=self.name, rows=num_rows)

    def _replace(self, new):
        old, self._current = self._current, new
        if new is not None:
            self._start(self._watch(new))
        if old is not None:
            self._start(self._retire(old))

    def _start(self, coroutine):
        task = asyncio.create_task(coroutine)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, served):
        """Stops a version once nobody waits for it."""
        while served.num_users and not served.worker.lost.is_set():
            await asyncio.sleep(_POLL_SECONDS)
        served.batcher.close()
        await served.worker.stop()

    async def _watch(self, served):
        """Starts another process for a version whose process has ended, and ends one that hangs."""
        while not served.worker.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await served.worker.lost.wait()
            since = served.batcher.busy_since
            limit = max(60.0, 2 * self.options.timeout_seconds)
            if since is not None and time.monotonic() - since > limit:
                served.worker.kill()
        if self._current is not served:
            return
        self._report("worker_lost", model=self.name, version=served.worker.version.number)
        self._current = None
        served.batcher.close()
        await served.worker.stop()
        now = time.monotonic()
        is_rare = now - self._last_loss > _QUIET_SECONDS
        pause = _FIRST_PAUSE if is_rare else self._pause
        self._last_loss = now
        self._pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE)
        await asyncio.sleep(pause)
        self.update(self.versions)

    @contextlib.asynccontextmanager
    async def use(self, number=None):
        """Keeps a version until the block ends: it is not stopped before.

        Args:
            number: int or None. The version that is asked for; None for the one that answers.
        Yields:
            (WorkerClient, Batcher).
        Raises:
            RefusalError: 404 if that version does not answer, 503 if none does.
        """
        served = await self._wait_for_current()
        if number is not None and number != served.worker.version.number:
            raise RefusalError(
                404,
                f"The version that answers is {served.worker.version.number}. Received: {number}.",
            )
        served.num_users += 1
        try:
            yield served.worker, served.batcher
        finally:
            served.num_users -= 1

    async def _wait_for_current(self):
        """The version that answers, once there is one: the request's own deadline ends it."""
        while True:
            if self._current is None and all(one in self.failed for one in self.versions):
                message = f"No version of {self.name!r} could be opened."
                raise RefusalError(503, message, retry_after=30)
            if self._current is not None and not self._current.worker.lost.is_set():
                return self._current
            # A process that was lost is on its way again.
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self):
        """Ends every process."""
        tasks = [self._task] if self._task is not None else []
        current, self._current = self._current, None
        for task in [*tasks, *self._retiring]:
            task.cancel()
        await asyncio.gather(*tasks, *self._retiring, return_exceptions=True)
        if current is not None:
            current.batcher.close()
            await current.worker.stop()
