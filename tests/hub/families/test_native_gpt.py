import json

import numpy as np
import pytest

import lmzoo
from lmzoo.hub.families.gpt2 import variable_shapes
from lmzoo.hub.model_variables import variables_by_path
from tests.hub.records import assert_argument_refused, find_model_type, make_config, read_arguments

LLAMA = {
    "positions": "rotary",
    "norm": "rms_norm",
    "activation": "silu",
    "gated": True,
    "use_bias": False,
    "tied": False,
}
OPTIONS = {
    "llama with layer norm": {**LLAMA, "norm": "layer_norm"},
    "mistral with biases": {
        **{**LLAMA, "num_key_value_heads": 2, "sliding_window": 3, "max_wavelength": 5e5},
        **{"use_bias": True, "rotary_scaling": {"kind": "linear", "factor": 2.0}},
    },
    "qwen with small heads": {
        **{**LLAMA, "use_attention_bias": True, "head_dim": 6, "intermediate_dim": 11},
    },
    "norms of query and key with biases": {
        **{**LLAMA, "query_key_norm": True, "num_key_value_heads": 2, "use_bias": True},
    },
    "output bias alone": {**LLAMA, "use_output_bias": True},
    "learned and shared": {"num_key_value_heads": 1, "dropout": 0.5},
    "no bias in attention": {"use_attention_bias": False, "activation": "tanh"},
    "wide heads": {"head_dim": 5, "norm_epsilon": 1e-7, "initializer_range": 0.5},
}

# Arguments that a folder of the first version does not have.
ADDED = {"rotary_scaling", "use_output_bias", "query_key_norm"}


def make_backbone(**options):
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 16, "max_sequence_length": 12}
    return lmzoo.models.GPTBackbone(23, **{**sizes, **options})


@pytest.fixture
def config():
    return make_config(make_backbone(**OPTIONS["mistral with biases"]))


@pytest.mark.quick("mistral with biases", "learned and shared", "qwen with small heads")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_any_backbone_comes_back_bit_for_bit(tmp_path, options):
    backbone = make_backbone(**options)
    assert find_model_type(backbone) == "lmzoo_gpt"
    lm = lmzoo.tasks.CausalLM(backbone)
    lm.save_pretrained(tmp_path / "a")
    loaded = lmzoo.load(tmp_path / "a")
    assert {**loaded.backbone.get_config(), "name": None} == {**backbone.get_config(), "name": None}
    wanted = variables_by_path(backbone)
    got = variables_by_path(loaded.backbone)
    assert got.keys() == wanted.keys()
    for path, variable in wanted.items():
        np.testing.assert_array_equal(got[path].numpy(), variable.numpy(), err_msg=path)
    inputs = {"token_ids": np.arange(20).reshape(2, 10)}
    np.testing.assert_array_equal(loaded(inputs).numpy(), lm(inputs).numpy())
    loaded.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_shapes_are_known_without_a_backbone(options):
    backbone = make_backbone(**options)
    variables = variables_by_path(backbone)
    shapes = variable_shapes(read_arguments(make_config(backbone)))
    assert shapes == {path: tuple(variable.shape) for path, variable in variables.items()}


def test_transformers_is_not_promised_what_it_cannot_open(tmp_path):
    options = OPTIONS["mistral with biases"]
    lmzoo.tasks.CausalLM(make_backbone(**options)).save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "lmzoo_gpt" and config["architectures"] == ["CausalLM"]
    assert find_model_type(make_backbone()) == "gpt2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocabulary_size", 0),
        ("num_layers", 10**9),
        ("num_heads", -4),
        ("hidden_dim", 2**40),
        ("intermediate_dim", None),
        ("max_sequence_length", "12"),
        ("num_key_value_heads", 2.0),
        ("head_dim", 0),
        ("sliding_window", True),
        ("max_wavelength", 0),
        ("norm_epsilon", float("nan")),
        ("dropout", 1),
        ("initializer_range", float("inf")),
        ("gated", "yes"),
        ("use_bias", None),
        ("tied", 0),
        ("use_attention_bias", 1),
        ("use_output_bias", "no"),
        ("rotary_scaling", [2.0]),
        ("positions", "alibi"),
        ("norm", None),
        ("activation", {"module": "builtins", "class_name": "eval", "config": {}}),
        ("activation", "deserialize"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_by_its_name(config, name, value):
    assert_argument_refused(config, name, value)


def test_every_argument_must_be_there(config):
    for name in config["lmzoo_backbone"].keys() - ADDED:
        found = {**config["lmzoo_backbone"]}
        del found[name]
        with pytest.raises(ValueError, match=f"Received: .*{name}(=None|'. is missing)"):
            read_arguments({"model_type": "lmzoo_gpt", "lmzoo_backbone": found})


def test_a_folder_of_the_first_version_lacks_what_came_later(config):
    found = {**config["lmzoo_backbone"], "rotary_scaling": None}
    old = {name: found[name] for name in found.keys() - ADDED}
    wanted = read_arguments({"model_type": "lmzoo_gpt", "lmzoo_backbone": found})
    assert read_arguments({"model_type": "lmzoo_gpt", "lmzoo_backbone": old}) == wanted


@pytest.mark.parametrize("name", ["name", "dtype", "trainable", "x" * 500])
def test_an_unknown_argument_is_refused(config, name):
    config["lmzoo_backbone"][name] = "float16"
    with pytest.raises(ValueError, match=f"argument of `GPTBackbone`.*Received: .*{name[:40]}"):
        read_arguments(config)


@pytest.mark.parametrize("found", [None, [], "gpt", 3])
def test_the_arguments_are_an_object(found):
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": "lmzoo_gpt", "lmzoo_backbone": found})
    assert str(caught.value) == f"`lmzoo_backbone` must be an object. Received: {found!r}."


def test_a_function_as_activation_is_refused_before_anything_is_written(tmp_path):
    backbone = make_backbone()
    backbone.activation = np.tanh
    with pytest.raises(ValueError, match="`activation` must be one of .*Received: .*tanh"):
        lmzoo.tasks.CausalLM(backbone).save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_key_value_heads": 3}, "num_key_value_heads=3, num_heads=4"),
        ({"num_heads": 5, "num_key_value_heads": 5}, "num_heads=5, hidden_dim=16"),
        ({"num_heads": 16, "num_key_value_heads": 16}, "head_dim=1"),
    ],
)
def test_sizes_that_do_not_fit_each_other_are_refused(config, options, message):
    arguments = {**read_arguments(config), **options}
    with pytest.raises(ValueError, match=f"must .*Received: .*{message}"):
        variable_shapes(arguments)
