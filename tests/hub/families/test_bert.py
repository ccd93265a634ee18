"""The config.json of three encoders, field by field."""

import pytest

from lmzoo.models import BertBackbone
from tests.hub.golden_encoders import FAMILIES, read_folder
from tests.hub.records import find_model_type, make_config, read_arguments

every_family = pytest.mark.parametrize("family", FAMILIES)
OF_THE_GOLDEN_MODELS = {
    "vocabulary_size": 101,
    "num_layers": 3,
    "num_heads": 4,
    "hidden_dim": 48,
    "intermediate_dim": 37,
    "activation": "gelu",
    "dropout": 0.1,
    "initializer_range": 0.02,
}


def test_the_golden_configs_are_these_arguments():
    own = {
        "bert": (40, 2, 0, 1e-12),
        "roberta": (38, 1, 2, 1e-5),
        "distilbert": (40, 0, 0, 1e-12),
    }
    names = ("max_sequence_length", "num_segments", "position_offset", "norm_epsilon")
    for family, values in own.items():
        arguments = read_arguments(read_folder(family, "Model")[0])
        wanted = {**OF_THE_GOLDEN_MODELS, **dict(zip(names, values, strict=True))}
        assert arguments == wanted


@every_family
def test_the_config_written_says_what_that_of_transformers_says(family):
    theirs = read_folder(family, "Model")[0]
    backbone = BertBackbone(**read_arguments(theirs), pooler=family != "distilbert")
    assert find_model_type(backbone) == family
    ours = make_config(backbone)
    assert ours == {name: theirs[name] for name in ours}
    left = set(theirs) - set(ours)
    assert left <= {
        *("add_cross_attention", "architectures", "bos_token_id", "classifier_dropout", "dtype"),
        *("eos_token_id", "is_decoder", "pad_token_id", "qa_dropout", "seq_classif_dropout"),
        *("sinusoidal_pos_embds", "tie_word_embeddings", "transformers_version", "use_cache"),
    }


@pytest.mark.parametrize(
    ("options", "model_type"),
    [
        ({}, "bert"),
        ({"pooler": False}, "bert"),
        ({"num_segments": 5, "norm_epsilon": 1e-3, "activation": "gelu_tanh"}, "bert"),
        ({"num_segments": 1, "position_offset": 2}, "roberta"),
        ({"position_offset": 1, "activation": "relu"}, "roberta"),
        ({"num_segments": 0, "pooler": False}, "distilbert"),
        ({"num_segments": 0}, "lmzoo_bert"),
        ({"num_segments": 0, "pooler": False, "norm_epsilon": 1e-5}, "lmzoo_bert"),
        ({"num_segments": 0, "pooler": False, "position_offset": 2}, "lmzoo_bert"),
        ({"activation": "tanh"}, "lmzoo_bert"),
    ],
    ids=str,
)
def test_each_backbone_has_the_model_type_that_can_express_it(options, model_type):
    backbone = BertBackbone(19, 1, 2, 8, 11, 5, dropout=0.25, initializer_range=0.5, **options)
    assert find_model_type(backbone) == model_type
    if model_type is not None:
        arguments = read_arguments(make_config(backbone))
        config = backbone.get_config()
        assert arguments == {name: config[name] for name in arguments}


def test_a_config_without_sizes_is_the_published_one():
    found = read_arguments({"model_type": "distilbert"})
    names = ("num_layers", "num_heads", "hidden_dim", "intermediate_dim", "vocabulary_size")
    assert [found[name] for name in names] == [6, 12, 768, 3072, 30522]


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [
        ("bert", "layer_norm_eps", float("nan")),
        ("roberta", "layer_norm_eps", "1e-5"),
        ("bert", "initializer_range", -0.1),
        ("bert", "hidden_dropout_prob", 1.0),
        ("distilbert", "dropout", "lmzoo_bert"),
        ("bert", "hidden_act", "os.system"),
        ("bert", "hidden_act", {"class_name": "Lambda"}),
        ("distilbert", "activation", ["gelu"]),
        ("bert", "is_decoder", True),
        ("roberta", "is_decoder", 1),
        ("bert", "add_cross_attention", True),
        ("bert", "position_embedding_type", "relative_key"),
        ("roberta", "pad_token_id", "lmzoo_bert"),
        ("roberta", "pad_token_id", -1),
        ("roberta", "pad_token_id", True),
        ("roberta", "pad_token_id", 511),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_name(family, field, value):
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": family, field: value})
    assert str(caught.value).startswith(f"`{field}` must be ")
    assert f"Received: {field}={value!r}." in str(caught.value)
