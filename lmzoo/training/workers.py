"""Runs over several workers: one process on each host, joined by TF_CONFIG."""

import contextlib
import json
import os
import socket
import time

import numpy as np
import tensorflow as tf

__all__ = [
    "count_workers",
    "explain_lost_workers",
    "find_worker",
    "multi_worker_strategy",
    "sum_over_workers",
]

_RETRY_SECONDS = 0.2


def multi_worker_strategy(wait_seconds=300):
    """Makes a `tf.distribute.MultiWorkerMirroredStrategy`, once all workers can be reached.

    TensorFlow itself waits without end, or for an hour, for a worker that does not come. To be
    called before anything else of TensorFlow.

    Args:
        wait_seconds: float, above 0. How long to wait for the others.
    Returns:
        tf.distribute.MultiWorkerMirroredStrategy. Without TF_CONFIG, of this process alone.
    Raises:
        ValueError: if TF_CONFIG is not the JSON that TensorFlow documents, or `wait_seconds` is out
            of its range.
        TimeoutError: if a worker does not come; it names the addresses.
    Reference: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG
    """
    if not wait_seconds > 0:
        raise ValueError(
            f"`wait_seconds` must be above 0. Received: wait_seconds={wait_seconds!r}."
        )
    text = os.environ.get("TF_CONFIG")
    if text:
        own, others = _read_addresses(text)
        _wait_for_workers(own, others, wait_seconds)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _read_addresses(text):
    """The address of this worker, and those of the others, out of TF_CONFIG."""
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        jobs = {job: list(cluster[job]) for job in ("chief", "worker") if job in cluster}
        own = jobs[task["type"]][int(task["index"])]
        workers = [address for addresses in jobs.values() for address in addresses]
        for address in workers:
            int(address.rpartition(":")[2])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            'TF_CONFIG must be JSON such as {"cluster": {"worker": ["host1:port", "host2:port"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: TF_CONFIG={text!r:.200} '
            f"({type(error).__name__}: {error})."
        ) from None
    return own, [address for address in workers if address != own]


def _wait_for_workers(own, others, wait_seconds):
    """Waits until each of the others listens; listens meanwhile, so that they see this one."""
    end = time.monotonic() + wait_seconds
    missing = others
    with _listen(own):
        while True:
            missing = [address for address in missing if not _is_listening(address)]
            if not missing:
                return
            if time.monotonic() > end:
                raise TimeoutError(
                    f"All workers of TF_CONFIG must start. Received: no answer from "
                    f"{', '.join(missing)} in {wait_seconds:g} s. Start them, or take them out of "
                    "TF_CONFIG of all workers."
                )
            time.sleep(_RETRY_SECONDS)


@contextlib.contextmanager
def _listen(address):
    port = int(address.rpartition(":")[2])
    with socket.socket() as server:
        # TensorFlow listens at the same port a moment later.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("", port))
        except OSError as error:
            raise ValueError(
                f"The port of this worker in TF_CONFIG must be free. Received: {address}: "
                f"{error.strerror}."
            ) from None
        server.listen()
        yield


def _is_listening(address):
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def count_workers(strategy):
    """The number of processes that a strategy spans: 1 unless it is a multi-worker strategy."""
    return max(1, sum(_count_jobs(strategy).values()))


def find_worker(strategy):
    """The number of this process among those of a strategy, from 0; the chief is the first."""
    jobs = _count_jobs(strategy)
    if not jobs:
        return 0
    resolver = strategy.cluster_resolver
    return resolver.task_id + (jobs["chief"] if resolver.task_type == "worker" else 0)


def _count_jobs(strategy):
    """How many chiefs and workers a strategy has; empty for one process."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return {}
    jobs = resolver.cluster_spec().as_dict()
    counts = {job: len(jobs.get(job, ())) for job in ("chief", "worker")}
    return counts if sum(counts.values()) else {}


def sum_over_workers(strategy, values):
    """Adds up an array over the workers; all of them must call it, in the same order.

    Args:
        strategy: a strategy of more than one worker.
        values: array of numbers.
    Returns:
        numpy array of the same shape and dtype.
    """
    return strategy.reduce(
        tf.distribute.ReduceOp.SUM, tf.constant(np.asarray(values)), None
    ).numpy()


@contextlib.contextmanager
def explain_lost_workers(strategy):
    """Turns the error that TensorFlow raises when another worker is gone into one that says so."""
    if count_workers(strategy) == 1:
        yield
        return
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        raise RuntimeError(
            "All workers must run to the end. Received: another worker that ended, or could not be "
            "reached. Run the same command on all workers again; with a `Checkpoint` they go on "
            f"where they were. TensorFlow says: {error.message.splitlines()[0]:.300}"
        ) from error
