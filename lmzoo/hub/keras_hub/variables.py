"""Where KerasHub keeps the weights of the models that lmzoo has too."""

import numpy as np

__all__ = ["copy_from", "copy_to", "pair_variables"]

_SELF_ATTENTION = ("self_attention/query", "self_attention/key", "self_attention/value")
# Our layer -> the layers below one of KerasHub's blocks that lie side by side in it.
_BLOCK = {
    "self_attention/query_key_value": _SELF_ATTENTION,
    "self_attention/output": ("self_attention/attention_output",),
    "self_attention_norm": ("self_attention_layer_norm",),
    "feed_forward/intermediate": ("feedforward_intermediate_dense",),
    "feed_forward/output": ("feedforward_output_dense",),
    "feed_forward_norm": ("feedforward_layer_norm",),
}
# Our layer -> the attributes of a layer of KerasHub's T5, whose paths are not unique.
_T5_BLOCK = {
    "self_attention/query_key_value": (
        *("self_attention.query_projector", "self_attention.key_projector"),
        "self_attention.value_projector",
    ),
    "self_attention/output": ("self_attention.output_projector",),
    "self_attention_norm": ("self_attention_layer_norm",),
    "cross_attention/query": ("cross_attention.query_projector",),
    "cross_attention/key_value": (
        *("cross_attention.key_projector", "cross_attention.value_projector"),
    ),
    "cross_attention/output": ("cross_attention.output_projector",),
    "cross_attention_norm": ("cross_attention_layer_norm",),
    # What is activated stands in "gate" here, where there is one, and in the first there.
    "feed_forward/intermediate": ("input_projector",),
    "feed_forward/gate": ("input_projector",),
    "feed_forward/output": ("output_projector",),
    "feed_forward_norm": ("layer_norm",),
}


def pair_variables(paths, backbone):
    """Finds for each of our variables those of KerasHub that lie side by side in it.

    Args:
        paths: iterable of str. The paths of our variables.
        backbone: a backbone of KerasHub of the same family and sizes.
    Returns:
        dict of our path -> tuple of KerasHub's variables.
    Raises:
        ValueError: if one of KerasHub's has no place or two.
    """
    is_t5 = hasattr(backbone, "encoder_transformer_layers")
    find = _find_in_t5 if is_t5 else _find_by_path
    table = {} if is_t5 else {_find_below(v.path): v for v in backbone.weights}
    pairs = {path: find(backbone, path, table) for path in paths}
    taken = [id(variable) for found in pairs.values() for variable in found]
    left = [v.path for v in backbone.weights if taken.count(id(v)) != 1]
    if left:
        raise ValueError(
            "Each of KerasHub's weights must have one place here. Received: "
            f"{', '.join(left)} of {type(backbone).__name__}."
        )
    return pairs


def _find_below(path):
    """A variable's path in the words of GPT-2, which the other families vary."""
    for name in ("token_and_position_embedding/", "embeddings/"):
        path = path.removeprefix(name)
    return path.replace("/self_attention_layer/", "/self_attention/")


def _find_by_path(backbone, path, table):
    layer, _, kind = path.rpartition("/")
    block, _, below = layer.partition("/")
    if block.startswith("block_"):
        index = block.removeprefix("block_")
        layers = tuple(f"transformer_layer_{index}/{name}" for name in _BLOCK[below])
    else:
        layers = {
            "embedding_norm": ("embeddings_layer_norm",),
            "final_norm": ("layer_norm",),
            "pooler": ("pooled_dense",),
        }.get(layer, (layer,))
    return tuple(table[f"{name}/{kind}"] for name in layers)


def _find_in_t5(backbone, path, _):
    layer, _, kind = path.rpartition("/")
    if layer == "token_embedding":
        table = backbone.token_embedding
        return (table.embeddings if kind == "embeddings" else table.reverse_embeddings,)
    stack, _, rest = layer.partition("_")
    layers = getattr(backbone, f"{stack}_transformer_layers")
    if rest == "bias":
        return (layers[0].self_attention.relative_attention_bias,)
    if rest == "norm":
        return (getattr(backbone, f"{stack}_layer_norm").weight,)
    block, _, below = rest.partition("/")
    found = []
    names = _T5_BLOCK[below]
    if below == "feed_forward/intermediate" and backbone.use_gated_activation:
        names = ("gate_projector",)
    for name in names:
        place = layers[int(block.removeprefix("block_"))]
        for attribute in name.split("."):
            place = getattr(place, attribute)
        found.append(place.weight if kind == "scale" else place.kernel)
    return tuple(found)


def copy_from(pairs, variables):
    """Gives our variables KerasHub's values.

    Args:
        pairs: dict, as `pair_variables` gives it.
        variables: dict of path -> our variable.
    """
    for path, found in pairs.items():
        shape = _part_shape(path, variables[path].shape, len(found))
        parts = [_turn(path, np.asarray(variable.value)).reshape(shape) for variable in found]
        variables[path].assign(np.concatenate(parts, axis=-1))


def copy_to(pairs, values):
    """Gives KerasHub's variables our values.

    Args:
        pairs: dict, as `pair_variables` gives it.
        values: dict of path -> array.
    """
    for path, found in pairs.items():
        parts = np.split(values[path], len(found), axis=-1)
        for variable, part in zip(found, parts, strict=True):
            variable.assign(_turn(path, part).reshape(variable.shape))


def _part_shape(path, shape, count):
    return (*shape[:-1], shape[-1] // count)


def _turn(path, array):
    # KerasHub keeps a head of its own as (D, V).
    return array.T if path.endswith("/output_embeddings") else array
