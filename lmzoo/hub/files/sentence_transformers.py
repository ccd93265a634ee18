"""The files of sentence-transformers: modules.json and the configs of its modules."""

from typing import NamedTuple

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_size
from lmzoo.hub.files.safetensors import read_header
from lmzoo.hub.tensor_mapping import TensorSources
from lmzoo.json_files import read_json, write_json

__all__ = [
    *("FILES", "PROJECTION_FOLDER", "EmbedderConfig", "Projection", "apply_lower_case"),
    *("is_projection_tensor", "map_projection", "read_embedder_config", "read_projection_header"),
    "write_embedder",
]

_MODULES, _PROMPTS = "modules.json", "config_sentence_transformers.json"
# Older releases name the file by the model type. The first one that is not empty counts.
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_POOLING, PROJECTION_FOLDER = "1_Pooling", "2_Dense"
_PROJECTION_CONFIG = f"{PROJECTION_FOLDER}/config.json"
_PROJECTION = f"{PROJECTION_FOLDER}/model.safetensors"
# Before the names of the projection's tensors, to tell them from those of the backbone.
_PREFIX = f"{PROJECTION_FOLDER}/"
FILES = (
    *(_MODULES, _PROMPTS, *_TRANSFORMER_CONFIGS, f"{_POOLING}/config.json"),
    *(_PROJECTION_CONFIG, _PROJECTION, "2_Normalize/config.json", "3_Normalize/config.json"),
)
# Flags of older files, one for each pooling mode. Newer files have `pooling_mode`.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_UNKNOWN_FLAGS = ("pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")
# Class in torch.nn -> activation of Keras, and the module in which torch defines it.
_ACTIVATIONS = {
    "Tanh": ("tanh", "activation"),
    "Identity": ("linear", "linear"),
    "ReLU": ("relu", "activation"),
    "GELU": ("gelu", "activation"),
    "SiLU": ("silu", "activation"),
    "Sigmoid": ("sigmoid", "activation"),
}
_MAX_LENGTH, _MAX_WIDTH = 2**24, 2**18
_ORDERS = [
    ("Transformer", "Pooling", *dense, *normalize)
    for dense in ((), ("Dense",))
    for normalize in ((), ("Normalize",))
]


class Projection(NamedTuple):
    """A Dense module: the linear layer and the activation behind the pooling.

    input_dim, output_dim: int.
    bias: bool.
    activation: str. As Keras names it.
    """

    input_dim: int
    output_dim: int
    bias: bool
    activation: str

    def shapes(self):
        """dict of the path of each variable of a `TextEmbedder`'s head -> its shape."""
        shapes = {"head/kernel": (self.input_dim, self.output_dim)}
        return {**shapes, "head/bias": (self.output_dim,)} if self.bias else shapes


class EmbedderConfig(NamedTuple):
    """What the files say beside the backbone.

    pooling: "mean", "cls", "max" or "last".
    normalize: bool.
    sequence_length: int or None. The longest input in tokens.
    hidden_dim: int or None. Width of the hidden states, if the files have it.
    projection: Projection or None.
    """

    pooling: str
    normalize: bool
    sequence_length: int | None
    hidden_dim: int | None
    projection: Projection | None

    def make_options(self, arguments):
        """Options of a `TextEmbedder` on a backbone with these arguments, as dict.

        Raises:
            ValueError: if the backbone has another hidden size.
        """
        if self.hidden_dim not in (None, arguments["hidden_dim"]):
            raise ValueError(
                "`word_embedding_dimension` must be the backbone's size, "
                f"{arguments['hidden_dim']}. Received: {self.hidden_dim}."
            )
        options = {"pooling": self.pooling, "normalize": self.normalize}
        longest = arguments["max_sequence_length"]
        if self.sequence_length is not None and self.sequence_length < longest:
            options["sequence_length"] = self.sequence_length
        if self.projection is not None:
            if self.projection.input_dim != arguments["hidden_dim"]:
                raise ValueError(
                    "`in_features` must be the backbone's size, "
                    f"{arguments['hidden_dim']}. Received: {self.projection.input_dim} in "
                    f"{_PROJECTION_CONFIG}."
                )
            options["projection_dim"] = self.projection.output_dim
            options["projection_bias"] = self.projection.bias
            options["projection_activation"] = self.projection.activation
        return options


