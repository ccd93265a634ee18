import copy

import pytest

from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.saving import make_config
from lmzoo.models import BertBackbone
from lmzoo.tasks import MaskedLM, QuestionAnswerer, TextClassifier

# What a caller chooses anew each time stands in no config.json.
NOT_STORED = {"name", "dtype", "trainable", "remat", "attention_chunks"}


def write_config(task):
    config, _ = make_config(task)
    assert config["model_type"] == "lmzoo_bert"
    return config


def read_spec(config):
    spec = make_spec(config)
    return spec.task, spec.arguments, spec.head


def make_backbone():
    return BertBackbone(
        23, 1, 2, 8, 11, 12, num_segments=0, position_offset=3, activation="tanh", dropout=0.25
    )


@pytest.fixture
def config():
    task = TextClassifier(make_backbone(), labels=["a", "b"], head_activation="gelu", dropout=0.5)
    names = {"id2label": {"0": "a", "1": "b"}}
    return copy.deepcopy({**write_config(task), **names})


def test_what_is_written_is_read_again(config):
    backbone = make_backbone().get_config()
    task, arguments, head = read_spec(config)
    assert task == "TextClassifier"
    assert arguments == {name: backbone[name] for name in arguments}
    assert arguments.keys() == backbone.keys() - NOT_STORED
    assert head == {"num_classes": 2, "hidden_activation": "gelu", "dropout": 0.5}


def test_the_other_heads_follow_from_the_backbone():
    _, _, head = read_spec(write_config(MaskedLM(make_backbone())))
    assert head == {"vocabulary_size": 23, "activation": "tanh", "norm_epsilon": 1e-12}
    _, _, head = read_spec(write_config(QuestionAnswerer(make_backbone())))
    assert head == {"num_classes": 2, "hidden_activation": None, "dropout": 0.0}
    alone = {**write_config(MaskedLM(make_backbone())), "architectures": ["TextEmbedder"]}
    del alone["lmzoo_task"]
    assert read_spec(alone)[2] is None


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("lmzoo_backbone", "vocabulary_size", 0),
        ("lmzoo_backbone", "num_layers", 10**9),
        ("lmzoo_backbone", "num_heads", None),
        ("lmzoo_backbone", "num_segments", -1),
        ("lmzoo_backbone", "position_offset", 2.0),
        ("lmzoo_backbone", "norm_epsilon", float("nan")),
        ("lmzoo_backbone", "dropout", 1),
        ("lmzoo_backbone", "initializer_range", "0.02"),
        ("lmzoo_backbone", "pooler", 1),
        ("lmzoo_backbone", "embedding_dim", 0),
        ("lmzoo_backbone", "relative_attention", "yes"),
        ("lmzoo_backbone", "num_buckets", 1.5),
        ("lmzoo_backbone", "activation", {"class_name": "Lambda"}),
        ("lmzoo_head", "hidden_activation", "deserialize"),
        ("lmzoo_head", "dropout", None),
    ],
)
def test_an_argument_that_cannot_be_is_refused_by_its_name(config, part, name, value):
    config[part][name] = value
    with pytest.raises(ValueError) as caught:
        read_spec(config)
    assert str(caught.value).startswith(f"`{name}` must be ")
    assert f"Received: {name}={value!r}." in str(caught.value)


def test_every_argument_must_be_there_and_no_other(config):
    added = {"embedding_dim", "relative_attention", "num_buckets", "max_distance"}
    for name in config["lmzoo_backbone"].keys() - added:
        less = {**config["lmzoo_backbone"]}
        del less[name]
        with pytest.raises(ValueError, match=f"Received: .*{name}(=None|'. is missing)"):
            read_spec({**config, "lmzoo_backbone": less})
    more = {**config["lmzoo_backbone"], "trainable": False}
    with pytest.raises(ValueError, match="argument of `BertBackbone`.*Received: .*trainable"):
        read_spec({**config, "lmzoo_backbone": more})


def test_a_folder_of_the_first_version_is_read(config):
    for name in ("embedding_dim", "relative_attention", "num_buckets", "max_distance"):
        del config["lmzoo_backbone"][name]
    _, arguments, _ = read_spec(config)
    own = make_backbone().get_config()
    assert arguments == {name: own[name] for name in arguments}


@pytest.mark.parametrize("part", ["lmzoo_backbone", "lmzoo_head"])
@pytest.mark.parametrize("found", [None, [], "bert"])
def test_the_arguments_are_an_object(config, part, found):
    with pytest.raises(ValueError) as caught:
        read_spec({**config, part: found})
    assert str(caught.value) == f"`{part}` must be an object. Received: {found!r}."


@pytest.mark.parametrize("names", [None, [], ["BertModel"], ["CausalLM"], "MaskedLM", [["x"]]])
def test_a_task_that_is_not_known_is_refused(config, names):
    with pytest.raises(ValueError, match="must begin with one of MaskedLM, .* Received: a"):
        read_spec({**config, "architectures": names})
