"""The search space of a model: its dimensions, and the recipe that values make."""

import difflib
import math

from lmzoo.runs.schema import SCHEMA
from lmzoo.tuning.default_space import FINE_TUNING
from lmzoo.tuning.dimensions import Dimension, read_dimension

__all__ = ["FRESH", "Space", "find_dimensions"]

# The choice of `source` that is a fresh backbone.
FRESH = "fresh"
# Each dimension and the key of a recipe that it sets.
_KEYS = {
    "source": "model.source",
    "hidden_dim": "model.backbone_options.hidden_dim",
    "num_heads": "model.backbone_options.num_heads",
    "num_layers": "model.backbone_options.num_layers",
    "dropout": "model.backbone_options.dropout",
    "sequence_length": "data.sequence_length",
    "batch_size": "data.batch_size",
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    # Beside a fresh backbone: what suits fresh weights would spoil trained ones.
    "learning_rate_of_source": "optimizer.learning_rate",
    "weight_decay": "optimizer.options.weight_decay",
    "schedule": "schedule.name",
    "warmup": "schedule.warmup_share",
    "precision": "training.precision",
    "pooling": "model.options.pooling",
    "head_activation": "model.options.head_activation",
    "head_dropout": "model.options.dropout",
}
_ARCHITECTURE = ("hidden_dim", "num_heads", "num_layers", "dropout")
# They must have a list of values, from which those that do not fit together are taken out.
_FINITE = ("hidden_dim", "num_heads")
# What a search holds fixed, whatever else of a recipe it may change.
_NOT_SEARCHED = ("run_dir", "data.files", "data.kind", "data.options", "validation", "checkpoints")
_NOT_SEARCHED += ("export", "tokenizer", "model.task", "training.seed", "training.strategy")


def find_dimensions():
    """dict of the name of each dimension to the key of a recipe that it sets."""
    return dict(_KEYS)


