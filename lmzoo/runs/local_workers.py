"""Several workers on one machine, to try what will run on several hosts."""

import json
import os
import signal
import socket
import subprocess
import time

__all__ = ["check_local_workers", "find_ports", "run_processes", "run_workers"]

# How long the others may take to end by themselves once one has failed.
_GRACE_SECONDS = 60
_PATIENCE_SECONDS = 10
_POLL_SECONDS = 0.2


def run_workers(command, num_workers, grace_seconds=_GRACE_SECONDS):
    """Runs a command once for each worker, joined by TF_CONFIG over the loopback device.

    Worker 0 is the chief. The processors are divided among the workers. If one of them fails, the
    others are ended; SIGINT and SIGTERM reach all of them.

    Args:
        command: list of str.
        num_workers: int, at least 1.
        grace_seconds: float. How long others may run after one has failed.
    Returns:
        int. 0, or the exit code of the first worker that failed.
    Raises:
        ValueError: if `num_workers` is not at least 1, or TF_CONFIG is set.
    """
    check_local_workers(num_workers, "TF_CONFIG")
    addresses = [f"127.0.0.1:{port}" for port in find_ports(num_workers)]
    cluster = {"worker": addresses}
    environments = [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(num_workers)
    ]
    return run_processes(command, environments, num_workers, grace_seconds)


def check_local_workers(num_workers, variable):
    """Raises ValueError unless there is a worker to start, and this process is none itself.

    Args:
        num_workers: int.
        variable: str. What the environment of a worker has.
    """
    if num_workers < 1:
        raise ValueError(f"`num_workers` must be at least 1. Received: {num_workers}.")
    if os.environ.get(variable):
        raise ValueError(
            f"{variable} must not be set where local workers are started. Received: "
            f"{os.environ[variable]!r:.100}."
        )


def run_processes(command, environments, num_busy, grace_seconds=_GRACE_SECONDS):
    """Runs a command once for each of some environments, as `run_workers` does.

    Args:
        command: list of str.
        environments: list of dict of str to str. What each process has beside the environment of
            this one.
        num_busy: int. Among how many of them the processors are divided.
        grace_seconds: float. How long others may run after one has failed.
    Returns:
        int. 0, or the exit code of the first process that failed.
    """
    threads = str(max(1, (os.cpu_count() or 1) // num_busy))
    shared = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    children = []
    handlers = {}
    try:
        for own in environments:
            environment = {**os.environ, **shared, **own}
            children.append(
                # Signals of the terminal come by way of this process, once.
                subprocess.Popen(command, env=environment, start_new_session=True)
            )
        for number in (signal.SIGINT, signal.SIGTERM):
            handlers[number] = signal.signal(number, lambda got, _: _send(children, got))
        return _wait(children, grace_seconds)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for child in children:
            _end(child)


def _end(child):
    """Kills a process that does not end within some seconds of being asked."""
    try:
        child.wait(_PATIENCE_SECONDS if child.poll() is None else None)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def find_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _send(children, number):
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _wait(children, grace_seconds):
    """The code of the first worker that fails; the others then have a while to end."""
    code, end = 0, None
    while True:
        codes = [child.poll() for child in children]
        failed = [each for each in codes if each]
        if failed and end is None:
            # A process that was ended by a signal has its negative number.
            code = failed[0] if failed[0] > 0 else 128 - failed[0]
            end = time.monotonic() + grace_seconds
        if None not in codes:
            return code
        if end is not None and time.monotonic() > end:
            _send(children, signal.SIGTERM)
            return code
        time.sleep(_POLL_SECONDS)
