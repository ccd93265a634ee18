"""What a context says to the layers that are called or traced within it."""

import contextlib

__all__ = ["hold"]


@contextlib.contextmanager
def hold(variable, value):
    """A context in which a `contextvars.ContextVar` has a value; it yields the value."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)
