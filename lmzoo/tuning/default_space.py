"""What is searched where the caller names no dimension, by the task and its backbone."""

__all__ = ["FINE_TUNING", "find_backbone_name", "make_default_space"]

FINE_TUNING = {
    "learning_rate": {"min": 1e-5, "max": 2e-4, "log": True},
    "schedule": ["linear", "cosine"],
    "warmup": [0.0, 0.06, 0.1],
    "batch_size": [8, 16, 32],
}
_PRETRAINING = {
    "num_layers": [2, 4, 6],
    "hidden_dim": [128, 256, 384],
    "num_heads": [2, 4, 8],
    "dropout": [0.0, 0.1, 0.2],
    "learning_rate": {"min": 1e-4, "max": 3e-3, "log": True},
    "schedule": ["cosine", "linear", "constant"],
    "warmup": [0.0, 0.06, 0.1],
    "batch_size": [8, 16, 32],
}
_FAMILIES = {
    "BertBackbone": {},
    "ModernBertBackbone": {"dropout": [0.0, 0.1]},
    "GPTBackbone": {"num_layers": [2, 4, 6, 8], "num_heads": [4, 8]},
    # Adafactor's steps are relative to the weights, and a fresh T5's embeddings are large.
    "T5Backbone": {
        "optimizer": "Adafactor",
        "learning_rate": {"min": 1e-3, "max": 3e-2, "log": True},
        "schedule": ["constant", "inverse_sqrt"],
        "dropout": [0.0, 0.1],
    },
}
_BACKBONES = {"CausalLM": "GPTBackbone", "Seq2SeqLM": "T5Backbone"}
# Longer texts than these lose little in a class; a language model is compared at one length.
_LENGTHS = {"sequence_length": [64, 128, 256]}
_TEXT_TASKS = ("TextClassifier", "TextRegressor", "TextEmbedder")
_POOLINGS = {
    "BertBackbone": ["mean", "cls"],
    "ModernBertBackbone": ["mean", "cls"],
    "GPTBackbone": ["mean", "last"],
}


def find_backbone_name(task):
    """str. The class of `lmzoo.models` that suits a task where none is named."""
    return _BACKBONES.get(task, "BertBackbone")


def make_default_space(task, backbone, has_source=False):
    """The dimensions that are searched where the caller names none.

    Args:
        task: str or None. A class of `lmzoo.tasks`; None for that of the source.
        backbone: str or None. A class of `lmzoo.models`.
        has_source: bool. Whether a pretrained model is fine-tuned.
    Returns:
        dict of name to value, as `read_dimension` takes it.
    """
    if has_source:
        return dict(FINE_TUNING)
    space = {**_PRETRAINING, **_FAMILIES.get(backbone, {})}
    if task in _TEXT_TASKS:
        space |= _LENGTHS
        if backbone in _POOLINGS:
            space["pooling"] = _POOLINGS[backbone]
    return space
