"""What a folder opens as: the task its config names, or another one on the same backbone."""

from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families import find_family
from lmzoo.hub.files.sentence_transformers import (
    is_projection_tensor,
    map_projection,
    read_embedder_config,
)
from lmzoo.hub.tensor_mapping import tensor_shapes

__all__ = ["make_folder_spec"]

_POOLED = ("TextClassifier", "TextRegressor")


def make_folder_spec(folder, config, header, task=None):
    """The spec of a folder as a task that its config need not name.

    Args:
        folder: pathlib.Path. Whose modules.json, if there is one, makes it a `TextEmbedder`.
        config: dict, the content of its config.json.
        header: dict of tensor name -> TensorInfo.
        task: str, the name of a class of `lmzoo.tasks`; None for the folder's own.
    Returns:
        CheckpointSpec. Where the folder has no head for `task`, its mapping has none either.
    Raises:
        ValueError: if the family has no such task, or as `make_spec`; it names the folder.
    """
    embedder = read_embedder_config(folder)
    if embedder is not None:
        task = task or "TextEmbedder"
    body = {name: info for name, info in header.items() if not is_projection_tensor(name)}
    try:
        spec = _make_spec_for(config, body, task)
        if embedder is not None and spec.task == "TextEmbedder":
            spec = _add_embedder(spec, embedder, header.keys() - body.keys())
    except ValueError as error:
        raise ValueError(f"{str(folder / 'config.json')!r} cannot be used: {error}") from error
    return spec


def _add_embedder(spec, embedder, projection_tensors):
    spec = spec._replace(options=spec.options | embedder.make_options(spec.arguments))
    if embedder.projection is None:
        return spec
    return spec._replace(
        shapes=spec.shapes | embedder.projection.shapes(),
        mapping=spec.mapping | map_projection(embedder.projection.bias),
        tensors=spec.tensors | {name: name for name in sorted(projection_tensors)},
    )


def _make_spec_for(config, header, task):
    family = find_family(config["model_type"])
    known = family.list_tasks()
    try:
        spec, refused = make_spec(config, header), None
    except ValueError as error:
        # A model whose class is unknown still has a backbone.
        spec, refused = None, error
    if spec is not None and task in (None, spec.task):
        return spec
    if task is None:
        raise refused
    if task not in known:
        raise refused or ValueError(
            f"`task` must be one of {', '.join(known)} for model type {config['model_type']}. "
            f"Received: task={task!r:.80}."
        )
    name = _name_head(task)
    if name in family.headless and spec is not None:
        # Whatever the folder has of the backbone, such as the encoder alone.
        return spec._replace(task=task, options={})
    if name in family.heads and (spec is None or spec.task == family.plain_task):
        # The config names no head, and still the file may have the one.
        spec = _make_spec_of_head(family, config, header, task)
        if spec is not None:
            return spec
    return _make_spec_of_backbone(family, config, header, task)


def _make_spec_of_head(family, config, header, task):
    """The spec as if the config named the class of a task, or None where the file is none such."""
    names = [family.class_name(config["model_type"], _name_head(task))]
    try:
        spec = make_spec({**config, "architectures": names}, header)
    except ValueError:
        return None
    wanted = tensor_shapes(spec.mapping, spec.shapes)
    # Other heads may lie beside it, and parts of the backbone that this one leaves out.
    left_out = (
        _list_used(family, config, header) if family.heads[_name_head(task)].left_out else set()
    )
    tensors = {
        name: place
        for name, place in spec.tensors.items()
        if place in wanted or not (family.is_head_tensor(name) or name in left_out)
    }
    shapes = {place: header[name].shape for name, place in tensors.items() if place in wanted}
    return spec._replace(tensors=tensors) if (spec.task, shapes) == (task, wanted) else None


def _list_used(family, config, header):
    """The tensors of a file that the whole backbone has."""
    names = [_name_plain_class(family, config["model_type"])]
    whole = make_spec({**config, "architectures": names}, header)
    used = {name for sources in whole.mapping.values() for name in sources.names}
    return {name for name, place in whole.tensors.items() if place in used}


def _make_spec_of_backbone(family, config, header, task):
    model_type = config["model_type"]
    plain = {name: value for name, value in config.items() if name != "lmzoo_task"}
    plain["architectures"] = [_name_plain_class(family, model_type)]
    body = {name: info for name, info in header.items() if not family.is_head_tensor(name)}
    spec = make_spec(plain, body)
    head = family.heads.get(_name_head(task))
    if family.is_native or head is None:
        return spec._replace(task=task, options={})
    options = {}
    if task in _POOLED:
        # What transformers has there, so that it opens what is saved.
        options["head_activation"] = head.hidden_activation
    if not family.has_pooler:
        return spec._replace(task=task, options=options)
    wants_pooler = head.uses_pooler or (task == family.plain_task and spec.arguments["pooler"])
    arguments = {**spec.arguments, "pooler": wants_pooler}
    spec = spec._replace(task=task, options=options, arguments=arguments)
    return spec if wants_pooler else _without_pooler(spec)


def _name_head(task):
    """The task whose head a task has."""
    return "TextClassifier" if task == "TextRegressor" else task


def _name_plain_class(family, model_type):
    if family.is_native:
        return family.plain_task
    return f"{family.classes[model_type]}Model"


def _without_pooler(spec):
    kept = {path: spec.mapping[path] for path in spec.mapping if not path.startswith("pooler/")}
    names = {name for sources in kept.values() for name in sources.names}
    left_out = {name for sources in spec.mapping.values() for name in sources.names} - names
    return spec._replace(
        shapes={path: spec.shapes[path] for path in kept},
        mapping=kept,
        tensors={name: place for name, place in spec.tensors.items() if place not in left_out},
    )
