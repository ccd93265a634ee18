"""Writing a task as a Hugging Face folder."""

import json

from lmzoo.files import atomic_folder, check_new_folder
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families import list_families
from lmzoo.hub.families.native import NOT_STORED
from lmzoo.hub.files.config import make_policy_config, read_config
from lmzoo.hub.files.generation_config import (
    GENERATION_CONFIG,
    make_generation_config,
    read_generation,
)
from lmzoo.hub.files.sentence_transformers import PROJECTION_FOLDER, map_projection, write_embedder
from lmzoo.hub.files.shards import parse_shard_size
from lmzoo.hub.files.task_options import make_task_options, name_task
from lmzoo.hub.files.tokenizers import save_tokenizer
from lmzoo.hub.files.weights import write_weights
from lmzoo.hub.heads import make_head_config, make_label_config
from lmzoo.hub.model_variables import values_by_path
from lmzoo.json_files import write_text

__all__ = ["make_config", "save_pretrained"]


def save_pretrained(task, folder, overwrite=False, shard_size="50GB"):
    """Writes config.json, the weights and the tokenizer's files, atomically.

    The same task always gives the same bytes. What a family of `lmzoo.hub.families` can express is
    written in transformers' own names, so that its `from_pretrained` opens the folder; other
    options are written under the model types "lmzoo_gpt", "lmzoo_bert" and "lmzoo_t5", which only
    lmzoo opens. A model that was opened from a folder is written as the model type that it had, if
    that can express it. A pooler that the class of transformers does not have is
    left out. A task that generates has a generation_config.json too, where it has defaults or an
    end token. What `enable_lora` has taught a kernel is written in that kernel.

    Args:
        task: a task of `lmzoo.tasks`. One of the caller's own class is written as the class of
            `lmzoo.tasks` that it is made of.
        folder: str or path. New or empty, unless `overwrite`.
        overwrite: bool. If True, an existing folder is replaced.
        shard_size: int, in bytes, or str such as "500MB" or "5GB". Larger weights are written as
            shards and an index instead of one model.safetensors.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False.
        OSError: if the disk is full. `folder` is then as it was.
        TypeError: if `shard_size` is neither, or `task` is another model.
        ValueError: if `shard_size` is no size, if weights are quantized or of layers that are the
            caller's own, if the names of classes take more room than `lmzoo.load` reads, or if the
            backbone has an option that no file expresses, such as a function as its activation.
    """
    check_new_folder(folder, overwrite)
    name = name_task(task)
    task.refuse_quantized("saved")
    limit = parse_shard_size(shard_size)
    config, spec = make_config(task)
    values, projection = values_by_path(task.backbone, task.head), {}
    if name == "TextEmbedder":
        projection = {path: values.pop(path) for path in list(values) if path.startswith("head/")}
    _check_written(task, values, spec)
    generation = make_generation_config(task) if task.is_generative else None
    with atomic_folder(folder, overwrite) as new:
        write_weights(new, spec.mapping, values, limit)
        _write_json(new / "config.json", config)
        if generation is not None:
            _write_json(new / GENERATION_CONFIG, generation)
        _check_readable(new, folder, task)
        save_tokenizer(new, task)
        if name == "TextEmbedder":
            write_embedder(new, task)
        if projection:
            mapping = map_projection(task.projection_bias, prefix="")
            write_weights(new / PROJECTION_FOLDER, mapping, projection, limit)


def _check_written(task, values, spec):
    """Nothing that a task computes with may stay behind, but a pooler that it does not use."""
    unused = {id(weight) for weight in _list_unused(task)}
    left = [path for path in values.keys() - spec.mapping if id(values[path]) not in unused]
    own = [*task.backbone.weights, *(task.head.weights if task.head is not None else ())]
    known = {id(weight) for weight in own}
    left += [weight.path for weight in task.weights if id(weight) not in known]
    if left:
        raise ValueError(
            "`task` must have no other variables than its layout. Received: "
            f"{', '.join(sorted(left)[:3])}. Save it before its weights are quantized, and layers "
            "of your own beside it."
        )


def _list_unused(task):
    """The weights of a backbone that its task does not compute with."""
    pooler = getattr(task.backbone, "pooler_dense", None)
    found = [] if task.is_generative else list(task.backbone.generation_weights)
    return found if pooler is None or task.uses_pooler else [*found, *pooler.weights]


