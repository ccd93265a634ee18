"""DistilBERT: a BERT without segments and pooler, with keys and tensor names of its own."""

from lmzoo.hub.families import bert
from lmzoo.hub.families.family import KerasHubClass, PublishedModel, list_size_keys
from lmzoo.hub.families.head import Head, make_masked_lm_head, make_token_heads
from lmzoo.hub.files.config_validation import choice_field, number_field, read_fields, write_fields

__all__ = ["FAMILIES"]

_FIELDS = bert.make_fields(
    **bert.make_size_fields(
        num_layers=("n_layers", 6),
        num_heads=("n_heads", 12),
        hidden_dim=("dim", 768),
        intermediate_dim=("hidden_dim", 3072),
    ),
    activation=choice_field("activation", "gelu", bert.ACTIVATIONS),
    dropout=number_field("dropout", 0, 0.999, 0.1),
    num_segments=None,
    norm_epsilon=None,
)
_BLOCK = {
    "self_attention/query_key_value": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "self_attention/output": ("attention.out_lin",),
    "self_attention_norm": ("sa_layer_norm",),
    "feed_forward/intermediate": ("ffn.lin1",),
    "feed_forward/output": ("ffn.lin2",),
    "feed_forward_norm": ("output_layer_norm",),
}


def _read_arguments(config):
    bert.check_encoder(config)
    fixed = {"position_offset": 0, "num_segments": 0, "norm_epsilon": 1e-12}
    return {**fixed, **read_fields(config, _FIELDS)}


def _make_config(backbone, model_type):
    fields = write_fields(backbone, _FIELDS)
    return {"model_type": model_type, "attention_dropout": backbone.dropout, **fields}


def _make_keras_hub(backbone):
    from lmzoo.hub.keras_hub.checks import check_common, check_only

    check_common(backbone)
    check_only(backbone, norm_epsilon=1e-12, pooler=False, activation="gelu")
    return {"max_sequence_length": backbone.max_sequence_length}


FAMILIES = (
    bert.make_encoder_family(
        classes={"distilbert": "DistilBert"},
        heads={
            "MaskedLM": make_masked_lm_head(
                *("vocab_transform", "vocab_layer_norm", "vocab_projector"),
                tied={"vocab_projector.weight": "embeddings.word_embeddings.weight"},
            ),
            "TextClassifier": Head(
                endings=("ForSequenceClassification",),
                modules={"head/hidden": ("pre_classifier",), "head/output": ("classifier",)},
                hidden_activation="relu",
                dropout_key="seq_classif_dropout",
                dropout=0.2,
            ),
            **make_token_heads(),
        },
        read_arguments=_read_arguments,
        make_config=_make_config,
        size_keys=list_size_keys(_FIELDS),
        modules=lambda arguments: bert.make_modules(
            arguments, place="transformer.layer", block=_BLOCK
        ),
        accepts=lambda task, model_type: not task.backbone.pooler,
        keras_hub=KerasHubClass(
            name="DistilBertBackbone",
            read_arguments=lambda backbone: {"num_segments": 0, "pooler": False},
            make_arguments=_make_keras_hub,
            fits=lambda backbone: not backbone.num_segments and not backbone.position_offset,
        ),
        published={
            "distilbert-base-uncased": PublishedModel(
                "hf://distilbert/distilbert-base-uncased",
                *("distilbert", "MaskedLM", 66_362_880, "apache-2.0", {}),
            ),
        },
    ),
)
