"""The variables of a GPT backbone by its arguments alone: nothing is built to know them."""

__all__ = ["MAX_SIZES", "variable_shapes"]

# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    "vocabulary_size": 2**24,
    "num_layers": 2**10,
    "num_heads": 2**12,
    "hidden_dim": 2**18,
    "intermediate_dim": 2**20,
    "max_sequence_length": 2**24,
    "num_key_value_heads": 2**12,
    "head_dim": 2**16,
    "sliding_window": 2**24,
}


def variable_shapes(arguments):
    """dict of path below the backbone -> shape.

    Args:
        arguments: dict of all arguments of `GPTBackbone` but name and dtype; missing ones are those
            of GPT-2.
    Raises:
        ValueError: if the head counts do not divide.
    """
    dim, vocabulary = arguments["hidden_dim"], arguments["vocabulary_size"]
    shapes = {"token_embedding/embeddings": (vocabulary, dim)}
    if not arguments.get("tied", True):
        shapes["token_embedding/output_embeddings"] = (vocabulary, dim)
    if arguments.get("positions", "learned") == "learned":
        length = arguments["max_sequence_length"]
        shapes["position_embedding/embeddings"] = (length, dim)
    block = _block_shapes(arguments)
    for index in range(arguments["num_layers"]):
        shapes |= {f"block_{index}/{path}": shape for path, shape in block.items()}
    return shapes | _norm_shapes("final_norm", arguments)


def _block_shapes(arguments):
    dim, heads = arguments["hidden_dim"], arguments["num_heads"]
    shared = arguments.get("num_key_value_heads") or heads
    if heads % shared:
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_key_value_heads={shared}, num_heads={heads}."
        )
    head_dim = arguments.get("head_dim")
    if head_dim is None and dim % heads:
        raise ValueError(
            f"`num_heads` must divide `hidden_dim`. Received: num_heads={heads}, hidden_dim={dim}."
        )
    head_dim = head_dim or dim // heads
    if arguments.get("positions") == "rotary" and head_dim % 2:
        raise ValueError(f"`head_dim` must be even. Received: head_dim={head_dim}.")
    use_bias = arguments.get("use_bias", True)
    attention_bias = arguments.get("use_attention_bias")
    output_bias = arguments.get("use_output_bias")
    wide = arguments.get("intermediate_dim") or 4 * dim
    dense = {
        "self_attention/query_key_value": (
            dim,
            (heads + 2 * shared) * head_dim,
            use_bias if attention_bias is None else attention_bias,
        ),
        "self_attention/output": (
            heads * head_dim,
            dim,
            use_bias if output_bias is None else output_bias,
        ),
        "feed_forward/intermediate": (dim, wide, use_bias),
        "feed_forward/output": (wide, dim, use_bias),
    }
    if arguments.get("gated", False):
        dense["feed_forward/gate"] = (dim, wide, use_bias)
    shapes = {}
    for path, (inputs, outputs, has_bias) in dense.items():
        shapes[f"{path}/kernel"] = (inputs, outputs)
        if has_bias:
            shapes[f"{path}/bias"] = (outputs,)
    if arguments.get("query_key_norm"):
        for name in ("query_norm", "key_norm"):
            shapes[f"self_attention/{name}/scale"] = (head_dim,)
    for name in ("self_attention_norm", "feed_forward_norm"):
        shapes |= _norm_shapes(name, arguments)
    return shapes


def _norm_shapes(name, arguments):
    shape = (arguments["hidden_dim"],)
    if arguments.get("norm", "layer_norm") == "rms_norm":
        return {f"{name}/scale": shape}
    return {f"{name}/gamma": shape, f"{name}/beta": shape}
