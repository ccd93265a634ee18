"""Writing a task as a Hugging Face folder."""

import json

from lmzoo.files import atomic_folder, check_new_folder
from lmzoo.hub import families
from lmzoo.hub.weights import write_weights

__all__ = ["save_pretrained"]


def save_pretrained(task, folder, overwrite=False):
    """Writes config.json, model.safetensors and the tokenizer's files, atomically.

    The same task always gives the same bytes. GPT-2's options are written in transformers' own
    names, so that `AutoModelForCausalLM.from_pretrained` opens the folder; other options of
    `GPTBackbone` are written under the model type "lmzoo_gpt", which only lmzoo opens.

    Args:
        task: `lmzoo.tasks.CausalLM`.
        folder: str or path. New or empty, unless `overwrite`.
        overwrite: bool. If True, an existing folder is replaced.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False.
        ValueError: if the backbone has an option that no file expresses, such as a function of the
            caller's as its activation.
    """
    check_new_folder(folder, overwrite)
    family = families.family_of(task.backbone)
    config = {**family.make_config(task.backbone), **_describe(task)}
    config["architectures"] = [families.ARCHITECTURES[config["model_type"]]]
    # What could not be read again is not written.
    recipes = family.make_recipes(family.make_arguments(config))
    variables = families.variables_by_path(task.backbone)
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    with atomic_folder(folder, overwrite) as new:
        write_weights(new, recipes, variables)
        (new / "config.json").write_text(text + "\n", encoding="utf-8")
        if task.tokenizer is not None:
            task.tokenizer.save(new)


def _describe(task):
    """The part of config.json that belongs to the task and not to the backbone."""
    tokenizer = task.tokenizer
    description = {"dtype": task.backbone.variable_dtype}
    if tokenizer is not None:
        description["bos_token_id"] = tokenizer.start_token_id
        description["eos_token_id"] = tokenizer.end_token_id
        description["pad_token_id"] = tokenizer.pad_token_id
    return description
