"""The variables of an encoder and of its heads by their arguments alone: nothing is built."""

__all__ = ["MAX_SIZES", "head_shapes", "variable_shapes"]

# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    "vocabulary_size": 2**24,
    "num_layers": 2**10,
    "num_heads": 2**12,
    "hidden_dim": 2**18,
    "intermediate_dim": 2**20,
    "max_sequence_length": 2**24,
    "num_segments": 2**16,
    "position_offset": 2**24,
    "embedding_dim": 2**18,
    "num_buckets": 2**16,
    "max_distance": 2**20,
}


def variable_shapes(arguments):
    """dict of path below the backbone -> shape.

    Args:
        arguments: dict of the sizes, `pooler` and `position_offset` of `BertBackbone`, and where
            there are such, `embedding_dim`, `relative_attention` and `num_buckets`.
    Raises:
        ValueError: if the heads do not divide the width.
    """
    dim, heads = arguments["hidden_dim"], arguments["num_heads"]
    if dim % heads:
        raise ValueError(
            f"`num_heads` must divide `hidden_dim`. Received: num_heads={heads}, hidden_dim={dim}."
        )
    width = arguments.get("embedding_dim") or dim
    length = arguments["max_sequence_length"] + arguments["position_offset"]
    shapes = {
        "token_embedding/embeddings": (arguments["vocabulary_size"], width),
        "position_embedding/embeddings": (length, width),
    }
    if arguments["num_segments"]:
        shapes["segment_embedding/embeddings"] = (arguments["num_segments"], width)
    shapes |= _norm_shapes("embedding_norm", width)
    if width != dim:
        shapes |= _dense_shapes("embedding_projection", width, dim)
    if arguments.get("relative_attention"):
        shapes["relative_position_bias/embeddings"] = (arguments["num_buckets"], heads)
    wide = arguments["intermediate_dim"]
    for index in range(arguments["num_layers"]):
        block = f"block_{index}"
        shapes |= _dense_shapes(f"{block}/self_attention/query_key_value", dim, 3 * dim)
        shapes |= _dense_shapes(f"{block}/self_attention/output", dim, dim)
        shapes |= _norm_shapes(f"{block}/self_attention_norm", dim)
        shapes |= _dense_shapes(f"{block}/feed_forward/intermediate", dim, wide)
        shapes |= _dense_shapes(f"{block}/feed_forward/output", wide, dim)
        shapes |= _norm_shapes(f"{block}/feed_forward_norm", dim)
    if arguments["pooler"]:
        shapes |= _dense_shapes("pooler", dim, dim)
    return shapes


def head_shapes(head, arguments):
    """dict of path, "head/" and what follows below the head, -> shape.

    Args:
        head: dict of the arguments of `MaskedLMHead`, or of `num_classes` and `hidden_activation`
            of `ClassificationHead`; None without a head.
        arguments: dict as for `variable_shapes`.
    """
    dim = arguments["hidden_dim"]
    if head is None:
        return {}
    if "vocabulary_size" in head:
        width = arguments.get("embedding_dim") or dim
        shapes = _dense_shapes("head/dense", dim, width) | _norm_shapes("head/norm", width)
        return {**shapes, "head/bias": (head["vocabulary_size"],)}
    shapes = _dense_shapes("head/output", dim, head["num_classes"])
    if head["hidden_activation"] is not None:
        shapes |= _dense_shapes("head/hidden", dim, dim)
    return shapes


def _dense_shapes(path, inputs, outputs):
    return {f"{path}/kernel": (inputs, outputs), f"{path}/bias": (outputs,)}


def _norm_shapes(path, dim):
    return {f"{path}/gamma": (dim,), f"{path}/beta": (dim,)}
