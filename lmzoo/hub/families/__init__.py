"""The model families, one file each: `FAMILY` in it is the record that every part of the hub reads.

To add a family, add a file with a `Family`; nothing else lists it. `README.md` in this folder goes
through it step by step.
"""

import functools
import importlib
import pkgutil

__all__ = ["find_family", "list_families", "list_model_types"]


def list_families():
    """Tuple of all records, in the order in which they are asked to write a task."""
    return _find_records()


@functools.cache
def _find_records():
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    found = [family for module in modules for family in getattr(module, "FAMILIES", ())]
    # lmzoo's own layouts can express everything, so that they come last.
    return tuple(sorted(found, key=lambda family: family.is_native))


def list_model_types():
    """Tuple of str. Each `model_type` of a config.json that is read."""
    return tuple(model_type for family in list_families() for model_type in family.classes)


def find_family(model_type):
    """The record of a model type.

    Raises:
        ValueError: if there is none.
    """
    for family in list_families():
        if model_type in family.classes:
            return family
    raise ValueError(
        f"`model_type` must be one of {', '.join(list_model_types())}. Received: "
        f"model_type={model_type!r:.80}."
    )
