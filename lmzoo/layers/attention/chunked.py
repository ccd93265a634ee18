"""Attention whose scores are computed for one chunk of queries at a time, and again backward.

Plain attention keeps scores, weights and their dropout, (B, N, T, S) each, until the backward pass.
This keeps none of them, and leaves out keys that no query of a chunk can see.

Shapes: B batch, T query length, S key length, N heads, K key-value heads, H head size, C chunk.
"""

import keras
from keras import ops

from lmzoo.layers.attention.dot_product import (
    attend,
    compute_weights,
    group_product,
    sum_group_products,
)
from lmzoo.layers.checks import check_size
from lmzoo.layers.rematerialization import SeedScope
from lmzoo.layers.tensors import at_least_float32, find_size

__all__ = ["attend_in_chunks", "check_chunks", "count_chunks"]

# What "auto" does: from 2,048 tokens on, 16 chunks at most, of at most 512 queries and, where that
# is possible, no more scores of a text than these.
_MIN_SCORES, _MAX_SCORES = 2048 * 2048, 3 << 22
_MAX_SIZE, _MAX_CHUNKS = 512, 16


def check_chunks(**arguments):
    """Raises TypeError or ValueError unless each is "auto" or an int of at least 1."""
    for name, chunks in arguments.items():
        if chunks is None or (isinstance(chunks, str) and chunks != "auto"):
            raise TypeError(f'`{name}` must be an int or "auto". Received: {name}={chunks!r:.80}.')
        if chunks != "auto":
            check_size(**{name: chunks})