def _check_readable(new, folder, task):
    """Refuses to write what is over the limits of those who read it."""
    try:
        config = read_config(new)
        start = task.start_token_id
        read_generation(new, task.backbone.vocabulary_size, task.tokenizer, start, config)
    except ValueError as error:
        reason = str(error).replace(str(new), str(folder))
        raise ValueError(
            f"`task` must have options that can be read again, names of classes for instance that "
            f"take less room. Received: {reason}"
        ) from error


def _write_json(path, content):
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def make_config(task):
    """The config.json of a task, and the spec that reads it again.

    The model type is the first one that can express the task: what is written must read back as
    what the task has. It is the one that the backbone was opened from, if that can.

    Args:
        task: a task of `lmzoo.tasks`.
    Returns:
        (dict, CheckpointSpec).
    Raises:
        ValueError: if no model type has words for an option.
    """
    name, problem = name_task(task), None
    for family, model_type in _list_candidates(task, name):
        try:
            config = _describe(task, name, family, model_type)
            spec = make_spec(config, pooler=getattr(task.backbone, "pooler", None))
        except (KeyError, ValueError) as error:
            problem = error
            continue
        if _is_expressed(task, spec) and family.accepts(task, model_type):
            return config, spec
    if isinstance(problem, ValueError):
        raise problem
    raise ValueError(
        "`task` must have a backbone of a family that lmzoo can write. Received: a "
        f"{type(task.backbone).__name__}."
    )


def _list_candidates(task, name):
    """Pairs of (Family, model type), those first that suit where the task comes from."""
    kind = type(task.tokenizer).__name__
    opened_from = getattr(task.backbone, "opened_from", None)
    head = "TextClassifier" if name == "TextRegressor" else name
    found = [
        (family, model_type)
        for family in list_families()
        if head in family.heads and isinstance(task.backbone, family.backbone())
        for model_type in family.classes
    ]

    def rank(candidate):
        family, model_type = candidate
        is_other_kind = task.tokenizer is not None and kind not in family.tokenizers
        return family.is_native, model_type != opened_from, is_other_kind

    return sorted(found, key=rank)


def _describe(task, name, family, model_type):
    head = "TextClassifier" if name == "TextRegressor" else name
    described = family.make_config(task.backbone, model_type)
    # An option that has no word is refused before the task itself is described.
    family.read_arguments(described)
    config = {
        **described,
        "architectures": [family.class_name(model_type, head)],
        "dtype": task.backbone.variable_dtype,
        **make_policy_config(task.backbone.dtype_policy),
        **make_head_config(family, head, task),
        **make_label_config(task),
        **make_task_options(task),
        **family.make_options(task),
    }
    start = task.start_token_id
    if start is not None:
        config["decoder_start_token_id"] = start
    tokenizer = task.tokenizer
    if tokenizer is not None:
        # A RoBERTa's backbone has said it: its positions begin behind this id.
        if config.get("pad_token_id") is None:
            config["pad_token_id"] = tokenizer.pad_token_id
        if task.is_generative:
            config["eos_token_id"] = tokenizer.end_token_id
            if start is None:
                config["bos_token_id"] = tokenizer.start_token_id
    return config


def _is_expressed(task, spec):
    """Whether a spec that was read from a task's config is that task."""
    family, read = spec.family, dict(spec.arguments)
    own = {
        name: value for name, value in task.backbone.get_config().items() if name not in NOT_STORED
    }
    if not task.uses_pooler and not family.is_native:
        # A pooler that nobody uses may stay behind.
        own.pop("pooler", None)
        read.pop("pooler", None)
    if family.complete(own) != family.complete(read):
        return False
    if not family.is_native and not _pools_as(task, family):
        return False
    # A rate that a class has no key for is kept among the options of the task.
    head = {name: value for name, value in (spec.head or {}).items() if name != "dropout"}
    return all(getattr(task.head, name) == value for name, value in head.items())


def _pools_as(task, family):
    """Whether the class of transformers for a task pools hidden states as the task does."""
    if name_task(task) not in ("TextClassifier", "TextRegressor"):
        return True
    pooling = task.pooling
    if pooling == "auto":
        pooling = "pooler" if task.uses_pooler else task.backbone.default_pooling
    return pooling in family.heads["TextClassifier"].pooling
