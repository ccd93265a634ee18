"""How the blocks of a model are called: as they are, or as a context says."""

import contextvars

from lmzoo.layers.contexts import hold

__all__ = ["call_block", "layer_calls"]

# The function of the context, or None outside of one.
_call = contextvars.ContextVar("call", default=None)


def layer_calls(call):
    """A context in which another function calls the blocks of a model.

    An export traces one block and calls it with the weights of all the others, for instance.

    Args:
        call: callable of a block, `hidden` and the keyword arguments of its call.
    """
    return hold(_call, call)


def call_block(block, hidden, **kwargs):
    """What a block returns, called as the context says.

    Args:
        block: `lmzoo.layers.TransformerBlock`.
        hidden: float (B, T, D).
        **kwargs: further call arguments.
    """
    call = _call.get()
    return block(hidden, **kwargs) if call is None else call(block, hidden, **kwargs)