def read_embedder_config(folder):
    """Reads modules.json and the configs of its modules.

    The class names are compared with known ones and never imported, and the paths must be those
    that sentence-transformers writes.

    Args:
        folder: pathlib.Path.
    Returns:
        EmbedderConfig, or None if there is no modules.json.
    Raises:
        FileNotFoundError: if a module lacks a file.
        ValueError: if a file is broken, a default prompt is set, or the modules are not a
            Transformer, a Pooling and, optionally, a Dense and a Normalize in this order, in forms
            that a `TextEmbedder` has.
    """
    if not (folder / _MODULES).exists():
        return None
    modules = read_json(folder / _MODULES, kind=list)
    kinds, paths = [], {}
    for index, module in enumerate(modules):
        kind, path = _read_module(module, index)
        kinds.append(kind)
        paths[kind] = path
    if tuple(kinds) not in _ORDERS:
        raise ValueError(
            f"{_MODULES} must list a Transformer, a Pooling in {_POOLING} and, optionally, a Dense "
            f"in {PROJECTION_FOLDER} and a Normalize behind them. Received: {modules!r:.600}."
        )
    if paths["Transformer"]:
        raise ValueError(
            f"{_MODULES} must have its transformer in the folder itself. Received: "
            f"path={paths['Transformer']!r:.80}. Save it again with sentence-transformers."
        )
    _check_prompts(folder)
    pooling, width = _read_pooling(read_json(folder / _POOLING / "config.json"))
    projection = None
    if "Dense" in paths:
        projection = _read_projection(read_json(folder / _PROJECTION_CONFIG))
        if not (folder / _PROJECTION).is_file():
            raise FileNotFoundError(
                f"A folder with a Dense module must hold {_PROJECTION}. Received: {str(folder)!r}. "
                "Pickled weights are never opened: save it again with sentence-transformers."
            )
    if "Normalize" in paths:
        config = folder / paths["Normalize"] / "config.json"
        _check_features(read_json(config) if config.exists() else {})
    return EmbedderConfig(pooling, "Normalize" in paths, _read_length(folder), width, projection)


def _read_module(module, index):
    """The kind and the path of a module; (None, None) if it is unknown."""
    kind, path = (module.get(key) if isinstance(module, dict) else None for key in ("type", "path"))
    kind = kind.rpartition(".")[2] if isinstance(kind, str) else None
    if kind == "Transformer":
        return (kind, path) if path in ("", "0_Transformer") else (None, None)
    known = kind in ("Pooling", "Dense", "Normalize") and path == f"{index}_{kind}"
    return (kind, path) if known else (None, None)


def _check_prompts(folder):
    path = folder / _PROMPTS
    name = read_json(path).get("default_prompt_name") if path.exists() else None
    if name is not None:
        raise ValueError(
            "`default_prompt_name` must be null: lmzoo adds no prompt to the texts. Received: "
            f"default_prompt_name={name!r:.80}. Add the prompt to your texts and set it to null."
        )


def _read_pooling(config):
    """The pooling mode, and the width of the hidden states or None."""
    active = [name for name in _UNKNOWN_FLAGS if read_flag(config, name, False)]
    active += [mode for flag, mode in _FLAGS.items() if read_flag(config, flag, False)]
    pooling = config.get("pooling_mode", active[0] if len(active) == 1 else active or "mean")
    if isinstance(pooling, list) and len(pooling) == 1:
        pooling = pooling[0]
    pooling = read_choice({"pooling_mode": pooling}, "pooling_mode", None, _FLAGS.values())
    widths = (
        read_size(config, name, None, _MAX_WIDTH, optional=True)
        for name in ("word_embedding_dimension", "embedding_dimension")
    )
    return pooling, next((width for width in widths if width is not None), None)


def _read_projection(config):
    _check_features(config)
    if read_flag(config, "use_residual", False):
        raise ValueError(
            f"`use_residual` must be false in {_PROJECTION_CONFIG}. Received: use_residual=True."
        )
    names = {
        f"torch.nn.{module}{name}": keras_name
        for name, (keras_name, home) in _ACTIVATIONS.items()
        for module in ("", f"modules.{home}.")
    }
    default = "torch.nn.modules.activation.Tanh"
    return Projection(
        read_size(config, "in_features", None, _MAX_WIDTH),
        read_size(config, "out_features", None, _MAX_WIDTH),
        read_flag(config, "bias", True),
        names[read_choice(config, "activation_function", default, names)],
    )


def _check_features(config):
    """Refuses a module that reads or writes something else than the text's embedding."""
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in (None, "sentence_embedding"):
            read_choice(config, name, None, ("sentence_embedding",))


