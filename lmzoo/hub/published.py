"""The published models by name: where each lies, what it opens as, and how large it is."""

from lmzoo.hub.families import find_family, list_families

__all__ = ["find_arguments", "list_published"]


def list_published():
    """dict of name -> PublishedModel, the sizes of one family side by side."""
    return {name: model for family in list_families() for name, model in family.published.items()}


def find_arguments(model):
    """The arguments of the backbone of a PublishedModel, as a dict."""
    family = find_family(model.model_type)
    arguments = family.read_arguments({"model_type": model.model_type, **model.config})
    if not family.has_pooler:
        return arguments
    # Only models that predict a second sentence were pretrained with a pooler.
    return {**arguments, "pooler": family.heads["TextClassifier"].uses_pooler}
