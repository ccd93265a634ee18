"""Dynamic batching: requests that wait while a model is busy are read by it together."""

import asyncio
import time
from typing import Any, NamedTuple

from lmzoo.serving.errors import RefusalError, WorkerLostError

__all__ = ["Batcher"]

# One batch is computed while the next one is on its way and the last one is answered.
_IN_FLIGHT = 2

# oneDNN keeps what it prepared for each shape that it has met, for ever: few sizes need little.
_ROWS = 4


class _Item(NamedTuple):
    """A request that waits.

    signature: str. inputs: dict of lists, one entry a row. num_rows: int. can_join: bool, whether
    it may be read together with others. answer: asyncio.Future.
    """

    signature: str
    inputs: Any
    num_rows: int
    can_join: bool
    answer: Any


class Batcher:
    """Hands a worker one batch after the other; what waits meanwhile becomes the next batch.

    No request waits for others to come: a free worker is given what is there. A batch that the
    model refuses is run again request by request, so that only the one at fault is refused.

    Args:
        worker: WorkerClient.
        options: ServeOptions.
        observe: callable of the rows of a batch.
    """

    def __init__(self, worker, options, observe=lambda num_rows: None):
        self.worker = worker
        self.options = options
        self.observe = observe
        self._queue = []
        self._running = {}
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def busy_since(self):
        """float or None. When the oldest batch that is not answered was sent."""
        return min((start for start, _ in self._running.values()), default=None)

    @property
    def num_waiting(self):
        """int. Requests that no batch has taken yet."""
        return len(self._queue)

    async def submit(self, signature, inputs, num_rows, can_join=True):
        """Runs a request, with others where there are some.

        Args:
            signature: str.
            inputs: dict of lists; if `can_join`, each with one entry for each of `num_rows`.
            num_rows: int.
            can_join: bool.
        Returns:
            dict of lists.
        Raises:
            RefusalError: 429 if the queue is full; or what the model says.
        """
        if len(self._queue) >= self.options.max_queue:
            raise RefusalError(429, "Too many requests wait for this model.", retry_after=1)
        answer = asyncio.get_running_loop().create_future()
        item = _Item(signature, inputs, num_rows, can_join, answer)
        self._queue.append(item)
        self._wake.set()
        try:
            return await answer
        finally:
            # A client that has left takes its request with it.
            if item in self._queue:
                self._queue.remove(item)

    async def _run(self):
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and len(self._running) < _IN_FLIGHT:
                items = self._take()
                task = asyncio.create_task(self._serve(items))
                self._running[task] = (time.monotonic(), items)
                task.add_done_callback(self._finish)

    def _finish(self, task):
        _, items = self._running.pop(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            _refuse(items, RefusalError(500, "The server failed."))

    def _take(self):
        """The first request that waits, and those that go with it."""
        first = self._queue[0]
        taken, num_rows, left = [first], first.num_rows, []
        for item in self._queue[1:]:
            goes = first.can_join and item.can_join and item.signature == first.signature
            if goes and num_rows + item.num_rows <= self.options.max_batch_size:
                taken.append(item)
                num_rows += item.num_rows
            else:
                left.append(item)
        self._queue[:] = left
        return taken

    async def _serve(self, items):
        items = [item for item in items if not item.answer.done()]
        if not items:
            return
        inputs = items[0].inputs
        num_rows = sum(item.num_rows for item in items)
        if len(items) > 1:
            inputs = {name: [x for item in items for x in item.inputs[name]] for name in inputs}
            inputs = _fill(inputs, min(-num_rows % _ROWS, self.options.max_batch_size - num_rows))
        self.observe(num_rows)
        try:
            outputs = await self.worker.run(items[0].signature, inputs)
        except RefusalError as refusal:
            if len(items) > 1 and refusal.status < 500:
                for item in items:
                    await self._serve([item])
                return
            _refuse(items, refusal)
            return
        first = 0
        for item in items:
            rows = slice(first, first + item.num_rows) if len(items) > 1 else slice(None)
            first += item.num_rows
            if not item.answer.done():
                item.answer.set_result({name: values[rows] for name, values in outputs.items()})

    def close(self):
        """Ends it; what waits is refused, and so is what is being answered."""
        self._task.cancel()
        for task, (_, items) in list(self._running.items()):
            task.cancel()
            _refuse(items, WorkerLostError())
        _refuse(self._queue, WorkerLostError())


def _fill(inputs, count):
    """The inputs with their last row so many more times; nobody is given its outputs."""
    return {name: values + values[-1:] * count for name, values in inputs.items()}


def _refuse(items, refusal):
    for item in items:
        if not item.answer.done():
            item.answer.set_exception(refusal)
