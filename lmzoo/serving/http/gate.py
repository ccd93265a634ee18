"""What stands before every path: who may ask, how errors look, and what is counted."""

import hmac
import secrets
import time

from starlette.responses import JSONResponse

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.http.requests import ClientGoneError

__all__ = ["Gate", "make_error"]

# An orchestrator has no token, and the page asks its user for one.
_OPEN = ("/healthz", "/readyz")
_LEFT = 499


class Gate:
    """An ASGI application around another one.

    Args:
        app: the ASGI application.
        options: ServeOptions.
        telemetry: Telemetry.
    """

    def __init__(self, app, options, telemetry):
        self.app = app
        self.options = options
        self.telemetry = telemetry

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity, started, status = secrets.token_hex(8), time.perf_counter(), None
        # Paths fill these in; what a client wrote is not logged.
        scope["lmzoo"] = facts = {"path": "other", "model": ""}

        async def send_noted(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {
                    **message,
                    "headers": [*message["headers"], (b"x-request-id", identity.encode())],
                }
            await send(message)

        try:
            refusal = self._check(scope)
            if refusal is not None:
                await make_error(scope["path"], refusal)(scope, receive, send_noted)
            else:
                await self.app(scope, receive, send_noted)
        except ClientGoneError:
            status = _LEFT
        except RefusalError as error:
            if status is None:
                await make_error(scope["path"], error)(scope, receive, send_noted)
        except Exception as error:
            self.telemetry.log_failure(identity, error)
            if status is None:
                failure = RefusalError(500, "The server failed.")
                await make_error(scope["path"], failure)(scope, receive, send_noted)
        finally:
            seconds = time.perf_counter() - started
            code = _LEFT if status is None else status
            self.telemetry.count_request(facts["path"], facts["model"], code, seconds, identity)

    def _check(self, scope):
        """A RefusalError, or None for a request that may go on."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        # A page of another site must not use the models through its visitor's browser: neither
        # by a request to this address, nor by a name that it has pointed at it.
        if origin is not None and origin.partition("://")[2] != host:
            return RefusalError(403, "Pages of other origins may not use this server.")
        if self.options.is_loopback and self.options.token is None and not _is_local(host):
            return RefusalError(403, "`Host` must be this machine's own name for itself.")
        path = scope["path"]
        if self.options.token is None or path in _OPEN or path == "/" or _is_page(path):
            return None
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode("latin-1"), self.options.token.encode()
        ):
            return None
        return RefusalError(401, "A bearer token must be sent in the header `Authorization`.")


def _is_local(host):
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in ("127.0.0.1", "localhost", "[::1]")


def _is_page(path):
    return path.startswith("/playground/")


def make_error(path, refusal):
    """The response for a RefusalError, in the form that clients of a path expect.

    Args:
        path: str.
        refusal: RefusalError.
    Returns:
        starlette.responses.JSONResponse.
    """
    headers = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refusal.status in (408, 413):
        # The rest of the body is not read.
        headers["connection"] = "close"
    content = {"error": refusal.message}
    if path.startswith(("/v1/completions", "/v1/chat/", "/v1/embeddings")) or path == "/v1/models":
        kind = "invalid_request_error" if refusal.status < 500 else "server_error"
        content = {
            "error": {
                "message": refusal.message,
                "type": kind,
                "param": refusal.parameter,
                "code": "model_not_found" if refusal.status == 404 else None,
            }
        }
    return JSONResponse(content, refusal.status, headers)
