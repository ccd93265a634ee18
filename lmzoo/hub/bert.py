"""BERT, RoBERTa and DistilBERT in Hugging Face's words: the keys of config.json."""

from lmzoo.hub.bert_variables import MAX_SIZES
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size

__all__ = ["MODEL_TYPES", "find_model_type", "make_arguments", "make_config"]

# transformers' names -> ours. The first of ours is written back.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}
_BERT = {
    "vocabulary_size": ("vocab_size", 30522),
    "num_layers": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "hidden_dim": ("hidden_size", 768),
    "intermediate_dim": ("intermediate_size", 3072),
    "max_sequence_length": ("max_position_embeddings", 512),
    "num_segments": ("type_vocab_size", 2),
    "activation": ("hidden_act", "gelu"),
    "dropout": ("hidden_dropout_prob", 0.1),
    "norm_epsilon": ("layer_norm_eps", 1e-12),
    "initializer_range": ("initializer_range", 0.02),
}
# model type -> our argument -> its key and what a missing key stands for
_FIELDS = {
    "bert": _BERT,
    "roberta": {**_BERT, "vocabulary_size": ("vocab_size", 50265)},
    "distilbert": {
        "vocabulary_size": ("vocab_size", 30522),
        "num_layers": ("n_layers", 6),
        "num_heads": ("n_heads", 12),
        "hidden_dim": ("dim", 768),
        "intermediate_dim": ("hidden_dim", 3072),
        "max_sequence_length": ("max_position_embeddings", 512),
        "activation": ("activation", "gelu"),
        "dropout": ("dropout", 0.1),
        "initializer_range": ("initializer_range", 0.02),
    },
}
# What DistilBERT has no key for.
_DISTILBERT = {"num_segments": 0, "norm_epsilon": 1e-12}
_ATTENTION_DROPOUT = {
    "bert": "attention_probs_dropout_prob",
    "roberta": "attention_probs_dropout_prob",
    "distilbert": "attention_dropout",
}
MODEL_TYPES = tuple(_FIELDS)


def make_arguments(config):
    """The arguments of `BertBackbone`, but `pooler`, for a config.json of one of `MODEL_TYPES`.

    The hidden states' dropout stands for that of the attention weights too, which are one here.

    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            the backbone does not do.
    """
    model_type = read_choice(config, "model_type", None, MODEL_TYPES)
    _check_fixed(config)
    fields = _FIELDS[model_type]
    arguments = {"position_offset": 0, **({} if "num_segments" in fields else _DISTILBERT)}
    for ours, (theirs, default) in fields.items():
        if ours in MAX_SIZES:
            arguments[ours] = read_size(config, theirs, default, MAX_SIZES[ours])
    for ours, lowest, highest in (
        *(("dropout", 0, 0.999), ("norm_epsilon", 0, 1)),
        ("initializer_range", 0, 1000),
    ):
        if ours in fields:
            arguments[ours] = read_number(config, *fields[ours], lowest, highest)
    activation = read_choice(config, *fields["activation"], _ACTIVATIONS)
    arguments["activation"] = _ACTIVATIONS[activation]
    if model_type == "roberta":
        _shift_positions(config, arguments)
    return arguments


def _check_fixed(config):
    for name, only in (("is_decoder", False), ("add_cross_attention", False)):
        if read_flag(config, name, only) is not only:
            raise ValueError(f"`{name}` must be {only}. Received: {name}={config[name]!r:.80}.")
    read_choice(config, "position_embedding_type", "absolute", ("absolute",))


def _shift_positions(config, arguments):
    """RoBERTa counts positions from behind its padding id, and its table has rows before them."""
    name = "pad_token_id"
    pad = config.get(name, 1)
    highest = arguments["max_sequence_length"] - 2
    if type(pad) is not int or not 0 <= pad <= highest:
        raise ValueError(
            f"`{name}` must be an integer from 0 to {highest}, since positions begin behind it. "
            f"Received: {name}={pad!r:.80}."
        )
    arguments["position_offset"] = pad + 1
    arguments["max_sequence_length"] -= pad + 1


def find_model_type(backbone):
    """The model type that can express a backbone's options, or None if there is none."""
    if backbone.activation not in _ACTIVATIONS.values():
        return None
    if backbone.relative_attention or backbone.embedding_dim not in (None, backbone.hidden_dim):
        return None
    if backbone.num_segments == 0:
        fits = not backbone.position_offset and not backbone.pooler
        return "distilbert" if fits and backbone.norm_epsilon == 1e-12 else None
    return "roberta" if backbone.position_offset else "bert"


def make_config(backbone):
    """The config.json of a backbone that has a model type, as a dict."""
    model_type = find_model_type(backbone)
    activations = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    config = {"model_type": model_type, _ATTENTION_DROPOUT[model_type]: backbone.dropout}
    for ours, (theirs, _) in _FIELDS[model_type].items():
        config[theirs] = getattr(backbone, ours)
    config[_FIELDS[model_type]["activation"][0]] = activations[backbone.activation]
    config["max_position_embeddings"] += backbone.position_offset
    if model_type == "roberta":
        config["pad_token_id"] = backbone.position_offset - 1
    return config
