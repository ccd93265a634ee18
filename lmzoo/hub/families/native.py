"""lmzoo's own layouts, for options that no layout of transformers expresses.

config.json holds every argument of the backbone, and each variable is a tensor under its own path.
Only lmzoo opens such a folder.
"""

from lmzoo.hub.families import bert, gpt2, t5
from lmzoo.hub.families.family import SIZE_KEYS, Family
from lmzoo.hub.families.head import Head
from lmzoo.hub.families.rotary_config import read_scaling
from lmzoo.hub.files.config_validation import (
    Field,
    choice_field,
    flag_field,
    number_field,
    read_fields,
    size_field,
)

__all__ = ["ACTIVATIONS", "BACKBONE", "FAMILIES", "NOT_STORED", "read_object"]

# The key of config.json under which the arguments of the backbone stand.
BACKBONE = "lmzoo_backbone"
# By name and never by `keras.activations.get`, which makes whatever object a dict describes.
ACTIVATIONS = (
    *("elu", "gelu", "gelu_tanh", "hard_silu", "leaky_relu", "linear", "mish", "relu", "relu6"),
    *("selu", "sigmoid", "silu", "softplus", "swish", "tanh"),
)
# Arguments of a backbone that a caller chooses anew each time.
NOT_STORED = ("name", "dtype", "trainable", "remat", "attention_chunks")
_ACTIVATION = choice_field("activation", None, {name: name for name in ACTIVATIONS})


def _sizes(max_sizes, *names, lowest=1, optional=False):
    return {
        name: size_field(name, max_sizes[name], lowest=lowest, optional=optional) for name in names
    }


def _numbers(**ranges):
    return {name: number_field(name, *limits) for name, limits in ranges.items()}


def _flags(*names, optional=False):
    return {name: flag_field(name, optional=optional) for name in names}


def _words(name, *choices):
    return {name: choice_field(name, None, {choice: choice for choice in choices})}


_RATES = {"norm_epsilon": (0, 1), "dropout": (0, 0.999), "initializer_range": (0, 1000)}
_BERT = {
    **_sizes(bert.MAX_SIZES, "vocabulary_size", "num_layers", "num_heads", "hidden_dim"),
    **_sizes(bert.MAX_SIZES, "intermediate_dim", "max_sequence_length"),
    **_sizes(bert.MAX_SIZES, "num_segments", "position_offset", lowest=0),
    **_sizes(bert.MAX_SIZES, "num_buckets", "max_distance"),
    **_sizes(bert.MAX_SIZES, "embedding_dim", optional=True),
    **_numbers(**_RATES),
    **_flags("pooler", "relative_attention"),
    "activation": _ACTIVATION,
}
_GPT = {
    **_sizes(gpt2.MAX_SIZES, "vocabulary_size", "num_layers", "num_heads", "hidden_dim"),
    **_sizes(gpt2.MAX_SIZES, "intermediate_dim", "max_sequence_length", "num_key_value_heads"),
    **_sizes(gpt2.MAX_SIZES, "head_dim", "sliding_window", optional=True),
    **_numbers(max_wavelength=(1e-3, 1e12), **_RATES),
    **_flags("gated", "query_key_norm", "use_bias", "tied"),
    **_flags("use_attention_bias", "use_output_bias", optional=True),
    "rotary_scaling": Field("rotary_scaling", read_scaling),
    **_words("positions", "learned", "rotary"),
    **_words("norm", "layer_norm", "rms_norm"),
    "activation": _ACTIVATION,
}
_T5 = {
    **_sizes(t5.MAX_SIZES, *t5.MAX_SIZES),
    **_numbers(norm_epsilon=(0, 1), dropout=(0, 0.999), initializer_factor=(0, 1000)),
    **_flags("gated", "tied"),
    "activation": _ACTIVATION,
}
# Arguments that a folder of an earlier version does not have.
_ADDED = {
    "lmzoo_bert": {
        "embedding_dim": None,
        "relative_attention": False,
        "num_buckets": 32,
        "max_distance": 128,
    },
    "lmzoo_gpt": {"rotary_scaling": None, "use_output_bias": None, "query_key_norm": False},
    "lmzoo_t5": {},
}
_FIELDS = {"lmzoo_bert": _BERT, "lmzoo_gpt": _GPT, "lmzoo_t5": _T5}
_CLASS_NAMES = {"lmzoo_bert": "BertBackbone", "lmzoo_gpt": "GPTBackbone", "lmzoo_t5": "T5Backbone"}


def read_object(config, name=BACKBONE):
    """An object of ours in a config.json.

    Raises:
        ValueError: if it is missing, or something else.
    """
    found = config.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"`{name}` must be an object. Received: {found!r:.80}.")
    return found


def _read_arguments(config):
    model_type = config["model_type"]
    found = {**_ADDED[model_type], **read_object(config)}
    arguments = read_fields(found, _FIELDS[model_type])
    # No default of a later version may change a model.
    wrong = sorted(found.keys() ^ arguments.keys())
    if wrong:
        raise ValueError(
            f"`{BACKBONE}` must hold each argument of `{_CLASS_NAMES[model_type]}` and no other. "
            f"Received: a config in which {wrong!r:.80} is missing or unknown."
        )
    if model_type == "lmzoo_t5":
        names = ("num_buckets", "max_distance")
        t5.check_buckets(*(arguments[name] for name in names), names)
    return arguments


def _make_config(backbone, model_type):
    own = {k: value for k, value in backbone.get_config().items() if k not in NOT_STORED}
    return {"model_type": model_type, BACKBONE: own}


# The discriminative tasks that take any backbone.
_READING = ("TextClassifier", "TokenClassifier", "TextEmbedder")


def _make_family(model_type, name, heads, backbone, shapes, head_options=None, **options):
    return Family(
        name=name,
        backbone=backbone,
        classes={model_type: ""},
        heads={
            task: Head(endings=(task,), options=(head_options or {}).get(task, {}))
            for task in heads
        },
        read_arguments=_read_arguments,
        make_config=_make_config,
        variable_shapes=shapes,
        size_keys={name: name for name in SIZE_KEYS},
        is_native=True,
        **options,
    )


FAMILIES = (
    _make_family(
        *("lmzoo_bert", "BERT"),
        ("MaskedLM", "TextClassifier", "TokenClassifier", "QuestionAnswerer", "TextEmbedder"),
        *(bert.BACKBONE, bert.variable_shapes),
        plain_task="TextEmbedder",
        complete=bert.complete,
    ),
    _make_family(
        *("lmzoo_gpt", "GPT", ("CausalLM", *_READING), gpt2.BACKBONE, gpt2.variable_shapes),
        plain_task="CausalLM",
        default_task="CausalLM",
        complete=gpt2.complete,
        # As the classes of transformers on decoders have it.
        head_options={"TextClassifier": {"use_bias": False}},
    ),
    _make_family(
        *("lmzoo_t5", "T5", ("Seq2SeqLM", *_READING), t5.BACKBONE, t5.variable_shapes),
        plain_task="Seq2SeqLM",
        default_task="Seq2SeqLM",
        read_options=t5.read_options,
        initializer="initializer_factor",
        embedding_stddev=lambda backbone: (
            (backbone.initializer_factor or 1) * backbone.hidden_dim**-0.5
        ),
    ),
)
