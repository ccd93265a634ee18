"""HTTP/1.1 with a deadline for the head of a request, which uvicorn alone does not have."""

import functools

from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = ["DeadlineProtocol"]

_CONTENT = b'{"error": "The request did not arrive in time."}\n'
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_CONTENT), _CONTENT)
)


class DeadlineProtocol(AutoHTTPProtocol):
    """A connection that is closed if its first request is not there in time.

    It is uvicorn's own, with httptools where that is installed, else with h11.

    Args:
        timeout_seconds: float.
        *args, **kwargs: as uvicorn passes them.
    """

    def __init__(self, *args, timeout_seconds=60.0, **kwargs):
        super().__init__(*args, **kwargs)
        self._timeout_seconds = timeout_seconds
        self._deadline = None

    @classmethod
    def with_timeout(cls, timeout_seconds):
        """What uvicorn makes connections with."""

        class Protocol(cls):
            __init__ = functools.partialmethod(cls.__init__, timeout_seconds=timeout_seconds)

        return Protocol

    def connection_made(self, transport):
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self._timeout_seconds, self._give_up)

    def data_received(self, data):
        super().data_received(data)
        # A cycle begins with the last line of a head.
        if self.cycle is not None and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc):
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self):
        if self.cycle is None and not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()
