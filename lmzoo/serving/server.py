"""Listening on an address, until the process is asked to end."""

import errno
import socket

__all__ = ["serve"]

_BACKLOG = 512
# How long requests may go on after the server was asked to end.
_GRACE_SECONDS = 10


def serve(options, started=None):
    """Serves until SIGINT or SIGTERM; running requests are finished first.

    Args:
        options: ServeOptions.
        started: callable (host, port) or None. Called once the socket listens, before the models
            are open.
    Raises:
        ImportError: if starlette or uvicorn is not installed.
        OSError: if the address cannot be had, such as a port in use.
    """
    try:
        import uvicorn

        from lmzoo.serving.http.app import make_app
        from lmzoo.serving.http.protocol import DeadlineProtocol
    except ImportError as error:
        raise ImportError(
            f"Serving needs {error.name}. Run `pip install 'lmzoo[serve]'`."
        ) from error
    with _listen(options) as listener:
        host, port = listener.getsockname()[:2]
        config = uvicorn.Config(
            make_app(options),
            http=DeadlineProtocol.with_timeout(options.timeout_seconds),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(max(5, min(75, options.timeout_seconds))),
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        if started is not None:
            started(host, port)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(options):
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                errno.EADDRINUSE,
                f"`port` must be free. Received: port={options.port}, which another program "
                "listens on. Pass --port 0 for a free one",
            ) from error
        raise
    return listener
