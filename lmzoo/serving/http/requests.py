"""Reading a request: its body within limits, its fields within their ranges, its client's end."""

import asyncio
import contextlib
import json
import math

from lmzoo.serving.errors import RefusalError

__all__ = ["ClientGoneError", "check_text", "read_body", "run_while_connected", "take"]


# A body that is refused is read to its end, if that is near.
_DISCARD_SECONDS, _DISCARD_BYTES = 0.08, 16 << 20


class ClientGoneError(Exception):
    """The client has closed the connection."""


async def read_body(request, options):
    """The JSON object in a body.

    Args:
        request: starlette.requests.Request.
        options: ServeOptions.
    Returns:
        dict.
    Raises:
        RefusalError: 413 if it is too large, 408 if it is too slow, 400 if it is no JSON object.
        ClientGoneError: if the client leaves.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > options.max_body_bytes:
        await _discard(request, int(length[:20]))
        raise _make_too_large(options)
    data = bytearray()
    try:
        async with asyncio.timeout(options.timeout_seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                data += message.get("body", b"")
                if len(data) > options.max_body_bytes:
                    await _discard(request, 0)
                    raise _make_too_large(options)
                if not message.get("more_body"):
                    break
    except TimeoutError as error:
        raise RefusalError(408, "The request did not arrive in time.") from error
    try:
        found = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, "The body must be JSON.") from error
    if not isinstance(found, dict):
        raise RefusalError(400, f"The body must be a JSON object. Received: a {_name(found)}.")
    return found


async def _discard(request, size):
    """Reads what is on its way: a client that is still sending would not see the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS if size <= _DISCARD_BYTES else 0):
            while (message := await request.receive())["type"] != "http.disconnect":
                if not message.get("more_body"):
                    break


def _make_too_large(options):
    return RefusalError(413, f"The body must have at most {options.max_body_bytes} bytes.")


def _refuse_constant(name):
    raise ValueError(name)


def _name(value):
    names = {list: "list", str: "string", bool: "boolean", type(None): "null", dict: "object"}
    return names.get(type(value), "number")


def take(body, name, kind, default, lowest=None, highest=None):
    """A field of a body.

    Args:
        body: dict.
        name: str.
        kind: bool, int, float, str, list or dict.
        default: what a field that is missing or null is.
        lowest, highest: the range of a number.
    Returns:
        An instance of `kind`, or `default`.
    Raises:
        RefusalError: 400 if it is of another type or out of its range.
    """
    value = body.get(name)
    if value is None:
        return default
    is_number = kind in (int, float)
    fits = isinstance(value, int | float if kind is float else kind)
    if is_number and isinstance(value, bool):
        fits = False
    if not fits:
        words = {int: "an integer", float: "a number", str: "a string", bool: "a boolean"}
        wanted = words.get(kind, "a list" if kind is list else "an object")
        raise RefusalError(400, f"`{name}` must be {wanted}. Received: a {_name(value)}.", name)
    if is_number:
        too_low = lowest is not None and value < lowest
        if too_low or (highest is not None and value > highest) or not _is_finite(value):
            raise RefusalError(
                400,
                f"`{name}` must be from {lowest} to {highest}. Received: {str(value)[:40]}.",
                name,
            )
    return value


def _is_finite(value):
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_text(text, name, options):
    """A text that a model may read.

    Raises:
        RefusalError: 400 if it is no str, too long or not valid Unicode.
    """
    if not isinstance(text, str):
        raise RefusalError(400, f"`{name}` must be a string. Received: a {_name(text)}.", name)
    # A character takes a byte at least, so that a huge text is not encoded at all.
    size = len(text)
    if size <= options.max_text_bytes:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise RefusalError(
                400, f"`{name}` must be valid Unicode. Received: half of a pair.", name
            ) from error
    if size > options.max_text_bytes:
        raise RefusalError(400, f"`{name}` must have at most {options.max_text_bytes} bytes.", name)
    return text


async def run_while_connected(request, coroutine, timeout_seconds):
    """Awaits an answer; it is given up when its client leaves or its time is over.

    Args:
        request: starlette.requests.Request, whose body was read.
        coroutine: what gives the answer.
        timeout_seconds: float.
    Returns:
        What the coroutine returns.
    Raises:
        ClientGoneError: if the client leaves.
        RefusalError: 504 if it took too long; or as the coroutine.
    """
    answer = asyncio.ensure_future(coroutine)
    gone = asyncio.ensure_future(_wait_for_end(request))
    try:
        await asyncio.wait(
            {answer, gone}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        if gone.done():
            raise ClientGoneError
        raise RefusalError(504, "The model did not answer in time.", retry_after=1)
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _wait_for_end(request):
    while (await request.receive())["type"] != "http.disconnect":
        pass
