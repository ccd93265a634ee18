"""Reading a recipe: TOML, overridden values and Python's own, checked key by key."""

import difflib
import pathlib
import re
import tomllib

from lmzoo.json_files import read_text
from lmzoo.runs.schema import SCHEMA, find_nearest

__all__ = ["Recipe", "read_recipe"]

_MAX_BYTES = 1 << 20
# Tables of recipes that search for a model.
_OF_SEARCHES = ("search", "space")


class Recipe:
    """The values of a run by dotted key, and where each of them comes from.

    Args:
        values: dict of dotted key to value, checked.
        places: dict of dotted key to str, such as "recipe.toml:12"; those of tables too.
        name: str or None. The file's name without its suffix.
        schema: dict of dotted key to Key. The keys that there are.
    """

    def __init__(self, values, places, name=None, schema=SCHEMA):
        self._values, self._places, self.name, self.schema = values, places, name, schema

    def __getitem__(self, key):
        value = self._values.get(key)
        return self.schema[key].default if value is None else value

    def __contains__(self, key):
        return self._values.get(key) is not None

    def to_dict(self):
        """All keys with their values, defaults included: a dict that JSON can hold."""
        return {key: self[key] for key in self.schema}

    @property
    def given(self):
        """dict of dotted key to value: what the recipe says itself, without defaults."""
        return {key: value for key, value in self._values.items() if value is not None}

    @property
    def places(self):
        """dict of dotted key to str: where each key stands; those of tables too."""
        return dict(self._places)

    def place(self, key, *inner):
        """Where a key stands, as the beginning of a message; what stands nearest, if it does not.

        Args:
            key: str.
            *inner: str. Names below a table that is a value, the first one known is taken.
        """
        while key:
            for name in (*(f"{key}.{each}" for each in inner), key):
                if name in self._places:
                    return f"{self._places[name]}: "
            key = key.rpartition(".")[0]
        return f"{self.name}.toml: " if self.name else ""

    def make_error(self, key, rule, received=None, kind=ValueError):
        """An exception about a key, with its place.

        Args:
            key: str.
            rule: str. What must hold, such as "must divide `training.steps`".
            received: the value; None for that of the key.
            kind: class of the exception.
        """
        value = self[key] if received is None else received
        return kind(f"{self.place(key)}`{key}` {rule}. Received: {value!r:.200}.")

    def explain(self, key, error):
        """An exception of another room, with the place of the key that it is about.

        Args:
            key: str. The key whose value, or values, raised it.
            error: Exception. The first name in backticks that stands in the recipe has the place.
        """
        names = re.findall(r"`([A-Za-z_]\w*)`", str(error))
        kind = type(error) if isinstance(error, OSError | ImportError) else ValueError
        return kind(f"{self.place(key, *names)}`{key}`: {error}")


def read_recipe(source=None, overrides=(), sections=None, schema=SCHEMA):
    """Reads and checks a recipe.

    Args:
        source: str or path of a TOML file, a dict in the form of one, or None.
        overrides: list of str such as "training.steps=100", whose value is TOML; what is not TOML
            is a string. They win over everything.
        sections: dict or None. Values in the form of a TOML file that win over the file's.
        schema: dict of dotted key to Key. The keys that there are.
    Returns:
        Recipe.
    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no TOML, a key is unknown, or a value has another type or is out of
            its range. The message has file, line and key.
    """
    values, places, name = {}, {}, None
    if isinstance(source, dict):
        _add(schema, values, places, source, lambda key: None)
    elif source is not None:
        path = pathlib.Path(source)
        text = read_text(path, _MAX_BYTES)
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"\(at line (\d+)", str(error))
            place = f"{path}:{line[1]}" if line else str(path)
            raise ValueError(f"{place}: a recipe must be TOML. Received: {error}.") from None
        lines, name = _find_lines(text), path.stem
        places.update({key: f"{path}:{number}" for key, number in lines.items()})
        _add(schema, values, places, content, lambda key: _find_place(path, lines, key))
    _add(schema, values, places, sections or {}, lambda key: None)
    for override in overrides:
        key, value = _split_override(override)
        content = value
        for part in reversed(key.split(".")):
            content = {part: content}
        _add(schema, values, places, content, lambda key: f"--set {key}")
    recipe = Recipe(values, places, name, schema)
    _check_together(recipe)
    return recipe