def _read_transformer_config(folder):
    """The pair (name of the file, its content); (None, {}) if all are absent or empty."""
    for name in _TRANSFORMER_CONFIGS:
        if (folder / name).exists() and (found := read_json(folder / name)):
            return name, found
    return None, {}


def _read_length(folder):
    """The longest input in tokens. Newer folders have it with the tokenizer."""
    length = _read_transformer_config(folder)[1].get("max_seq_length")
    path = folder / "tokenizer_config.json"
    if not _is_length(length) and path.exists():
        length = read_json(path).get("model_max_length")
    return length if _is_length(length) else None


def _is_length(value):
    # Tokenizers without a limit have 10^30.
    return type(value) is int and 0 < value <= _MAX_LENGTH


def read_projection_header(folder):
    """Reads the header of the weights of a Dense module.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of tensor name, for which `is_projection_tensor` is True, -> TensorInfo; empty without
        a Dense module or its file.
    Raises:
        ValueError: if a file is broken.
    """
    if not (folder / _MODULES).exists() or not (folder / _PROJECTION).exists():
        return {}
    modules = read_json(folder / _MODULES, kind=list)
    if not any(_read_module(module, index)[0] == "Dense" for index, module in enumerate(modules)):
        return {}
    return {f"{_PREFIX}{name}": info for name, info in read_header(folder / _PROJECTION).items()}


def is_projection_tensor(name):
    """Whether a tensor's name is one of `read_projection_header`."""
    return name.startswith(_PREFIX)


def map_projection(bias, prefix=_PREFIX):
    """Tensor mapping of a `TextEmbedder`'s head: dict of variable path -> TensorSources.

    Args:
        bias: bool.
        prefix: str. What stands before the names that the tensors have in their file.
    """
    mapping = {"head/kernel": TensorSources((f"{prefix}linear.weight",), transposed=True)}
    return {**mapping, "head/bias": TensorSources((f"{prefix}linear.bias",))} if bias else mapping


def apply_lower_case(folder, tokenizer):
    """Applies `do_lower_case` of sentence-transformers: a cased tokenizer gets lowercase text.

    Args:
        folder: pathlib.Path.
        tokenizer: of `lmzoo.tokenizers`, just opened, or None. It is changed.
    Raises:
        ValueError: if a file is broken, or a tokenizer of this kind cannot lower text.
    """
    name, config = _read_transformer_config(folder)
    if not (folder / _MODULES).exists() or not read_flag(config, "do_lower_case", False):
        return
    # A WordPieceTokenizer, which cannot be imported here: only opening a tokenizer may need it.
    if not hasattr(tokenizer, "lowercase"):
        raise ValueError(
            f"`do_lower_case` must be false in {name} if the tokenizer is no WordPieceTokenizer. "
            f"Received: do_lower_case=True in {str(folder)!r}. Lower your texts and set it false."
        )
    if not tokenizer.lowercase:
        tokenizer.lowercase, tokenizer.strip_accents = True, bool(tokenizer.strip_accents)


def write_embedder(folder, task):
    """Writes modules.json and the configs of its modules in the form that all releases open.

    Args:
        folder: pathlib.Path.
        task: `lmzoo.tasks.TextEmbedder`.
    """
    kinds = ["Transformer", "Pooling"]
    kinds += ["Dense"] * (task.head is not None) + ["Normalize"] * task.normalize
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{kind}" if index else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]
    write_json(folder / _MODULES, modules)
    write_json(
        folder / _TRANSFORMER_CONFIGS[0],
        {"max_seq_length": task.sequence_length, "do_lower_case": False},
    )
    for module in modules[1:]:
        (folder / module["path"]).mkdir()
    pooling = {"word_embedding_dimension": task.backbone.hidden_dim}
    pooling |= {flag: mode == task.pooling for flag, mode in _FLAGS.items()}
    write_json(folder / _POOLING / "config.json", pooling)
    if task.head is not None:
        classes = {name: (class_name, home) for class_name, (name, home) in _ACTIVATIONS.items()}
        class_name, home = classes[task.projection_activation]
        projection = {
            "in_features": task.backbone.hidden_dim,
            "out_features": task.projection_dim,
            "bias": task.projection_bias,
            "activation_function": f"torch.nn.modules.{home}.{class_name}",
        }
        write_json(folder / _PROJECTION_CONFIG, projection)
