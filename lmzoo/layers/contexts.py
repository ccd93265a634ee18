"""Contexts in which layers run in another way: for XLA, for LiteRT, or for a caller who looks in.

Outside of them a layer asks a context variable and goes on, while it is traced or called.
"""

import contextlib
import contextvars

__all__ = [
    *("attention_records", "call_block", "compiled_step", "find_floats", "find_gather"),
    *("float_matrices", "hold", "is_compiled_step", "is_litert", "layer_calls", "litert_ops"),
    *("record_attention", "replace_embeddings", "replaced_embeddings"),
]

# The function that calls blocks, the dict that weights go to, and a layer with its embeddings.
_call = contextvars.ContextVar("call", default=None)
_records = contextvars.ContextVar("attention_records", default=None)
_replacement = contextvars.ContextVar("embedding_replacement", default=None)
_in_step = contextvars.ContextVar("in_step", default=False)
# A gather function, and one of quantized matrices.
_gather = contextvars.ContextVar("gather", default=None)
_get_floats = contextvars.ContextVar("get_floats", default=None)


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


def compiled_step():
    """A context for tracing a decoding step that XLA compiles for a CPU.

    `Dense` then adds two products over half of the inputs each. With so few rows, reading the
    weights takes most of the time, and XLA uses all threads for a batch of two products but not
    always for one. On two cores a step of GPT-2 took 17 % less time and one of T5 small 12 % less.
    Without XLA it would take longer. Quantized matrices have a form of their own here.
    """
    return hold(_in_step, True)


def is_compiled_step():
    """Whether the context `compiled_step` holds here."""
    return _in_step.get()


def litert_ops(gather):
    """A context for tracing what is converted to LiteRT.

    Within it a cache is written by a slice update, which LiteRT does in place (DYNAMIC_UPDATE_SLICE
    where a scatter becomes six ops), a look-up is a gather over a flat list of ids, without the ops
    by which `ops.take` counts negative ids from the end, and what XNNPACK has no kernel for (SELECT
    and SPLIT_V) is done by ops for which it has one, so that it takes a layer in fewer pieces.

    Args:
        gather: callable of a table (V, D) and ids int (R,), such as `tf.gather`. `keras.ops` has
            none without negative ids.
    """
    return hold(_gather, gather)


def is_litert():
    """Whether the context `litert_ops` holds here."""
    return _gather.get() is not None


def find_gather():
    """The gather function of the context `litert_ops`; None outside of one."""
    return _gather.get()


def float_matrices(get):
    """A context in which products take quantized matrices as floats that were expanded before.

    Otherwise a product would write its matrix as floats at every step of a loop.

    Args:
        get: function of a QuantizedMatrix to float32 (U, D), None for one to use as it is.
    """
    return hold(_get_floats, get)


def find_floats(matrix):
    """What the context `float_matrices` has for a matrix: float32 (U, D), or None."""
    get = _get_floats.get()
    return None if get is None else get(matrix)
