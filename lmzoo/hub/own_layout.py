"""What the model types of lmzoo itself share: a backbone's arguments, whole, and our own paths."""

from lmzoo.hub.tensor_mapping import Recipe

__all__ = [
    "ACTIVATIONS",
    "BACKBONE",
    "check_names",
    "describe_backbone",
    "make_recipes",
    "read_own",
]

# The key of config.json under which the arguments of the backbone stand.
BACKBONE = "lmzoo_backbone"
# By name and never by `keras.activations.get`, which makes whatever object a dict describes.
ACTIVATIONS = (
    *("elu", "gelu", "gelu_tanh", "hard_silu", "leaky_relu", "linear", "mish", "relu", "relu6"),
    *("selu", "sigmoid", "silu", "softplus", "swish", "tanh"),
)
# What a caller chooses anew each time.
_NOT_OURS = ("name", "dtype", "trainable")


def describe_backbone(backbone):
    """The arguments of a backbone, as config.json keeps them: dict of name -> value."""
    config = backbone.get_config()
    return {name: value for name, value in config.items() if name not in _NOT_OURS}


def read_own(config, name=BACKBONE):
    """An object of ours in a config.json.

    Raises:
        ValueError: if it is missing, or something else.
    """
    found = config.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"`{name}` must be an object. Received: {found!r:.80}.")
    return found


def check_names(found, arguments, class_name):
    """Refuses what `read_own` gave unless it holds each argument of a class and no other.

    No default of a later version may change a model.

    Args:
        found: dict, as `read_own` gives it.
        arguments: dict of what has been read out of it.
        class_name: str.
    """
    wrong = sorted(found.keys() ^ arguments.keys())
    if wrong:
        raise ValueError(
            f"`{BACKBONE}` must hold each argument of `{class_name}` and no other. "
            f"Received: a config in which {wrong!r:.80} is missing or unknown."
        )


def make_recipes(shapes):
    """dict of path -> Recipe: each variable is one tensor under its own path.

    Args:
        shapes: dict of variable path -> shape.
    """
    return {path: Recipe((path.replace("/", "."),)) for path in shapes}
