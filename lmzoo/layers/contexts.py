"""Contexts in which layers do something else: keep what they compute, or take it from the caller.

Outside of them a layer asks a context variable and goes on, while it is traced or called.
"""

import contextlib
import contextvars

__all__ = [
    *("attention_records", "call_block", "hold", "layer_calls", "record_attention"),
    *("replace_embeddings", "replaced_embeddings"),
]

# The function that calls blocks, the dict that weights go to, and a layer with its embeddings.
_call = contextvars.ContextVar("call", default=None)
_records = contextvars.ContextVar("attention_records", default=None)
_replacement = contextvars.ContextVar("embedding_replacement", default=None)


@contextlib.contextmanager
def hold(variable, value):
    """A context in which a `contextvars.ContextVar` has a value; it yields the value."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


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


def record_attention():
    """A context in which attention layers keep their weights, as they are before dropout.

    Yields:
        dict of id of a layer to float (B, N, T, S), in float32 at least: what its last call in
        this context gave. Each row sums to 1, or to 0 without a key to attend to.

    Example:
        with record_attention() as weights:
            backbone({"token_ids": token_ids})
        weights[id(backbone.blocks[0].self_attention)]
    """
    return hold(_records, {})


def attention_records():
    """The dict to which attention layers add their weights; None outside of such a context."""
    return _records.get()


def replace_embeddings(layer, embeddings):
    """A context in which a `TokenEmbedding` looks nothing up, but gives other embeddings.

    Args:
        layer: TokenEmbedding.
        embeddings: float (B, T, D).
    """
    return hold(_replacement, (layer, embeddings))


def replaced_embeddings(layer):
    """What `layer` has to give in place of its look-up; None outside of such a context."""
    own, embeddings = _replacement.get() or (None, None)
    return embeddings if own is layer else None
