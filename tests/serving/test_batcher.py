"""Dynamic batching, with a model of Python that counts what it is given."""

import asyncio

import pytest

from lmzoo.serving.errors import RefusalError, WorkerLostError
from lmzoo.serving.models.batcher import Batcher


class Options:
    max_batch_size = 4
    max_queue = 6


class Worker:
    """Answers with twice the inputs; refuses negative ones; waits until it may go on."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()

    async def run(self, signature, inputs):
        self.batches.append((signature, list(inputs["x"])))
        await self.gate.wait()
        if any(x < 0 for x in inputs["x"]):
            raise RefusalError(400, "negative")
        return {"y": [2 * x for x in inputs["x"]]}


async def begin(batcher, requests):
    """Submits (signature, inputs, can_join), and lets each reach the queue."""
    tasks = [
        asyncio.create_task(batcher.submit(signature, {"x": xs}, len(xs), can_join))
        for signature, xs, can_join in requests
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def run(test, observe=lambda num_rows: None):
    async def main():
        worker = Worker()
        batcher = Batcher(worker, Options(), observe)
        async with asyncio.timeout(20):
            await test(worker, batcher)
        batcher.close()

    asyncio.run(main())


def test_what_waits_while_the_model_is_busy_is_one_batch():
    async def test(worker, batcher):
        busy = await begin(batcher, [("s", [0], False), ("s", [0], False)])
        requests = [("s", [1], True), ("s", [2, 3], True), ("t", [4], True), ("s", [5], True)]
        tasks = await begin(batcher, requests)
        assert batcher.num_waiting == 4
        worker.gate.set()
        assert [(await task)["y"] for task in tasks] == [[2], [4, 6], [8], [10]]
        await asyncio.gather(*busy)
        assert worker.batches[2:] == [("s", [1, 2, 3, 5]), ("t", [4])]
        assert batcher.busy_since is None

    run(test)


def test_a_batch_is_no_larger_than_allowed_and_some_are_alone():
    async def test(worker, batcher):
        await begin(batcher, [("s", [0], False), ("s", [0], False)])
        requests = [("s", [1, 2, 3], True), ("s", [4, 5], True), ("s", [6], False)]
        tasks = await begin(batcher, requests)
        worker.gate.set()
        await asyncio.gather(*tasks)
        assert [xs for _, xs in worker.batches[2:]] == [[1, 2, 3], [4, 5], [6]]

    run(test)


def test_batches_have_few_sizes_and_nobody_sees_what_fills_them():
    async def test(worker, batcher):
        await begin(batcher, [("s", [0], False), ("s", [0], False)])
        batcher.options.max_batch_size = 10
        requests = [("s", [1, 2], True), ("s", [3, 4, 5], True), ("t", [6, 7], True)]
        requests += [("u", list(range(8)), True), ("u", [8], True)]
        tasks = await begin(batcher, requests)
        worker.gate.set()
        wanted = [[2, 4], [6, 8, 10], [12, 14], [2 * x for x in range(8)], [16]]
        assert [(await task)["y"] for task in tasks] == wanted
        # Up to the next 4, or to what a batch may have; a request alone stays as it is.
        assert [len(xs) for _, xs in worker.batches[2:]] == [8, 2, 10]
        assert batcher_sizes == [1, 1, 5, 2, 9]

    batcher_sizes = []
    run(test, batcher_sizes.append)


def test_only_the_request_at_fault_is_refused():
    async def test(worker, batcher):
        await begin(batcher, [("s", [0], False), ("s", [0], False)])
        tasks = await begin(batcher, [("s", [1], True), ("s", [-2], True), ("s", [3], True)])
        worker.gate.set()
        assert (await tasks[0])["y"] == [2] and (await tasks[2])["y"] == [6]
        with pytest.raises(RefusalError, match="negative"):
            await tasks[1]

    run(test)


def test_a_full_queue_is_told_and_a_client_that_left_makes_room():
    async def test(worker, batcher):
        await begin(batcher, [("s", [0], False), ("s", [0], False)])
        tasks = await begin(batcher, [("s", [index], True) for index in range(6)])
        with pytest.raises(RefusalError) as raised:
            await batcher.submit("s", {"x": [9]}, 1)
        assert raised.value.status == 429 and raised.value.retry_after
        tasks[3].cancel()
        await asyncio.gather(tasks[3], return_exceptions=True)
        (late,) = await begin(batcher, [("s", [9], True)])
        worker.gate.set()
        assert (await late)["y"] == [18]
        assert 3 not in [x for _, xs in worker.batches for x in xs]

    run(test)


def test_nobody_waits_for_a_batcher_that_is_closed():
    async def test(worker, batcher):
        tasks = await begin(batcher, [("s", [0], False), ("s", [1], False), ("s", [2], True)])
        batcher.close()
        for task in tasks:
            with pytest.raises(WorkerLostError):
                await task

    run(test)
