"""How a config says which rotary angles a model has: transformers' words, old and new, and ours."""

import math

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size

__all__ = [
    "find_context_length",
    "has_rotary_config",
    "make_rotary_config",
    "read_rotary",
    "read_scaling",
]

_KINDS = ("default", "linear", "dynamic", "llama3", "yarn")
_LONGEST = 2**24
# our field -> theirs
_NUMBERS = {
    "factor": "factor",
    "low_frequency_factor": "low_freq_factor",
    "high_frequency_factor": "high_freq_factor",
}
_LENGTH, _THEIR_LENGTH = "original_length", "original_max_position_embeddings"
_FIELDS = {
    "linear": ("factor",),
    "dynamic": ("factor", _LENGTH),
    "llama3": (*_NUMBERS, _LENGTH),
    "yarn": ("factor", _LENGTH, "beta_fast", "beta_slow", "attention_factor", "truncate"),
}
# What transformers takes for missing fields of a YaRN, beside its attention factor.
_YARN = {"beta_fast": 32.0, "beta_slow": 1.0, "truncate": True}
_ORDERED = (("low_frequency_factor", "high_frequency_factor"), ("beta_slow", "beta_fast"))


def read_rotary(config, max_sequence_length):
    """The base of the angles and their scaling.

    Version 5 of transformers keeps both in `rope_parameters`; earlier ones have `rope_theta` and
    `rope_scaling`, which wins where both are there, as it does in transformers.

    Args:
        config: dict, the content of config.json.
        max_sequence_length: int. What a scaling without a length of its own was made from.
    Returns:
        float and the dict that `GPTBackbone` takes as `rotary_scaling`, or None.
    Raises:
        ValueError: if a field is of the wrong type or out of its range, or the kind is unknown.
    """
    name = "rope_scaling" if config.get("rope_scaling") else "rope_parameters"
    found = config.get(name) or {}
    if not isinstance(found, dict):
        raise ValueError(f"`{name}` must be an object or null. Received: {name}={found!r:.80}.")
    # Top-level fields are what those of the object default to.
    fields = {**config, **found}
    kind = read_choice(fields, "rope_type", found.get("type", "default"), _KINDS)
    known = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
    known |= {_find_name(field) for field in _FIELDS.get(kind, ())}
    if kind == "yarn":
        known |= {"mscale", "mscale_all_dim"}
    wrong = sorted(found.keys() - known)
    if wrong:
        raise ValueError(
            f"`{name}` of type {kind!r} must have no other fields than {', '.join(sorted(known))}. "
            f"Received: {wrong!r:.80}."
        )
    share = fields.get("partial_rotary_factor")
    if share is not None:
        read_number(fields, "partial_rotary_factor", 1.0, 1, 1)
    wavelength = read_number(fields, "rope_theta", 10000.0, 1e-3, 1e12)
    if kind == "default":
        return wavelength, None
    if config.get(_THEIR_LENGTH) is not None:
        fields[_THEIR_LENGTH] = config[_THEIR_LENGTH]
    fields.setdefault(_THEIR_LENGTH, max_sequence_length)
    if kind == "dynamic":
        # Transformers compares a text with the model's length, whatever this field says.
        fields[_THEIR_LENGTH] = max_sequence_length
    elif kind == "yarn":
        fields = _fill_yarn(fields, max_sequence_length)
    return wavelength, _read_fields(fields, kind, _find_name)


def _find_name(field):
    """What transformers calls a field of ours."""
    return _THEIR_LENGTH if field == _LENGTH else _NUMBERS.get(field, field)


def _fill_yarn(fields, max_sequence_length):
    """The fields of a YaRN, with what transformers computes where one is missing or null."""
    fields = {**_YARN, **{name: value for name, value in fields.items() if value is not None}}
    if "factor" not in fields:
        fields["factor"] = max_sequence_length / read_size(fields, _THEIR_LENGTH, None, _LONGEST)
    if "attention_factor" not in fields:
        logarithm = 0.1 * math.log(max(read_number(fields, "factor", None, 1e-6, 1e6), 1.0))
        scale, below = (read_number(fields, f"mscale{end}", 0, 0, 1e6) for end in ("", "_all_dim"))
        fields["attention_factor"] = logarithm + 1.0
        if scale and below:
            fields["attention_factor"] = (scale * logarithm + 1.0) / (below * logarithm + 1.0)
    return fields


def read_scaling(config, name):
    """The dict of our own that `make_config` of an lmzoo_gpt writes under `name`, or None.

    Raises:
        ValueError: as `read_rotary`.
    """
    found = config.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise ValueError(f"`{name}` must be an object or null. Received: {name}={found!r:.80}.")
    kind = read_choice(found, "kind", None, tuple(_FIELDS))
    scaling = _read_fields({**(_YARN if kind == "yarn" else {}), **found}, kind)
    if not found.keys() <= {"kind", *_FIELDS[kind]}:
        raise ValueError(
            f"`{name}` must have the fields kind, {', '.join(_FIELDS[kind])}. "
            f"Received: {name}={found!r:.200}."
        )
    return scaling


def _read_fields(fields, kind, find_name=str):
    scaling = {"kind": kind}
    for field in _FIELDS[kind]:
        name = find_name(field)
        if field == _LENGTH:
            scaling[field] = read_size(fields, name, None, _LONGEST)
        elif field == "truncate":
            scaling[field] = read_flag(fields, name, None)
        elif field != "attention_factor" or fields.get(name) is not None:
            scaling[field] = read_number(fields, name, None, 1e-6, 1e6)
    for low, high in _ORDERED:
        if low in scaling and scaling[low] >= scaling[high]:
            raise ValueError(
                f"`{find_name(low)}` must be less than `{find_name(high)}`. Received: "
                f"{find_name(low)}={scaling[low]}, {find_name(high)}={scaling[high]}."
            )
    return scaling


def find_context_length(scaling, max_position_embeddings):
    """How many tokens a model of a config reads.

    Dynamic scaling begins at `max_position_embeddings`, and the model reads `factor` times as many
    tokens.
    """
    if scaling is None or scaling["kind"] != "dynamic":
        return max_position_embeddings
    length = int(scaling["factor"] * max_position_embeddings)
    return min(max(length, max_position_embeddings), _LONGEST)


def has_rotary_config(backbone):
    """Whether transformers can express the rotary scaling of a backbone."""
    scaling = backbone.rotary_scaling
    if scaling is None or scaling["kind"] != "dynamic":
        return True
    return find_context_length(scaling, scaling[_LENGTH]) == backbone.max_sequence_length


def make_rotary_config(backbone):
    """The fields of config.json that `read_rotary` reads, with dynamic scaling also the length.

    They are the old ones, which every version of transformers reads; the new ones alone would make
    an earlier version take its default, and nobody would see it.
    """
    scaling, found, length = backbone.rotary_scaling, None, {}
    if scaling is not None:
        kind = scaling["kind"]
        found = {_find_name(field): scaling[field] for field in _FIELDS[kind] if field in scaling}
        found["rope_type"] = kind
        if kind == "dynamic":
            length = {"max_position_embeddings": found.pop(_THEIR_LENGTH)}
    return {"rope_theta": backbone.max_wavelength, "rope_scaling": found, **length}