class Space:
    """The dimensions of a search, of which only combinations that make a model are drawn.

    Args:
        dimensions: dict of name to value, as `read_dimension` takes it. A name is one of
            `Space.names()`, or the dotted key of a recipe.
        backbone_options: dict. Arguments of the fresh backbone that no dimension sets.
        backbone: str or None. The class of the fresh backbone.
    Attributes:
        dimensions: dict of name to Dimension.
    Raises:
        TypeError, ValueError: if a dimension is unknown, has values that its key does not take, or
            no number of heads divides a width.
    Example:
        >>> space = Space({"hidden_dim": [48, 64], "num_heads": [3, 4], "batch_size": 8})
        >>> [space.find_heads(width) for width in (48, 64)]
        [(3, 4), (4,)]
    """

    def __init__(self, dimensions, backbone_options=None, backbone=None):
        self.backbone_options, self.backbone = dict(backbone_options or {}), backbone
        self.dimensions = {
            name: _check(name, read_dimension(name, value)) for name, value in dimensions.items()
        }
        if self.is_mixed:
            self.dimensions.setdefault(
                "learning_rate_of_source",
                read_dimension("learning_rate_of_source", FINE_TUNING["learning_rate"]),
            )
        self._check_sources()
        self._check_architecture()

    @staticmethod
    def names():
        """list of str. The names of dimensions."""
        return list(_KEYS)

    @property
    def is_empty(self):
        """bool. Whether there is nothing to search."""
        return all(dimension.is_fixed for dimension in self.dimensions.values())

    @property
    def sources(self):
        """tuple of str. The pretrained models among the choices."""
        source = self.dimensions.get("source")
        return () if source is None else tuple(each for each in source.choices if each != FRESH)

    @property
    def is_mixed(self):
        """bool. Whether a fresh backbone is compared with pretrained ones."""
        return bool(self.sources) and FRESH in self.dimensions["source"].choices

    def _check_sources(self):
        only = "learning_rate_of_source" if not self.is_mixed else None
        if only in self.dimensions:
            raise ValueError(
                f"`{only}` must be given only where `source` has {FRESH!r} and others. Received: "
                f"source={list(self.sources)}. Use `learning_rate`."
            )
        for name in _ARCHITECTURE:
            if self.sources and not self.is_mixed and name in self.dimensions:
                raise ValueError(
                    f"`{name}` must not be searched where each `source` is a pretrained model, "
                    f"which has its own. Received: source={list(self.sources)}."
                )

    def _check_architecture(self):
        widths, heads = (self.dimensions.get(name) for name in ("hidden_dim", "num_heads"))
        if widths is None and heads is None:
            return
        for width in self._list_widths():
            if not self.find_heads(width):
                raise ValueError(
                    f"`num_heads` must have a value that {self._rule()} for each `hidden_dim`. "
                    f"Received: hidden_dim={width}, num_heads={list(self._list_heads())}."
                )

    def _rule(self):
        needs_even = " into heads of an even size" if self._is_rotary() else ""
        return f"divides the width{needs_even}"

    def _list_widths(self):
        width = self.dimensions.get("hidden_dim")
        return width.choices if width else (self.backbone_options.get("hidden_dim", 768),)

    def _list_heads(self):
        heads = self.dimensions.get("num_heads")
        default = 8 if self.backbone == "T5Backbone" else 12
        return heads.choices if heads else (self.backbone_options.get("num_heads", default),)

    def _is_rotary(self):
        is_rotary = self.backbone_options.get("positions") == "rotary"
        return is_rotary or self.backbone == "ModernBertBackbone"

    def find_heads(self, width):
        """tuple of int. The numbers of heads that make a model of this width."""
        shared = self.backbone_options.get("num_key_value_heads") or 1
        size = self.backbone_options.get("head_dim")

        def fits(heads):
            if heads < 1 or heads % shared:
                return False
            if size is not None:
                return True
            return width % heads == 0 and not (self._is_rotary() and width // heads % 2)

        return tuple(filter(fits, self._list_heads()))

    def declare(self, hp):
        """Registers all dimensions with keras-tuner.

        Heads that do not fit every width are registered once for each set of widths that they fit,
        under a condition, and so is what only a fresh backbone has beside pretrained ones.

        Args:
            hp: keras_tuner.HyperParameters.
        Returns:
            dict of the name of a dimension to its value in `hp`, fixed ones too; without those that
            do not apply.
        """
        values, rest = {}, dict(self.dimensions)
        source = rest.pop("source", None)
        if source is not None:
            values["source"] = source.declare(hp)
        fresh = {name: rest.pop(name) for name in _ARCHITECTURE if name in rest}
        if self.is_mixed:
            rate = rest.pop("learning_rate_of_source")
            fresh |= {name: rest.pop(name) for name in ("learning_rate",) if name in rest}
            with hp.conditional_scope("source", [FRESH]):
                found = self._declare_fresh(hp, fresh)
            with hp.conditional_scope("source", list(self.sources)):
                found_rate = rate.declare(hp)
            is_fresh = values["source"] == FRESH
            values |= found if is_fresh else {"learning_rate": found_rate}
        else:
            values |= self._declare_fresh(hp, fresh)
        values |= {name: dimension.declare(hp) for name, dimension in rest.items()}
        return values

    def _declare_fresh(self, hp, fresh):
        values = {}
        heads = fresh.pop("num_heads", None)
        if "hidden_dim" in fresh:
            values["hidden_dim"] = fresh.pop("hidden_dim").declare(hp)
        if heads is not None:
            values["num_heads"] = self._declare_heads(hp, heads, values.get("hidden_dim"))
        values |= {name: dimension.declare(hp) for name, dimension in fresh.items()}
        return values

    def _declare_heads(self, hp, heads, width):
        groups = {}
        for each in self._list_widths():
            groups.setdefault(self.find_heads(each), []).append(each)
        if len(groups) == 1:
            return Dimension("num_heads", next(iter(groups))).declare(hp)
        value = None
        for found, widths in groups.items():
            with hp.conditional_scope("hidden_dim", widths):
                own = Dimension("num_heads", found).declare(hp, f"num_heads_of_{widths[0]}")
            if width in widths:
                value = own
        return value

    def make_sections(self, values):
        """The part of a recipe that the values of a trial stand for.

        Args:
            values: dict, as `declare` gives it.
        Returns:
            dict of dotted key to value; of tables that are values, such as
            `model.backbone_options`, the entries.
        """
        sections = {}
        for name, value in values.items():
            if name == "source":
                sections["model.source"] = None if value == FRESH else value
            else:
                sections[_KEYS.get(name, name)] = value
        prefix = "model.backbone_options."
        width, heads = values.get("hidden_dim"), values.get("num_heads")
        if width is None:
            return sections
        if self.backbone in ("T5Backbone", "ModernBertBackbone"):
            # Their inner widths have a default that does not follow the outer one.
            ratio = 4 if self.backbone == "T5Backbone" else 1.5
            if "intermediate_dim" not in self.backbone_options:
                sections[f"{prefix}intermediate_dim"] = int(ratio * width)
        if self.backbone == "T5Backbone" and "head_dim" not in self.backbone_options:
            heads = heads or self._list_heads()[0]
            sections[f"{prefix}head_dim"] = width // heads
        return sections

    def describe(self):
        """dict of name to str, of what is searched and what is fixed."""
        return {name: dimension.describe() for name, dimension in self.dimensions.items()}


def _check(name, dimension):
    """A dimension whose values its key takes."""
    key = _KEYS.get(name, name)
    table = key if key in SCHEMA else key.rpartition(".")[0]
    if table not in SCHEMA or (key in SCHEMA and SCHEMA[key].kind in (dict, list)):
        near = difflib.get_close_matches(name, _KEYS, 1)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(_KEYS)}."
        raise ValueError(f"`{name}` is no dimension of a search. {hint}")
    if name not in _KEYS and key.startswith(_NOT_SEARCHED):
        raise ValueError(f"`{name}` must be the same in all trials, so it is not searched.")
    if name in _FINITE and not dimension.choices:
        if dimension.high - dimension.low > 1000 or not isinstance(dimension.low, int):
            raise ValueError(
                f"`{name}` must be a list of integers, or a range of them with a `step`. Received: "
                f"{dimension.describe()}."
            )
        dimension = Dimension(name, tuple(range(dimension.low, dimension.high + 1)))
    if key not in SCHEMA:
        _check_option(name, dimension)
        return dimension
    for value in dimension.samples:
        if name == "source":
            if not isinstance(value, str):
                raise ValueError(f"`{name}` must be a string. Received: {value!r:.80}.")
            continue
        try:
            SCHEMA[key].read(value)
        except ValueError as error:
            raise ValueError(f"`{name}` {error}. Received: {value!r:.80}.") from None
    if SCHEMA[key].kind is int and not all(isinstance(each, int) for each in dimension.samples):
        raise ValueError(f"`{name}` must be an integer. Received: {dimension.describe()}.")
    return dimension


# What the arguments of backbones and heads are, as far as a search can tell beforehand.
_SIZES = ("hidden_dim", "num_heads", "num_layers")
_RATES = ("dropout", "head_dropout")


def _check_option(name, dimension):
    for value in dimension.samples:
        if name in _SIZES and (not isinstance(value, int) or value < 1):
            raise ValueError(f"`{name}` must be a positive integer. Received: {value!r:.80}.")
        is_number = isinstance(value, int | float)
        if name in _RATES and not (is_number and math.isfinite(value) and 0 <= value < 1):
            raise ValueError(f"`{name}` must be in [0, 1). Received: {value!r:.80}.")
