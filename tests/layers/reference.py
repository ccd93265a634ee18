"""The formulas of the papers in NumPy float64, written without a look at the layers.

Shapes: B batch, T query length, S key length, D hidden, N heads, K key-value heads, H head size.
"""

import math

import numpy as np


def randomise(layer, seed=0, deviation=0.4):
    """Gives every weight new random values: the usual zeros and ones hide a swapped one."""
    generator = np.random.default_rng(seed)
    for weight in layer.weights:
        centre = 1.0 if weight.path.endswith(("/gamma", "/scale")) else 0.0
        weight.assign(generator.normal(centre, deviation, weight.shape))
    return layer


def weights_of(layer):
    """{path below the layer: float64 array}, such as {"output/kernel": ...}."""
    prefix = layer.name + "/"
    return {
        weight.path.split(prefix, 1)[-1]: np.asarray(weight, "float64") for weight in layer.weights
    }


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0.0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


ACTIVATIONS = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


def layer_norm(x, gamma, beta, epsilon):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon) * gamma + beta


def rms_norm(x, gamma, epsilon):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * gamma


def norm(x, weights, name, kind, epsilon):
    if kind == "layer_norm":
        beta = weights.get(f"{name}/beta", 0.0)
        return layer_norm(x, weights[f"{name}/gamma"], beta, epsilon)
    return rms_norm(x, weights[f"{name}/scale"], epsilon)


def rotate(heads, positions, max_wavelength=10000.0):
    """Each pair (i, i + H/2) as a complex number, turned: heads (..., T, H), positions (T,)."""
    half = heads.shape[-1] // 2
    numbers = heads[..., :half] + 1j * heads[..., half:]
    angles = np.outer(positions, [max_wavelength ** (-i / half) for i in range(half)])
    turned = numbers * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=-1)


def sinusoids(positions, dim, max_wavelength=10000.0):
    table = np.zeros((len(positions), dim))
    for row, position in enumerate(positions):
        for i in range(0, dim, 2):
            table[row, i] = math.sin(position / max_wavelength ** (i / dim))
            table[row, i + 1] = math.cos(position / max_wavelength ** (i / dim))
    return table


def attention_weights(query, key, mask=None, bias=None, scale=None):
    """One query of one head at a time: (B, N, T, H), (B, K, S, H) -> (B, N, T, S)."""
    batch, heads, length, dim = query.shape
    group = heads // key.shape[1]
    scale = dim**-0.5 if scale is None else scale
    weights = np.zeros((batch, heads, length, key.shape[2]))
    shape = (batch, length, key.shape[2])
    mask = np.ones(shape, bool) if mask is None else np.broadcast_to(mask, shape)
    for b, n, t in np.ndindex(batch, heads, length):
        seen = np.flatnonzero(mask[b, t])
        if not len(seen):
            continue
        scores = key[b, n // group, seen] @ query[b, n, t] * scale
        if bias is not None:
            scores = scores + np.broadcast_to(bias, (batch, heads, *shape[1:]))[b, n, t, seen]
        weights[b, n, t, seen] = softmax(scores)
    return weights


def run_in_pieces(layer, hidden, cache, num_slots, sizes):
    """The outputs of a causal layer that is called on one piece of its input after the other."""
    start, parts = 0, []
    for size in sizes:
        mask = np.arange(num_slots) <= np.arange(start, start + size)[:, None]
        piece = hidden[:, start : start + size]
        part, cache = layer(piece, attention_mask=mask[None], cache=cache, position=start)
        parts.append(np.asarray(part))
        start += size
    return np.concatenate(parts, axis=1)


def attend(query, key, value, mask=None, bias=None, scale=None):
    """(B, N, T, H), 2 x (B, K, S, H) -> (B, N, T, H)"""
    weights = attention_weights(query, key, mask, bias, scale)
    return weights @ np.repeat(value, query.shape[1] // value.shape[1], axis=1)


def heads_of(flat, num_heads):
    """(B, T, N * H) -> (B, N, T, H)"""
    batch, length, dim = flat.shape
    return flat.reshape(batch, length, num_heads, dim // num_heads).swapaxes(1, 2)


def merge(heads):
    """(B, N, T, H) -> (B, T, N * H)"""
    batch, num_heads, length, dim = heads.shape
    return heads.swapaxes(1, 2).reshape(batch, length, num_heads * dim)


def self_attention(
    hidden,
    weights,
    num_heads,
    num_key_value_heads=None,
    mask=None,
    positions=None,
    max_wavelength=10000.0,
    norm_epsilon=1e-6,
    name="",
    return_weights=False,
    **scoring,
):
    """Rotary if `positions`, a (T,) or one (T,) for each row, are given; `scoring` as `attend`."""
    kv_heads = num_key_value_heads or num_heads
    projected = dense(hidden, weights, f"{name}query_key_value")
    size = projected.shape[-1] // (num_heads + 2 * kv_heads)
    query = heads_of(projected[..., : num_heads * size], num_heads)
    key = heads_of(projected[..., num_heads * size : (num_heads + kv_heads) * size], kv_heads)
    value = heads_of(projected[..., (num_heads + kv_heads) * size :], kv_heads)
    if f"{name}query_norm/scale" in weights:
        query = rms_norm(query, weights[f"{name}query_norm/scale"], norm_epsilon)
        key = rms_norm(key, weights[f"{name}key_norm/scale"], norm_epsilon)
    if positions is not None:
        rows = np.broadcast_to(positions, hidden.shape[:2])
        query, key = (
            np.stack([rotate(x, row, max_wavelength) for x, row in zip(heads, rows, strict=True)])
            for heads in (query, key)
        )
    mixed = dense(merge(attend(query, key, value, mask, **scoring)), weights, f"{name}output")
    return (mixed, attention_weights(query, key, mask, **scoring)) if return_weights else mixed


def cross_attention(
    hidden, context, weights, num_heads, num_key_value_heads=None, mask=None, name="", scale=None
):
    kv_heads = num_key_value_heads or num_heads
    query = heads_of(dense(hidden, weights, f"{name}query"), num_heads)
    key, value = np.split(dense(context, weights, f"{name}key_value"), 2, axis=-1)
    mixed = attend(query, heads_of(key, kv_heads), heads_of(value, kv_heads), mask, scale=scale)
    return dense(merge(mixed), weights, f"{name}output")


def feed_forward(hidden, weights, activation="gelu", name=""):
    wide = dense(hidden, weights, f"{name}intermediate")
    if f"{name}gate/kernel" in weights:
        wide = ACTIVATIONS[activation](dense(hidden, weights, f"{name}gate")) * wide
    else:
        wide = ACTIVATIONS[activation](wide)
    return dense(wide, weights, f"{name}output")


def distance_bucket(distance, bidirectional, num_buckets, max_distance):
    """T5's bucket of a key `distance` behind its query, in whole numbers and so exactly.

    A side of n buckets has s = n // 2 for single distances; the k-th one after them begins where
    (d / s) ** (n - s) reaches (max_distance / s) ** k.
    """
    first, side = 0, num_buckets
    if bidirectional:
        side = num_buckets // 2
        first = side if distance > 0 else 0
    elif distance > 0:
        distance = 0
    far, single = abs(distance), side // 2
    if far < single:
        return first + far
    wide = side - single
    reached = [k for k in range(wide) if far**wide * single**k >= max_distance**k * single**wide]
    return first + single + reached[-1]
