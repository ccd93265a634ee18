"""The account of a model's file: what each tensor is for, and whether anything is left over."""

import numpy as np

from lmzoo.hub.describing import describe
from lmzoo.hub.families import list_model_types
from lmzoo.hub.files.config import check_model_type, read_config
from lmzoo.hub.files.safetensors import read_tensor
from lmzoo.hub.files.shards import find_weights
from lmzoo.hub.folder_spec import make_folder_spec
from lmzoo.hub.remote.sources import find_folder
from lmzoo.hub.tensor_mapping import tensor_shapes
from lmzoo.tensor_files import FLOATS

__all__ = ["verify"]

# So many values at a time are looked at: their answers need memory too.
_CHUNK = 2**22


def verify(source, revision=None):
    """Reads a whole model without building it and matches every tensor with every variable.

    It passes if each tensor is used, tied to one that is, or on a named list of what is ignored,
    each variable is set exactly once, in its shape, every value is finite, and a tokenizer that is
    there can be opened. It needs memory for two tensors, and TensorFlow only for a tokenizer.

    Args:
        source: str or path, as for `lmzoo.load`.
        revision: str or None, as for `lmzoo.load`.
    Returns:
        dict, as JSON keeps it: `folder`; `model_type`; `task`; `num_tensors`, `num_variables`
        (int); `variables` (dict of a variable's path -> list of the tensors that make it); `tied`
        (dict of a tensor that repeats another, stands in its place, or makes two variables -> that
        other, or the other variable); `ignored` (dict of tensor -> the name of a list); `missing`,
        `unexpected` (lists of tensors); `problems` (list of str, each a sentence; those two are
        told there too); `passed` (bool).
    Raises:
        FileNotFoundError, PermissionError, ConnectionError: as `find_folder` and `describe`.
        ValueError: if config.json, a tokenizer's file or a header is broken, or asks for what lmzoo
            does not do.
    """
    folder = find_folder(source, revision)
    # It checks the files first, so that no link out of the folder is read.
    described = describe(folder)
    config = read_config(folder)
    check_model_type(folder, config, list_model_types())
    header = find_weights(folder)[1]
    spec = make_folder_spec(folder, config, header)
    report = _match_tensors(header, spec)
    # What holds a model back beside its config and its tensors.
    report["problems"] += [described["problem"]] if described["problem"] else []
    report["problems"] += [
        *_check_tensors(header, spec),
        *_check_tokenizer(folder, described["tokenizer"], spec),
    ]
    head = {"folder": str(folder), "model_type": config["model_type"], "task": spec.task}
    counts = {"num_tensors": len(header), "num_variables": len(spec.shapes)}
    return {**head, **counts, **report, "passed": not report["problems"]}


def _match_tensors(header, spec):
    """Which tensor makes which variable, by their names alone."""
    wanted = {name for sources in spec.mapping.values() for name in sources.names}
    ignored, unexpected, places = {}, [], {}
    for name in header:
        words = spec.family.find_ignored(name)
        if spec.tensors.get(name) in wanted:
            places.setdefault(spec.tensors[name], []).append(name)
        elif name not in spec.tensors and words:
            ignored[name] = words
        else:
            unexpected.append(name)
    # The one that has the place's own name comes first, a copy behind it.
    for place, names in places.items():
        names.sort(key=lambda name: (spec.family.is_tied(name), name != place, name))
    variables, tied, makers = {}, {}, {}
    for path, sources in spec.mapping.items():
        variables[path] = [places[name][0] for name in sources.names if name in places]
        first = makers.setdefault((sources.names, sources.part), path)
        if first != path:
            tied[path] = first
    for place, names in places.items():
        # A head of its own has its own place.
        alone = names[0] == place or not spec.family.is_tied(names[0])
        tied |= dict.fromkeys(names[1 if alone else 0 :], place)
    missing = sorted(wanted - places.keys())
    unset = sorted(spec.shapes.keys() ^ spec.mapping.keys())
    return {
        "variables": variables,
        "tied": tied,
        "ignored": ignored,
        "missing": missing,
        "unexpected": sorted(unexpected),
        "problems": [
            *(f"{name!r} is missing" for name in missing),
            *(f"{name!r} is not expected and on no list" for name in sorted(unexpected)),
            *(f"no tensor is known for the variable {path!r}" for path in unset),
        ],
    }


def _check_tensors(header, spec):
    """What is wrong with the tensors that are used: shapes, dtypes, values, copies that differ."""
    shapes, first, problems = tensor_shapes(spec.mapping, spec.shapes), {}, []
    for name, place in spec.tensors.items():
        info = header[name]
        if place not in shapes:
            continue
        if info.shape != shapes[place]:
            problems.append(f"{name!r} has shape {info.shape}, its config says {shapes[place]}")
            continue
        if info.dtype not in FLOATS:
            problems.append(f"{name!r} holds {info.dtype}, which is none of {', '.join(FLOATS)}")
            continue
        values = read_tensor(info)
        wrong = _count_not_finite(values)
        if wrong:
            problems.append(f"{name!r} has {wrong} values that are not finite")
        other = first.setdefault(place, name)
        if other != name and not np.array_equal(read_tensor(header[other]), values):
            problems.append(f"{other!r} and {name!r} differ and are one weight by the config")
    return problems


def _count_not_finite(values):
    values = values.reshape(-1)
    chunks = (values[start : start + _CHUNK] for start in range(0, values.size, _CHUNK))
    return int(sum(chunk.size - np.count_nonzero(np.isfinite(chunk)) for chunk in chunks))


def _check_tokenizer(folder, tokenizer, spec):
    if tokenizer is None:
        return []
    words, highest = tokenizer["vocabulary_size"], spec.arguments["vocabulary_size"]
    if words and words > highest:
        return [f"the tokenizer has {words} words and the model {highest}"]
    # It needs TensorFlow, and most folders that are only looked at have none.
    from lmzoo.hub.files.tokenizers import open_tokenizer

    try:
        open_tokenizer(folder, spec)
    except (FileNotFoundError, ValueError) as error:
        return [f"the tokenizer cannot be opened: {error}"]
    return []