def _add(schema, values, places, content, find_place, section=""):
    """Checks the keys of a table and puts them among the values."""
    for name, value in content.items():
        key = f"{section}.{name}" if section else name
        place = find_place(key)
        start = f"{place}: " if place else ""
        if key in schema:
            try:
                read = schema[key].read(value)
            except ValueError as error:
                raise ValueError(f"{start}`{key}` {error}. Received: {value!r:.100}.") from None
            if isinstance(read, dict):
                # Single options may be overridden.
                read = {**values.get(key, {}), **read}
            values[key] = read
            if place:
                places[key] = place
            else:
                places.pop(key, None)
            continue
        if isinstance(value, dict) and any(each.startswith(f"{key}.") for each in schema):
            _add(schema, values, places, value, find_place, key)
            continue
        owner = section if section in schema else None
        if owner is None and any(each.startswith(f"{key}.") for each in schema):
            raise ValueError(f"{start}`{key}` must be a table. Received: {value!r:.100}.")
        raise ValueError(f"{start}`{key}` is no key of a recipe. {_suggest(schema, key, section)}")


def _suggest(schema, key, section):
    """What is meant by a key that is none."""
    if key.partition(".")[0] in _OF_SEARCHES and not section:
        return "Recipes with it are for `lmzoo tune`."
    tables = list(dict.fromkeys(each.partition(".")[0] for each in schema))
    near = [] if section else difflib.get_close_matches(key, tables, 1)
    nearest = near[0] if near else find_nearest(key, section, schema)
    if nearest is not None:
        return f"Did you mean `{nearest}`?"
    own = [each for each in schema if each.rpartition(".")[0] == section] if section else tables
    return f"There are {', '.join(own)}."


def _split_override(text):
    key, sign, value = text.partition("=")
    key = key.strip()
    if not sign or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
        raise ValueError(f"`--set` must be given as KEY=VALUE. Received: --set {text!r:.100}.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()


_TABLE = re.compile(r"\s*\[\[?\s*([\w.\-\"' ]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w\-]+(?:\s*\.\s*[\w\-]+)*)\s*=")


def _find_lines(text):
    """The line of each key and table of a TOML text, dict of dotted key to int.

    Keys of inline tables are not in it. A line inside of a string of several lines may be taken for
    a key; only a message would be wrong by that.
    """
    lines, table = {}, ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = re.sub(r"[\"' ]", "", match[1])
            lines.setdefault(table, number)
        elif match := _KEY.match(line):
            name = re.sub(r"\s", "", match[1])
            key = f"{table}.{name}" if table else name
            # Dotted keys stand for tables too.
            while key and key not in lines:
                lines[key] = number
                key = key.rpartition(".")[0]
    return lines


def _find_place(path, lines, key):
    while key:
        if key in lines:
            return f"{path}:{lines[key]}"
        key = key.rpartition(".")[0]
    return str(path)


def _check_together(recipe):
    """Refuses keys that exclude each other, and keys that are missing."""
    for key, others in (
        ("training.steps", ("training.epochs",)),
        ("validation.files", ("validation.split",)),
        ("schedule.warmup_steps", ("schedule.warmup_share",)),
        ("model.source", ("model.size", "model.backbone", "tokenizer.source", "tokenizer.kind")),
        ("model.size", ("model.backbone",)),
        ("tokenizer.source", ("tokenizer.kind",)),
    ):
        for other in others:
            if key in recipe and other in recipe:
                raise recipe.make_error(other, f"must not be given beside `{key}`")
    for keys in (
        ("data.files",),
        ("training.steps", "training.epochs"),
        ("model.source", "model.size", "model.backbone"),
        *(() if "model.source" in recipe else (("tokenizer.source", "tokenizer.kind"),)),
        *(() if "model.source" in recipe else (("model.task",),)),
    ):
        if not any(key in recipe for key in keys):
            names = " or ".join(f"`{key}`" for key in keys)
            raise ValueError(f"{recipe.place(keys[0])}{names} must be given. Received: none.")
    if recipe["data.files"] == []:
        raise recipe.make_error("data.files", "must name a file")
    split = recipe["validation.split"]
    if split is not None and not 0 < split < 1:
        raise recipe.make_error("validation.split", "must be above 0 and below 1")
    share = recipe["schedule.warmup_share"]
    if share is not None and not share < 1:
        raise recipe.make_error("schedule.warmup_share", "must be below 1")
    steps, every = recipe["training.steps"], recipe["validation.every_steps"]
    if every is not None and (steps is None or steps % every):
        raise recipe.make_error(
            "validation.every_steps", f"must divide `training.steps`, which is {steps}"
        )
