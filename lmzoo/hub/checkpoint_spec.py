"""What a config.json asks for, known before a weight is read or a model is built."""

import re
from typing import Any, NamedTuple

from lmzoo.hub.families import find_family
from lmzoo.hub.files.task_options import read_task_options
from lmzoo.hub.heads import head_shapes, read_head, read_head_options
from lmzoo.hub.tensor_mapping import make_mapping, make_native_mapping

__all__ = ["CheckpointSpec", "find_task", "make_spec"]

_OUTPUT = "token_embedding/output_embeddings"


class CheckpointSpec(NamedTuple):
    """A task that has not been built.

    family: Family.
    task: str. The name of a class of `lmzoo.tasks`.
    arguments: dict. Those of the backbone.
    options: dict. Those of the task, beside backbone and tokenizer.
    head: dict. Those of the head layer, or None.
    shapes: dict of the path of each variable -> its shape; those of a head begin with "head/".
    mapping: dict of path -> TensorSources.
    tensors: dict of a tensor's name in the file -> its name in the mapping; what is not in it is
        ignored.
    """

    family: Any
    task: str
    arguments: dict
    options: dict
    head: dict | None
    shapes: dict
    mapping: dict
    tensors: dict


def make_spec(config, header=(), pooler=None):
    """The spec of a config.json.

    Args:
        config: dict.
        header: names of the tensors in a file; none where the file is to be written.
        pooler: bool or None. Whether a backbone alone has a pooler; None if its file says so.
    Returns:
        CheckpointSpec.
    Raises:
        ValueError: if a field is of the wrong type or out of its range, or asks for something that
            lmzoo does not do.
    """
    family = find_family(config["model_type"])
    task = find_task(family, config)
    arguments = family.read_arguments(config)
    if family.has_pooler:
        arguments["pooler"] = _find_pooler(family, task, header, pooler)
    head = read_head(family, config, task, arguments)
    shapes = family.variable_shapes(arguments) | head_shapes(head, arguments)
    left_out = family.heads[task].left_out
    if left_out is not None:
        shapes = {path: shapes[path] for path in shapes if not re.fullmatch(left_out, path)}
    if family.is_native:
        mapping, tensors = make_native_mapping(shapes), {name: name for name in header}
    else:
        mapping = _map_tensors(family, task, arguments, shapes, header)
        tensors = _name_tensors(family, task, arguments, mapping, header)
    if _lacks_output(family, config, header, arguments):
        shapes.pop(_OUTPUT, None)
        mapping.pop(_OUTPUT, None)
    options = {
        **family.read_options(config, task, arguments),
        **read_head_options(config, task, head),
    }
    if "num_targets" in options:
        task = "TextRegressor"
    options |= read_task_options(config, task, arguments["max_sequence_length"])
    return CheckpointSpec(family, task, arguments, options, head, shapes, mapping, tensors)


def find_task(family, config):
    """The name of the class of `lmzoo.tasks` for the first of a config's `architectures`.

    Raises:
        ValueError: if it is not a class of the config's model type that is known here.
    """
    names = config.get("architectures")
    if names is None and family.default_task is not None:
        return family.default_task
    known = family.known_classes(config["model_type"])
    name = names[0] if isinstance(names, list) and names else None
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"`architectures` must begin with one of {', '.join(known)}. Received: "
            f"architectures={names!r:.80}. Pass `task`, the class of `lmzoo.tasks` to open it as, "
            f"one of {', '.join(family.list_tasks())}; a head that is not known is a fresh one."
        )
    return known[name]


def _find_pooler(family, task, header, pooler):
    """Whether a task has a pooler: a plain model has it where its file does."""
    if task != family.plain_task:
        return family.heads[task].uses_pooler
    if pooler is None:
        return any(family.rename(name).startswith("pooler.") for name in header)
    return pooler


def _map_tensors(family, task, arguments, shapes, header):
    # A plain model has bare names; one below a head has the prefix, as transformers writes both.
    prefix = "" if task == "TextEmbedder" else family.prefix
    modules = {
        layer: tuple(prefix + name for name in names)
        for layer, names in family.modules(arguments).items()
    }
    heads = dict(family.heads[task].modules)
    fallback = family.output_fallback
    if header and fallback and _OUTPUT in heads:
        if f"{heads[_OUTPUT][0]}.weight" not in header:
            heads[_OUTPUT] = (fallback,)
    body = {path: shape for path, shape in shapes.items() if not _is_of(path, heads)}
    rest = {path: shape for path, shape in shapes.items() if path not in body}
    return {
        **make_mapping(
            *(body, modules, family.transposed),
            *(family.widths(arguments), family.parts(arguments)),
        ),
        **make_mapping(rest, heads),
    }


def _is_of(path, modules):
    return path in modules or path.rpartition("/")[0] in modules


def _name_tensors(family, task, arguments, mapping, header):
    """What each tensor of a file is: dict of name in the file -> name in the mapping."""
    wanted = {name for sources in mapping.values() for name in sources.names}
    tied = dict(family.tied)
    if arguments.get("tied", True):
        tied |= family.heads[task].tied
    tensors = {}
    for name in header:
        bare = family.rename(name)
        bare = tied.get(bare, bare)
        places = {bare, family.prefix + bare} & wanted
        if not places and family.find_ignored(bare):
            continue
        tensors[name] = places.pop() if places else name
    return tensors


def _lacks_output(family, config, header, arguments):
    """Whether a file is known to have no output layer, so that a fresh one is needed."""
    is_plain = not family.is_native and family.is_plain(config)
    is_untied = not arguments.get("tied", True)
    return bool(header) and is_plain and is_untied and "lm_head.weight" not in header
