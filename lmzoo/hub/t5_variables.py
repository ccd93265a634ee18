"""The variables of a T5 backbone by its arguments alone: nothing is built to know them."""

__all__ = ["MAX_SIZES", "variable_shapes"]

# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    "vocabulary_size": 2**24,
    "num_layers": 2**9,
    "num_decoder_layers": 2**9,
    "num_heads": 2**12,
    "hidden_dim": 2**18,
    "head_dim": 2**16,
    "intermediate_dim": 2**20,
    "max_sequence_length": 2**24,
    "num_buckets": 2**16,
    "max_distance": 2**20,
}


def variable_shapes(arguments):
    """dict of path below the backbone -> shape.

    Args:
        arguments: dict of the sizes, `gated` and `tied` of `T5Backbone`.
    """
    dim, vocabulary = arguments["hidden_dim"], arguments["vocabulary_size"]
    shapes = {"token_embedding/embeddings": (vocabulary, dim)}
    if not arguments["tied"]:
        shapes["token_embedding/output_embeddings"] = (vocabulary, dim)
    for stack, count in (
        ("encoder", arguments["num_layers"]),
        ("decoder", arguments["num_decoder_layers"]),
    ):
        block = _block_shapes(arguments, cross_attention=stack == "decoder")
        for index in range(count):
            shapes |= {f"{stack}_block_{index}/{path}": shape for path, shape in block.items()}
        buckets = (arguments["num_buckets"], arguments["num_heads"])
        shapes |= {f"{stack}_bias/embeddings": buckets, f"{stack}_norm/scale": (dim,)}
    return shapes


def _block_shapes(arguments, cross_attention):
    dim, wide = arguments["hidden_dim"], arguments["intermediate_dim"]
    heads = arguments["num_heads"] * arguments["head_dim"]
    shapes = {
        "self_attention/query_key_value/kernel": (dim, 3 * heads),
        "self_attention/output/kernel": (heads, dim),
        "self_attention_norm/scale": (dim,),
        "feed_forward/intermediate/kernel": (dim, wide),
        "feed_forward/output/kernel": (wide, dim),
        "feed_forward_norm/scale": (dim,),
    }
    if arguments["gated"]:
        shapes["feed_forward/gate/kernel"] = (dim, wide)
    if cross_attention:
        shapes |= {
            "cross_attention/query/kernel": (dim, heads),
            "cross_attention/key_value/kernel": (dim, 2 * heads),
            "cross_attention/output/kernel": (heads, dim),
            "cross_attention_norm/scale": (dim,),
        }
    return shapes
