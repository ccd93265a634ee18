"""How a config says which rotary angles a model has: transformers' words, old and new, and ours."""

from lmzoo.hub.files.config_validation import read_choice, read_number, read_size

__all__ = ["make_rotary_config", "read_rotary", "read_scaling"]

_KINDS = ("default", "linear", "llama3")
_LONGEST = 2**24
# our field -> theirs
_NUMBERS = {
    "factor": "factor",
    "low_frequency_factor": "low_freq_factor",
    "high_frequency_factor": "high_freq_factor",
}
_LENGTH, _THEIR_LENGTH = "original_length", "original_max_position_embeddings"
_FIELDS = {"linear": ("factor",), "llama3": (*_NUMBERS, _LENGTH)}


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
    theirs = [_NUMBERS.get(field, _THEIR_LENGTH) for field in _FIELDS.get(kind, ())]
    known = {"rope_type", "type", "rope_theta", "partial_rotary_factor", *theirs}
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
    return wavelength, _read_fields(fields, kind, {**_NUMBERS, _LENGTH: _THEIR_LENGTH})


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
    scaling = _read_fields(found, kind, {field: field for field in _FIELDS[kind]})
    if found.keys() != scaling.keys():
        raise ValueError(
            f"`{name}` must have the fields {', '.join(scaling)}. Received: {name}={found!r:.200}."
        )
    return scaling


def _read_fields(fields, kind, names):
    scaling = {"kind": kind}
    for field in _FIELDS[kind]:
        if field == _LENGTH:
            scaling[field] = read_size(fields, names[field], None, _LONGEST)
        else:
            scaling[field] = read_number(fields, names[field], None, 1e-6, 1e6)
    low, high = "low_frequency_factor", "high_frequency_factor"
    if kind == "llama3" and scaling[low] >= scaling[high]:
        raise ValueError(
            f"`{names[low]}` must be less than `{names[high]}`. Received: "
            f"{names[low]}={scaling[low]}, {names[high]}={scaling[high]}."
        )
    return scaling


def make_rotary_config(backbone):
    """The fields of config.json that `read_rotary` reads.

    They are the old ones, which every version of transformers reads; the new ones alone would make
    an earlier version take its default, and nobody would see it.
    """
    scaling, found = backbone.rotary_scaling, None
    if scaling is not None:
        found = {
            _NUMBERS.get(name, _THEIR_LENGTH): scaling[name] for name in _FIELDS[scaling["kind"]]
        }
        found["rope_type"] = scaling["kind"]
    return {"rope_theta": backbone.max_wavelength, "rope_scaling": found}
