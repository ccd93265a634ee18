"""Several workers on one search, through keras-tuner's chief: its gRPC service and its client.

`serve` is the chief, `connect` gives a worker the chief's oracle. Both take the address from
keras-tuner's environment variables. keras-tuner 1.4.8 has these classes below `keras_tuner.src`
alone; its own `start_server` looks every 20 seconds whether workers are left, and its client waits
an hour for an answer.
"""

import os
import time
from concurrent import futures

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient

__all__ = ["connect", "serve"]

_POLL_SECONDS = 0.2
# How long workers may take to hear that the search is over.
_GRACE_SECONDS = 10.0


def _find_address():
    return f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"


def serve(oracle, on_poll=None):
    """Gives out trials to workers until the search is over.

    Args:
        oracle: SharedOracle.
        on_poll: callable without arguments, or None. Called a few times a second.
    Raises:
        OSError: if the address cannot be had.
    """
    address = _find_address()
    # One thread: an oracle of keras-tuner answers one call at a time anyway.
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise OSError(
            "KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT must be a free address of this host. "
            f"Received: {address!r}."
        )
    server.start()
    try:
        over_at = None
        while over_at is None or (oracle.workers and time.monotonic() < over_at + _GRACE_SECONDS):
            if on_poll is not None:
                on_poll()
            if over_at is None and oracle.is_over:
                over_at = time.monotonic()
            time.sleep(_POLL_SECONDS)
    finally:
        server.stop(1).wait()


def connect(seconds):
    """The oracle of the chief, for a worker.

    Args:
        seconds: float. How long each call waits for an answer.
    Returns:
        An object with the methods of keras_tuner.Oracle that a worker calls.
    Raises:
        TimeoutError: if the chief does not answer, now or in a later call.
    """
    client = OracleClient(keras_tuner.oracles.RandomSearchOracle())
    client.stub = _BoundedStub(client.stub, seconds)
    client.get_space()
    return client


class _BoundedStub:
    """The stub of the service, whose calls end in bounded time with an error that says so."""

    def __init__(self, stub, seconds):
        self._stub, self._seconds = stub, seconds

    def __getattr__(self, name):
        function = getattr(self._stub, name)

        def call(request, **options):
            end = time.monotonic() + self._seconds
            while True:
                options["timeout"] = max(end - time.monotonic(), 0.01)
                try:
                    return function(request, **options)
                except grpc.RpcError as error:
                    # A chief that was killed in this call may be started again; each call may be
                    # made twice.
                    is_lost = error.code() == grpc.StatusCode.UNAVAILABLE
                    if not is_lost or time.monotonic() >= end:
                        raise self._explain(name, error) from error
                    time.sleep(_POLL_SECONDS)

        return call

    def _explain(self, name, error):
        address = _find_address()
        if error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
            return RuntimeError(
                f"The chief at {address!r} could not answer {name}: {error.details()!s:.300}"
            )
        return TimeoutError(
            "The chief must answer at KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT. Received: "
            f"no answer of {address!r} to {name} within {self._seconds:g} seconds. Start it with "
            "KERASTUNER_TUNER_ID=chief, or raise `search.chief_seconds`."
        )
