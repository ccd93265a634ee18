"""Metrics for Prometheus, and logs as JSON lines. Neither has a text of a user in it."""

import datetime
import json
import logging

import prometheus_client

__all__ = ["Telemetry"]

_LOGGER = logging.getLogger("lmzoo.serving")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Telemetry:
    """Counts and logs what happens.

    Args:
        num_waiting: callable that gives a dict of model name to requests that wait.
    """

    def __init__(self, num_waiting):
        self.registry = prometheus_client.CollectorRegistry()
        make = {"registry": self.registry}
        self._requests = prometheus_client.Counter(
            "lmzoo_requests",
            "Requests by path, model and status.",
            ["path", "model", "code"],
            **make,
        )
        self._seconds = prometheus_client.Histogram(
            "lmzoo_request_seconds", "Time of a request.", ["path"], buckets=_SECONDS, **make
        )
        self._rows = prometheus_client.Histogram(
            "lmzoo_batch_rows",
            "Texts that a model read together.",
            ["model"],
            buckets=_ROWS,
            **make,
        )
        self._tokens = prometheus_client.Counter(
            "lmzoo_generated_tokens", "Tokens that were generated.", ["model"], **make
        )
        self._events = prometheus_client.Counter(
            "lmzoo_model_events",
            "Versions opened and failed, processes lost.",
            ["model", "event"],
            **make,
        )
        self._version = prometheus_client.Gauge(
            "lmzoo_model_version", "The version that answers.", ["model"], **make
        )
        self._waiting = prometheus_client.Gauge(
            "lmzoo_waiting_requests", "Requests that no batch has taken yet.", ["model"], **make
        )
        self._num_waiting = num_waiting

    def report(self, event, **fields):
        """What happened to a model: a batch, a version, a process."""
        model = fields["model"]
        if event == "batch":
            self._rows.labels(model).observe(fields["rows"])
            return
        self._events.labels(model, event).inc()
        if event == "version_available":
            self._version.labels(model).set(fields["version"])
        self.log(event, **fields)

    def count_request(self, path, model, code, seconds, identity):
        """One request that was answered, or that its client gave up.

        Args:
            path: str. Its route, without what a client wrote into it.
            model: str. The name of a model that is served, or "".
            code: int. The status; 499 if the client left.
            seconds: float.
            identity: str.
        """
        self._requests.labels(path, model, code).inc()
        self._seconds.labels(path).observe(seconds)
        milliseconds = round(1000 * seconds, 1)
        self.log("request", id=identity, path=path, model=model, status=code, ms=milliseconds)

    def count_tokens(self, model, count):
        """Tokens that were generated for a request."""
        self._tokens.labels(model).inc(count)

    def log(self, event, **fields):
        """One line of JSON at the level INFO of the logger `lmzoo.serving`."""
        if _LOGGER.isEnabledFor(logging.INFO):
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            _LOGGER.info(json.dumps({"time": now, "event": event, **fields}))

    def log_failure(self, identity, error):
        """A defect of the server: the traceback, which has no values in it."""
        _LOGGER.error(json.dumps({"event": "failure", "id": identity}), exc_info=error)

    def export(self):
        """All metrics in the text format of Prometheus: (bytes, content type)."""
        for model, count in self._num_waiting().items():
            self._waiting.labels(model).set(count)
        content = prometheus_client.generate_latest(self.registry)
        return content, prometheus_client.CONTENT_TYPE_LATEST
