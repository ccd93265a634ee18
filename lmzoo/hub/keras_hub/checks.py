"""What KerasHub's models lack: options that a backbone must have to be converted."""

import warnings

__all__ = ["check_common", "check_only", "warn_of_gelu"]


def check_only(backbone, **wanted):
    """Refuses a backbone with another value of an option than the only one that KerasHub has.

    Raises:
        ValueError: if there is one; it names the way out for a pooler.
    """
    for name, only in wanted.items():
        value = getattr(backbone, name)
        if value == only:
            continue
        remedy = ""
        if name == "pooler":
            task, what = (
                ("TextEmbedder", "keeps one that a file has") if only else ("MaskedLM", "has none")
            )
            remedy = f" Open its folder with task={task!r}, which {what}."
        raise ValueError(
            f"`{name}` must be {only} for KerasHub. Received: {name}={value!r}.{remedy}"
        )


def check_common(backbone):
    """Refuses a `BertBackbone` with options that none of KerasHub's classes has."""
    if backbone.embedding_dim is not None:
        check_only(backbone, embedding_dim=backbone.hidden_dim)
    check_only(backbone, relative_attention=False)


def warn_of_gelu():
    """Says that KerasHub's BERT computes another gelu."""
    warnings.warn(
        "KerasHub's BERT has the tanh form of gelu where this one has the exact gelu: hidden "
        "states will differ, by about 0.001.",
        stacklevel=5,
    )