def count_chunks(chunks, query, key, training):
    """The number of chunks in which the queries are taken.

    Args:
        chunks: int; or "auto" for 1, and in training from 2,048 tokens on 4 to 16, by length and
            heads. Where a length is not known when the graph is traced, "auto" is 1.
        query: float (B, N, T, H).
        key: float (B, K, S, H).
        training: bool or None.
    """
    length, key_length = query.shape[2], key.shape[2]
    if chunks != "auto":
        return chunks if length is None else min(chunks, max(length, 1))
    if not training or None in (length, key_length) or length * key_length < _MIN_SCORES:
        return 1
    size = min(_MAX_SIZE, _MAX_SCORES // (query.shape[1] * key_length))
    return min(_MAX_CHUNKS, -(-length // max(1, size)))


def attend_in_chunks(query, key, value, arguments, num_chunks, reach=None, training=None):
    """`lmzoo.layers.attention.dot_product.attend`, with the memory of one chunk of queries.

    Args:
        query, key, value: as for `attend`.
        arguments: dict of `attention_mask`, `bias` and `scale` of `attend`, and `dropout`, the
            keras.layers.Dropout of the weights. Each chunk has a draw of its own.
        num_chunks: int. How many chunks of queries there are.
        reach: (before, after), where query t can see the keys from t - before to t + after at most;
            None for no limit. The mask has to hide the others.
        training: bool or None. If True, the backward pass computes each chunk again.
    Returns:
        float (B, N, T, H) in the dtype of `query`.
    Reference: Rabe and Staats 2021, https://arxiv.org/abs/2112.05682. Only the queries are divided,
        so that each has the softmax that it has in `attend`.
    """
    dropout, bias = arguments["dropout"], arguments["bias"]
    seeds = [None] * num_chunks
    if training and dropout.rate:
        seeds = [dropout.seed_generator.next() for _ in seeds]
    size = -(-find_size(query, axis=2) // num_chunks)
    chunks = [_Chunk(index, size, reach, arguments, seed) for index, seed in enumerate(seeds)]
    tensors = (query, key, value) if bias is None else (query, key, value, bias)
    if training and keras.backend.backend() != "tensorflow":
        # XLA orders the chunks by itself, and JAX wants no gradient that closes over the seeds.
        parts = [keras.remat(chunk.compute)(*tensors) for chunk in chunks]
        return ops.concatenate(parts, axis=2)

    def compute(*tensors):
        outputs, done = [], None
        for chunk in chunks:
            outputs.append(chunk.compute(*tensors, after=done))
            done = outputs[-1]
        return ops.concatenate(outputs, axis=2)

    def compute_with_gradient(*tensors):
        def differentiate(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            # TensorFlow would keep what it finds computed twice from the same tensors.
            again = [*(_follow(one, upstream) for one in tensors[:3]), *tensors[3:]]
            # Of queries and bias each chunk has its rows; keys and values add up.
            rows, sums, done = [], [0.0, 0.0], None
            for chunk in chunks:
                query, key, value, *bias = chunk.differentiate(upstream, *again, after=done)
                rows.append((query, *bias))
                sums = [total + own for total, own in zip(sums, (key, value), strict=True)]
                done = sums[1]
            query, *bias = (ops.concatenate(each, axis=2) for each in zip(*rows, strict=True))
            sums = (ops.cast(total, tensors[1].dtype) for total in sums)
            return query, *sums, *bias

        return compute(*tensors), differentiate

    function = ops.custom_gradient(compute_with_gradient) if training else compute
    return function(*tensors)


class _Chunk:
    """Some of the queries: what they give, and the gradients.

    Args:
        index: int. Which of the chunks it is.
        size: int or scalar tensor, C. The last chunk may have fewer.
        reach, arguments: as for `attend_in_chunks`.
        seed: tensor or None. Of dropout.
    """

    def __init__(self, index, size, reach, arguments, seed):
        self._start, self._end = index * size, (index + 1) * size
        self._before, self._after = reach or (None, None)
        self._dropout, self._seed = arguments["dropout"], seed
        self._mask, self._scale = arguments["attention_mask"], arguments["scale"]

    def _select(self, query, key, value, bias=None, after=None):
        """What these queries and the keys that they can see have of all tensors."""
        rows = slice(self._start, self._end)
        self._length = find_size(key, axis=2)
        first, last = 0, self._length
        if self._before is not None:
            first = _clip(self._start - self._before, self._length)
        if self._after is not None:
            last = _clip(self._end + self._after, self._length)
        self._columns, keys = (first, last), slice(first, last)
        query = _follow(query[:, :, rows], after)
        mask = self._mask
        if mask is not None:
            mask = mask[:, rows if mask.shape[1] != 1 else slice(None), keys]
        bias = None if bias is None else bias[:, :, rows, keys]
        return query, key[:, :, keys], value[:, :, keys], mask, bias

    def _drop(self, weights):
        if self._seed is None:
            return weights
        with SeedScope([(self._dropout.seed_generator.state, self._seed)]):
            return self._dropout(weights, training=True)

    def compute(self, *tensors, after=None):
        """The weighted values, (B, N, C, H).

        Args:
            *tensors: query, key, value and, where there is one, bias.
            after: tensor that is computed before, or None.
        """
        query, key, value, mask, bias = self._select(*tensors, after=after)
        return attend(query, key, value, mask, bias, self._scale, self._drop)

    def differentiate(self, upstream, *tensors, after=None):
        """The gradients: of the queries (B, N, C, H), of all keys and values (B, K, S, H) in at
        least float32, and, where there is a bias, of it (B or 1, N, C, S).

        Args:
            upstream: float (B, N, T, H). The gradient of what all chunks give.
            *tensors, after: as for `compute`.
        """
        query, key, value, mask, bias = self._select(*tensors, after=after)
        upstream = upstream[:, :, self._start : self._end]
        if mask is not None:
            mask = ops.expand_dims(mask, 1)
            upstream = ops.where(ops.any(mask, axis=-1, keepdims=True), upstream, 0.0)
        num_groups, dtype = key.shape[1], value.dtype
        precise = compute_weights(
            query, key, None if mask is None else mask[:, 0], bias, self._scale
        )
        kept, grad = ops.cast(precise, dtype), group_product(upstream, _transpose(value))
        if self._seed is not None:
            mask_of_dropout = self._drop(ops.ones_like(kept))
            kept, grad = kept * mask_of_dropout, grad * mask_of_dropout
        value_grad = sum_group_products(kept, upstream, num_groups)
        # The gradient of a softmax, (B, N, C, S)
        grad = ops.cast(grad, precise.dtype)
        grad = precise * (grad - ops.sum(grad * precise, axis=-1, keepdims=True))
        if mask is not None:
            grad = ops.where(mask, grad, 0.0)
        bias_grad = []
        if bias is not None:
            own = ops.sum(grad, axis=0, keepdims=True) if bias.shape[0] == 1 else grad
            bias_grad = [ops.cast(self._spread(own, axis=3), bias.dtype)]
        shrink = query.shape[-1] ** -0.5
        if self._scale is not None:
            grad = grad * (self._scale / shrink)
        grad = ops.cast(grad, dtype)
        query_grad = group_product(grad, key) * shrink
        key_grad = sum_group_products(grad, query * shrink, num_groups)
        sums = (self._spread(at_least_float32(one), axis=2) for one in (key_grad, value_grad))
        return query_grad, *sums, *bias_grad

    def _spread(self, grad, axis):
        """Zeros for the keys that these queries cannot see."""
        if (self._before, self._after) == (None, None):
            return grad
        first, last = self._columns
        padding = [[0, 0] for _ in grad.shape]
        padding[axis] = [first, self._length - last]
        return ops.pad(grad, padding)


def _transpose(keys):
    return ops.transpose(keys, (0, 1, 3, 2))


def _clip(position, length):
    """A position within 0 and a length, of ints or scalar tensors."""
    if isinstance(position, int) and isinstance(length, int):
        return min(max(position, 0), length)
    return ops.minimum(ops.maximum(position, 0), length)


def _follow(tensor, done):
    """The same tensor, which is not there before `done` is.

    Otherwise TensorFlow computes all chunks at once, each with its scores in memory.
    """
    if done is None:
        return tensor
    flag = ops.cast(ops.reshape(done, (-1,))[:1], "bool")
    return tensor + ops.cast(ops.where(ops.equal(flag, flag), 0.0, float("nan")), tensor.dtype)
