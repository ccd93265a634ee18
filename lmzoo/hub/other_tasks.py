"""Opening a folder as a task that its config does not name: its head, or a fresh one."""

from lmzoo.hub import bert, lmzoo_bert
from lmzoo.hub.bert_heads import (
    HIDDEN_ACTIVATIONS,
    find_plain_architecture,
    make_architecture,
)
from lmzoo.hub.bert_tensors import is_head_tensor
from lmzoo.hub.files.sentence_transformers import read_embedding
from lmzoo.hub.plans import make_plan
from lmzoo.hub.tensor_mapping import tensor_shapes

__all__ = ["ENCODER_TASKS", "make_folder_plan"]

ENCODER_TASKS = (
    *("MaskedLM", "TextClassifier", "TextRegressor", "TokenClassifier"),
    *("QuestionAnswerer", "TextEmbedder"),
)
_POOLED = ("TextClassifier", "TextRegressor")


def make_folder_plan(folder, config, header, task=None):
    """The plan for a folder as a task that its config need not name.

    Args:
        folder: pathlib.Path. Whose modules.json, if there is one, makes it a `TextEmbedder`.
        config: dict, the content of its config.json.
        header: dict of tensor name -> TensorInfo.
        task: str, the name of a class of `lmzoo.tasks`; None for the folder's own.
    Returns:
        Plan. Where the folder has no head for `task`, no recipe speaks of one.
    Raises:
        ValueError: if the family has no such task, or as `make_plan`; it names the folder.
    """
    embedding = read_embedding(folder)
    if embedding is not None:
        task = task or "TextEmbedder"
    try:
        plan = _make_plan_for(config, header, task)
        if embedding is not None and plan.task == "TextEmbedder":
            plan = plan._replace(options=plan.options | embedding.fit(plan.arguments))
    except ValueError as error:
        raise ValueError(f"{str(folder / 'config.json')!r} cannot be used: {error}") from error
    return plan


def _make_plan_for(config, header, task):
    model_type = config["model_type"]
    is_encoder = model_type in (*bert.MODEL_TYPES, lmzoo_bert.MODEL_TYPE)
    try:
        plan, refused = make_plan(config, header), None
    except ValueError as error:
        # An encoder whose class is unknown still has a backbone.
        plan, refused = None, error
    if plan is not None and task in (None, plan.task):
        return plan
    if task is None:
        raise refused
    known = ENCODER_TASKS if is_encoder else (plan.task,) if plan is not None else ()
    if task not in known:
        if refused is not None:
            raise refused
        raise ValueError(
            f"`task` must be one of {', '.join(known)} for model type {model_type}. "
            f"Received: task={task!r:.80}."
        )
    if plan is None or plan.task == "TextEmbedder":
        # The config names no head, and still the file may have the one.
        plan = _make_plan_of_head(config, header, task)
        if plan is not None:
            return plan
    return _make_plan_of_backbone(config, header, task)


def _make_plan_of_head(config, header, task):
    """The plan as if the config named the class of a task, or None where the file is none such."""
    model_type = config["model_type"]
    names = [task]
    if model_type in bert.MODEL_TYPES:
        names = [make_architecture(model_type, task)]
    try:
        plan = make_plan({**config, "architectures": names}, header)
    except ValueError:
        return None
    wanted = tensor_shapes(plan.recipes, plan.shapes)
    # Other heads may lie beside it.
    found = {
        name: place
        for name, place in plan.found.items()
        if place in wanted or not is_head_tensor(model_type, name)
    }
    shapes = {place: header[name].shape for name, place in found.items() if place in wanted}
    return plan._replace(found=found) if (plan.task, shapes) == (task, wanted) else None


def _make_plan_of_backbone(config, header, task):
    model_type = config["model_type"]
    plain = {name: value for name, value in config.items() if name != "lmzoo_task"}
    plain["architectures"] = [find_plain_architecture(model_type)]
    body = {name: info for name, info in header.items() if not is_head_tensor(model_type, name)}
    plan = make_plan(plain, body)
    if model_type == lmzoo_bert.MODEL_TYPE:
        return plan._replace(task=task, options={})
    options = {}
    if task in _POOLED:
        # What transformers has there, so that it opens what is saved.
        options["head_activation"] = HIDDEN_ACTIVATIONS[model_type]
    wants_pooler = task == "TextEmbedder" and plan.arguments["pooler"]
    wants_pooler |= model_type == "bert" and task in _POOLED
    plan = plan._replace(
        task=task, options=options, arguments={**plan.arguments, "pooler": wants_pooler}
    )
    return plan if wants_pooler else _without_pooler(plan)


def _without_pooler(plan):
    kept = {path: plan.recipes[path] for path in plan.recipes if not path.startswith("pooler/")}
    names = {name for recipe in kept.values() for name in recipe.names}
    left_out = {name for recipe in plan.recipes.values() for name in recipe.names} - names
    return plan._replace(
        shapes={path: plan.shapes[path] for path in kept},
        recipes=kept,
        found={name: place for name, place in plan.found.items() if place not in left_out},
    )
