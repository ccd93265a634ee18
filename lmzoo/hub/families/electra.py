"""ELECTRA: a BERT without a pooler, whose embeddings may be narrower and projected.

A generator is a `MaskedLM`. A discriminator, the class that most checkpoints are published as,
opens as the backbone alone: its head, which tells replaced tokens from the others, is ignored.
"""

from lmzoo.hub.families import bert
from lmzoo.hub.families.family import PublishedModel
from lmzoo.hub.families.head import Head, make_masked_lm_head, make_token_heads
from lmzoo.hub.families.roberta import masked_lm_head
from lmzoo.hub.files.config_validation import read_choice, read_fields, read_flag, write_fields

__all__ = ["FAMILIES"]

_FIELDS = bert.make_fields(
    **bert.make_size_fields(
        hidden_dim=("hidden_size", 256),
        num_heads=("num_attention_heads", 4),
        intermediate_dim=("intermediate_size", 1024),
        embedding_dim=("embedding_size", 128),
    ),
)
_EMBEDDINGS = "embeddings.word_embeddings.weight"


def _read_arguments(config):
    bert.check_encoder(config)
    read_choice(config, "summary_type", "first", ("first",))
    read_flag(config, "summary_use_proj", True)
    return {**read_fields(config, _FIELDS), "position_offset": 0, "pooler": False}


def _make_config(backbone, model_type):
    config = {
        "model_type": model_type,
        "attention_probs_dropout_prob": backbone.dropout,
        **write_fields(backbone, _FIELDS),
    }
    # None is the width of the blocks.
    config["embedding_size"] = backbone.embedding_dim or backbone.hidden_dim
    return config


def _make_modules(arguments):
    return bert.make_modules(arguments, {"embedding_projection": ("embeddings_project",)})


def _published(place, num_parameters, **config):
    values = (f"hf://{place}", "electra", "TextEmbedder", num_parameters, "apache-2.0", config)
    return PublishedModel(*values)


FAMILIES = (
    bert.make_encoder_family(
        classes={"electra": "Electra"},
        heads={
            "MaskedLM": make_masked_lm_head(
                *(
                    "generator_predictions.dense",
                    "generator_predictions.LayerNorm",
                    "generator_lm_head",
                ),
                tied={"generator_lm_head.weight": _EMBEDDINGS},
            ),
            "TextClassifier": Head(
                endings=("ForSequenceClassification",),
                modules={
                    "head/hidden": ("classifier.dense",),
                    "head/output": ("classifier.out_proj",),
                },
                hidden_activation="gelu",
                dropout_key="classifier_dropout",
            ),
            **make_token_heads("classifier_dropout"),
            "TextEmbedder": Head(endings=("Model", "ForPreTraining")),
        },
        has_pooler=False,
        read_arguments=_read_arguments,
        make_config=_make_config,
        modules=_make_modules,
        ignored={
            **bert.IGNORED,
            "head of the discriminator": r"discriminator_predictions\..*\.(weight|bias)",
        },
        accepts=lambda task, model_type: not task.backbone.pooler,
        masked_lm_head=masked_lm_head,
        published={
            "electra-small": _published("google/electra-small-discriminator", 13_483_008),
            "electra-base": _published(
                "google/electra-base-discriminator",
                108_891_648,
                **{"embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12},
                intermediate_size=3072,
            ),
            "electra-large": _published(
                "google/electra-large-discriminator",
                334_092_288,
                **{"embedding_size": 1024, "hidden_size": 1024, "num_attention_heads": 16},
                **{"intermediate_size": 4096, "num_hidden_layers": 24},
            ),
        },
    ),
)
