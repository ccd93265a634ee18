"""How one task is stored beside the plain model of a family."""

import dataclasses
from collections.abc import Mapping

__all__ = ["Head", "make_decoder_heads", "make_masked_lm_head", "make_token_heads"]

# The variable of an untied output layer.
_OUTPUT = "token_embedding/output_embeddings"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """A class of transformers beside the plain model: how one task is stored.

    Args:
        endings: tuple of str. What follows the family's prefix in the names of classes, such as
            ("ForMaskedLM", "ForPreTraining"). The first one is written.
        modules: dict of a layer's path -> tuple of module names in the file.
        tied: dict of a tensor -> the tensor it is tied to, without the family's prefix. It holds
            where the model ties its output embeddings.
        hidden_activation: str or None. Of a `TextClassifier`: the activation of the dense layer
            before the last one, or None without such a layer.
        dropout_key: str or None. The key of config.json for the head's dropout rate.
        dropout: float or None. What a missing key stands for; None for the backbone's rate.
        uses_pooler: bool. Whether the class has the backbone's pooler.
        pooling: tuple of str. The ways of pooling that a class for whole texts knows.
        options: dict of arguments of `ClassificationHead` that the class fixes.
        left_out: str or None. Pattern of the paths of the backbone's variables that the class does
            not have, such as those of a decoder.
    """

    endings: tuple
    modules: Mapping = dataclasses.field(default_factory=dict)
    tied: Mapping = dataclasses.field(default_factory=dict)
    hidden_activation: str | None = None
    dropout_key: str | None = None
    dropout: float | None = None
    uses_pooler: bool = False
    pooling: tuple = ("cls",)
    options: Mapping = dataclasses.field(default_factory=dict)
    left_out: str | None = None


def make_masked_lm_head(dense, norm, output, tied, endings=("ForMaskedLM",)):
    """The head of a masked language model: a dense layer, a norm and the tied output layer.

    Args:
        dense, norm, output: str. Their modules in the file.
        tied: dict, as for `Head`.
        endings: tuple of str, as for `Head`.
    Returns:
        Head.
    """
    modules = {"head/dense": (dense,), "head/norm": (norm,), "head": (output,)}
    return Head(endings=endings, modules=modules, tied=tied)


def make_token_heads(dropout_key=None):
    """The heads of an encoder that are one dense layer, and the plain model: task -> Head.

    Args:
        dropout_key: str or None. As for `Head`, of the token classifier.
    """
    return {
        "TokenClassifier": Head(
            endings=("ForTokenClassification",),
            modules={"head/output": ("classifier",)},
            dropout_key=dropout_key,
        ),
        "QuestionAnswerer": Head(
            endings=("ForQuestionAnswering",), modules={"head/output": ("qa_outputs",)}
        ),
        "TextEmbedder": Head(endings=("Model",)),
    }


def make_decoder_heads(causal_lm, embeddings):
    """The heads of a decoder: dict of a task's name -> Head.

    Args:
        causal_lm: str. The ending of the class of the language model.
        embeddings: str. The tensor that a tied output layer repeats.
    """
    return {
        "CausalLM": Head(
            endings=(causal_lm,),
            modules={_OUTPUT: ("lm_head",)},
            tied={"lm_head.weight": embeddings},
        ),
        # It scores the last real token, without a bias.
        "TextClassifier": Head(
            endings=("ForSequenceClassification",),
            modules={"head/output": ("score",)},
            pooling=("last",),
            options={"use_bias": False},
            left_out=_OUTPUT,
        ),
        "TextEmbedder": Head(endings=("Model",), left_out=_OUTPUT),
    }
