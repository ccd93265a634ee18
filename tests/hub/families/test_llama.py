"""Llama, Qwen2, Mistral against transformers: make_llama_golden.py has written what it computes."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families.gpt2 import variable_shapes
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.hub.tensor_mapping import split_variable
from lmzoo.layers.attention import self_attention
from tests.golden.projections import project
from tests.hub.golden_t5 import read_expected, write_folder
from tests.hub.records import find_model_type, make_config, read_arguments

FAMILIES = ("llama", "qwen2", "mistral", "qwen3")
PATTERNS = ("full", "right", "left")
OPTIONS = {
    **{"positions": "rotary", "norm": "rms_norm", "activation": "silu", "gated": True},
    **{"use_bias": False, "num_key_value_heads": 2},
}
LINEAR = {"kind": "linear", "factor": 2.5}
every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("llama")
    return {family: write_folder(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def expected():
    return {family: read_expected(family) for family in FAMILIES}


@pytest.fixture(scope="module")
def precise(folders):
    return {family: lmzoo.load(folders[family], dtype="float64") for family in FAMILIES}


def make_backbone(**options):
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 16, "max_sequence_length": 12}
    return lmzoo.models.GPTBackbone(23, **{**sizes, **OPTIONS, **options})


def own_arguments(backbone):
    config = backbone.get_config()
    return {name: config[name] for name in config.keys() - {"name", "dtype", "trainable"}}


def call(lm, expected, pattern="full"):
    """Logits at the real positions, and what they must be."""
    mask = expected[f"{pattern}/mask"]
    logits = lm({"token_ids": expected["token_ids"], "padding_mask": mask})
    return logits.numpy()[mask], expected[f"{pattern}/logits"][mask]


def test_a_model_with_dynamic_scaling_reads_longer_texts():
    scaling = {"rope_type": "dynamic", "factor": 2.5}
    arguments = read_arguments({**make_config(make_backbone()), "rope_scaling": scaling})
    assert arguments["max_sequence_length"] == 30
    assert arguments["rotary_scaling"]["original_length"] == 12
    config = make_config(lmzoo.models.GPTBackbone(**arguments))
    assert (config["max_position_embeddings"], config["rope_scaling"]) == (12, scaling)


@every_family
def test_logits_are_those_of_transformers(precise, folders, expected, family):
    single = lmzoo.load(folders[family], dtype="float32")
    for pattern in PATTERNS:
        got, wanted = call(precise[family], expected[family], pattern)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)
        got, wanted = call(single, expected[family], pattern)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@every_family
def test_hidden_states_of_every_layer_are_those_of_transformers(
    precise, expected, family, monkeypatch
):
    backbone, states = precise[family].backbone, []
    for block in backbone.blocks:

        def record(hidden, *args, call=block.call, **kwargs):
            states.append(hidden)
            return call(hidden, *args, **kwargs)

        monkeypatch.setattr(block, "call", record)
    for pattern in PATTERNS:
        states.clear()
        mask = expected[family][f"{pattern}/mask"]
        inputs = {"token_ids": expected[family]["token_ids"], "padding_mask": mask}
        states.append(backbone(inputs))
        # What enters each block, and what leaves the last norm.
        wanted = expected[family][f"{pattern}/hidden"]
        assert len(states) == len(wanted) == 3
        for got, layer in zip(states, wanted, strict=True):
            np.testing.assert_allclose(got.numpy()[mask], layer[mask], rtol=0, atol=1e-10)


@every_family
def test_loss_and_every_gradient_are_those_of_transformers(precise, expected, family):
    lm, values = precise[family], expected[family]
    mapping, variables = make_spec(make_config(lm.backbone)).mapping, variables_by_path(lm.backbone)
    assert mapping.keys() == variables.keys()
    token_ids, mask = values["token_ids"], values["right/mask"]
    with tf.GradientTape() as tape:
        logits = lm({"token_ids": token_ids, "padding_mask": mask})[:, :-1]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(token_ids[:, 1:], logits)
        loss = tf.reduce_mean(losses[mask[:, :-1] & mask[:, 1:]])
    assert loss.numpy() == pytest.approx(values["right/loss"], abs=1e-9)
    gradients = tape.gradient(loss, {path: variables[path].value for path in mapping})
    found = {}
    for path, gradient in gradients.items():
        found |= split_variable(mapping[path], tf.convert_to_tensor(gradient).numpy())
    got = project(found)
    assert got.shape == values["right/gradients"].shape
    np.testing.assert_allclose(got, values["right/gradients"], rtol=0, atol=1e-9)


def swap(tensors, one, other):
    tensors[one], tensors[other] = tensors[other], tensors[one]


def swap_gate_and_up(tensors):
    swap(tensors, "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight")


def swap_norms(tensors):
    place = "model.layers.0."
    swap(tensors, f"{place}input_layernorm.weight", f"{place}post_attention_layernorm.weight")


def swap_key_heads(tensors):
    name = "model.layers.0.self_attn.k_proj.weight"
    tensors[name] = np.concatenate(np.split(tensors[name], 2)[::-1])


def interleave_query_heads(tensors):
    """The grouping in which neighbouring queries have different keys."""
    for name in [name for name in tensors if ".0.self_attn.q_proj." in name]:
        tensors[name] = np.concatenate([np.split(tensors[name], 4)[head] for head in (0, 2, 1, 3)])


def zero_query_bias(tensors):
    tensors["model.layers.0.self_attn.q_proj.bias"][:] = 0


def zero_output_bias(tensors):
    tensors["model.layers.1.self_attn.o_proj.bias"][:] = 0


def reverse_head(tensors):
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"][::-1].copy()


ROPE = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0}
ROPE |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 128}
MUTANTS = [
    ("llama", None, {"rms_norm_eps": 1e-6}),
    ("llama", None, {"hidden_act": "gelu"}),
    ("llama", None, {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
    ("llama", None, {"rope_parameters": {**ROPE, "rope_theta": 10000.0}}),
    ("llama", None, {"rope_parameters": {**ROPE, "factor": 4.0}}),
    ("llama", None, {"rope_parameters": {**ROPE, "low_freq_factor": 2.0}}),
    ("llama", None, {"rope_parameters": {**ROPE, "high_freq_factor": 3.0}}),
    ("llama", None, {"rope_parameters": {**ROPE, "original_max_position_embeddings": 256}}),
    ("llama", swap_gate_and_up, {}),
    ("llama", swap_norms, {}),
    ("llama", swap_key_heads, {}),
    ("llama", interleave_query_heads, {}),
    ("llama", zero_query_bias, {}),
    ("llama", zero_output_bias, {}),
    ("llama", reverse_head, {}),
    ("qwen2", zero_query_bias, {}),
    ("qwen2", reverse_head, {"tie_word_embeddings": False}),
    ("qwen2", None, {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}),
    ("mistral", None, {"sliding_window": 3}),
    ("mistral", None, {"sliding_window": 5}),
    ("mistral", None, {"sliding_window": 4096}),
    ("mistral", None, {"rope_parameters": {"rope_type": "default", "rope_theta": 10001.0}}),
]


@pytest.mark.parametrize(("family", "change", "fields"), MUTANTS)
def test_one_trap_alone_makes_the_comparison_fail(tmp_path, expected, family, change, fields):
    folder = write_folder(tmp_path / family, family, change, **fields)
    got, wanted = call(lmzoo.load(folder, "float64"), expected[family])
    assert np.max(np.abs(got - wanted)) > 1e-7


@every_family
def test_rotating_neighbours_makes_the_comparison_fail(folders, expected, family, monkeypatch):
    rotate = self_attention.rotate_by_position

    def rotate_neighbours(heads, positions, *rest):
        size = heads.shape[-1]
        order = np.arange(size).reshape(-1, 2).T.ravel()
        turned = rotate(tf.gather(heads, order, axis=-1), positions, *rest)
        return tf.gather(turned, np.argsort(order), axis=-1)

    monkeypatch.setattr(self_attention, "rotate_by_position", rotate_neighbours)
    got, wanted = call(lmzoo.load(folders[family], "float64"), expected[family])
    assert np.max(np.abs(got - wanted)) > 1e-7


# Both ways


@every_family
def test_what_is_saved_is_what_was_read(folders, tmp_path, family):
    lm = lmzoo.load(folders[family])
    lm.save_pretrained(tmp_path / "a")
    saved = (tmp_path / "a" / "model.safetensors").read_bytes()
    wanted = (folders[family] / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(wanted[:8], "little")
    # The same tensors in the same order; the safetensors library may pad its header otherwise.
    assert saved[-len(wanted) + header :] == wanted[header:]
    ours = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    theirs = json.loads((folders[family] / "config.json").read_text(encoding="utf-8"))
    # transformers' own words for the angles and its windows are those of version 5.
    known = set(ours) & set(theirs) - {"bos_token_id", "eos_token_id", "max_window_layers"}
    assert {name: ours[name] for name in known} == {name: theirs[name] for name in known}
    assert set(ours) - set(theirs) <= {"rope_theta", "rope_scaling", "sliding_window"}
    again = lmzoo.load(tmp_path / "a")
    again.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {**again.backbone.get_config(), "name": 0} == {**lm.backbone.get_config(), "name": 0}


@pytest.mark.parametrize(
    ("options", "model_type"),
    [
        ({}, "llama"),
        ({"use_bias": True}, "llama"),
        ({"use_attention_bias": True, "use_output_bias": True}, "llama"),
        ({"use_bias": True, "use_attention_bias": False, "use_output_bias": False}, "llama"),
        ({"head_dim": 6, "tied": False, "dropout": 0.25, "rotary_scaling": LINEAR}, "llama"),
        ({"use_attention_bias": True}, "qwen2"),
        ({"use_attention_bias": True, "sliding_window": 3}, "qwen2"),
        ({"sliding_window": 3, "activation": "gelu_tanh", "norm_epsilon": 1e-7}, "mistral"),
        # transformers' Llama refuses it.
        ({"num_heads": 3, "num_key_value_heads": 3, "head_dim": 6}, "mistral"),
    ],
    ids=str,
)
def test_a_backbone_is_written_as_the_first_family_that_has_its_options(options, model_type):
    backbone = make_backbone(**options)
    config = make_config(backbone)
    assert config["model_type"] == model_type
    arguments = read_arguments(json.loads(json.dumps(config)))
    again = lmzoo.models.GPTBackbone(**arguments)
    assert make_config(again) == config
    variables = variables_by_path(backbone)
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    assert variable_shapes(arguments) == shapes
    assert make_spec(config).mapping.keys() == variables.keys()


@pytest.mark.parametrize(
    "option",
    [
        {"positions": "learned"},
        {"norm": "layer_norm"},
        {"gated": False},
        {"activation": "tanh"},
        {"use_output_bias": True},
        {"use_attention_bias": True, "head_dim": 6},
        {"use_bias": True, "sliding_window": 3},
    ],
    ids=str,
)
def test_what_none_of_the_three_can_express_does_not_fit(option):
    backbone = make_backbone(**option)
    assert find_model_type(backbone) == "lmzoo_gpt"


def test_a_mistral_without_a_window_stays_one_and_could_be_a_llama(tmp_path):
    folder = write_folder(tmp_path / "a", "mistral")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "sliding_window": None}))
    lm = lmzoo.load(folder)
    lm.save_pretrained(tmp_path / "b")
    saved = json.loads((tmp_path / "b" / "config.json").read_text(encoding="utf-8"))
    assert saved["model_type"] == "mistral" and saved["architectures"] == ["MistralForCausalLM"]
    assert find_model_type(type(lm.backbone)(**own_arguments(lm.backbone))) == "llama"
    inputs = {"token_ids": np.arange(30).reshape(2, 15)}
    again = lmzoo.load(tmp_path / "b")
    np.testing.assert_array_equal(again(inputs).numpy(), lm(inputs).numpy())


# Reading


def bare(tensors):
    for name in [name for name in tensors if name.startswith("model.")]:
        tensors[name.removeprefix("model.")] = tensors.pop(name)


def test_a_plain_model_opens_where_its_head_is_tied(tmp_path, expected):
    folder = write_folder(tmp_path / "a", "qwen2", bare, architectures=["Qwen2Model"])
    got, wanted = call(lmzoo.load(folder, "float64"), expected["qwen2"])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)


def behead(tensors):
    del tensors["lm_head.weight"]


@pytest.mark.parametrize("change", [behead, lambda tensors: (bare(tensors), behead(tensors))])
def test_a_plain_model_gets_a_fresh_head(tmp_path, expected, change):
    folder = write_folder(tmp_path / "a", "llama", change, architectures=["LlamaModel"])
    message = "has no weights for token_embedding/output_embeddings of CausalLM. They are random"
    with pytest.warns(UserWarning, match=message) as caught:
        lm = lmzoo.load(folder, "float64")
    assert len(caught) == 1
    inputs = {"token_ids": expected["llama"]["token_ids"]}
    with_head = lmzoo.load(write_folder(tmp_path / "b", "llama"), "float64")
    got, wanted = (model.backbone(inputs) for model in (lm, with_head))
    np.testing.assert_array_equal(got, wanted)
    drawn = lm.backbone.token_embedding.output_embeddings.numpy()
    assert 0.5 < np.std(drawn) / lm.backbone.initializer_range < 1.5
    assert lmzoo.hub.verify(folder)["passed"]

    lm.save_pretrained(tmp_path / "c")
    again = lmzoo.load(tmp_path / "c", "float64")
    np.testing.assert_array_equal(again(inputs), lm(inputs))


@pytest.mark.parametrize("end", ["TokenClassification", "QuestionAnswering"])
def test_a_decoder_with_another_head_is_refused_by_its_class(tmp_path, end):
    def replace_head(tensors):
        tensors["score.weight"] = tensors.pop("lm_head.weight")[:2]

    names = [f"LlamaFor{end}"]
    folder = write_folder(tmp_path / "a", "llama", replace_head, architectures=names)
    message = rf"begin with one of LlamaForCausalLM, .* architectures=\['LlamaFor{end}'\]"
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)
    assert f"architectures=['LlamaFor{end}']" in lmzoo.hub.describe(folder)["problem"]


def test_a_language_model_without_its_head_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", "llama", behead, architectures=["LlamaForCausalLM"])
    with pytest.raises(ValueError, match="lm_head.weight"):
        lmzoo.load(folder)


def test_old_frequencies_and_the_copy_of_a_tied_head_are_let_through(tmp_path, expected):
    def add(tensors):
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(6, np.float32)
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]

    folder = write_folder(tmp_path / "a", "qwen2", add)
    got, wanted = call(lmzoo.load(folder, "float64"), expected["qwen2"])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)


def drop(tensors):
    del tensors["model.layers.1.self_attn.k_proj.weight"]


def add(tensors):
    tensors["model.layers.2.self_attn.k_proj.weight"] = np.zeros((24, 48), np.float32)


def transpose(tensors):
    name = "model.layers.0.mlp.down_proj.weight"
    tensors[name] = tensors[name].T.copy()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, "Missing: 'model.layers.1.self_attn.k_proj.weight'"),
        (add, "not expected: 'model.layers.2.self_attn.k_proj.weight'"),
        (transpose, r"must have shape \(48, 37\) .*Received: \(37, 48\)"),
        (reverse_head, "must be equal where `tie_word_embeddings` is true. Received: two"),
    ],
)
def test_a_file_that_does_not_hold_each_tensor_once_is_refused(tmp_path, change, message):
    folder = write_folder(tmp_path / "a", "qwen2", change)
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [("llama", 6_738_415_616), ("qwen2", 12_049_846_272), ("mistral", 7_241_732_096)],
)
def test_an_empty_config_has_the_sizes_that_transformers_has(family, parameters):
    arguments = read_arguments({"model_type": family})
    assert sum(np.prod(shape) for shape in variable_shapes(arguments).values()) == parameters


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        ({}, None),
        ({"use_sliding_window": False, "sliding_window": 4, "max_window_layers": 0}, None),
        ({"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}, 4),
        ({"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2}, None),
        ({"use_sliding_window": True, "layer_types": ["sliding_attention"] * 2}, 4096),
        ({"use_sliding_window": True, "layer_types": ["full_attention"] * 2}, None),
    ],
    ids=str,
)
def test_the_window_of_a_qwen2_is_that_of_all_its_layers(fields, window):
    config = {"model_type": "qwen2", "num_hidden_layers": 2, **fields}
    assert read_arguments(config)["sliding_window"] == window


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"use_sliding_window": True, "max_window_layers": 1},
            "sliding_window=4096, layer_types=.'full_attention', 'sliding_attention'.",
        ),
        ({"layer_types": ["sliding_attention"] * 2}, "sliding_window=None, layer_types="),
        ({"layer_types": ["full_attention"]}, "layer_types=.'full_attention'.."),
        ({"layer_types": "full_attention"}, "layer_types='full_attention'"),
    ],
    ids=str,
)
def test_layers_with_different_windows_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"`layer_types` must be the same .*Received: .*{message}"):
        read_arguments({"model_type": "qwen2", "num_hidden_layers": 2, **fields})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 0),
        ("hidden_size", 2**40),
        ("intermediate_size", None),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", -1),
        ("num_key_value_heads", 2.0),
        ("head_dim", "64"),
        ("max_position_embeddings", True),
        ("hidden_act", "os.system"),
        ("rms_norm_eps", float("nan")),
        ("initializer_range", -0.1),
        ("attention_dropout", 1),
        ("tie_word_embeddings", "yes"),
        ("attention_bias", 1),
        ("mlp_bias", None),
        ("rope_theta", 0),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": "llama", field: value})
    assert str(caught.value).startswith(f"`{field}` must be ")
    assert f"Received: {field}={value!r}." in str(caught.value)


def test_a_keras_file_keeps_the_scaling(tmp_path):
    lm = lmzoo.tasks.CausalLM(make_backbone(rotary_scaling=LINEAR, use_output_bias=False))
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    assert again.backbone.get_config() == lm.backbone.get_config()
    inputs = {"token_ids": np.arange(20).reshape(2, 10)}
    np.testing.assert_array_equal(again(inputs).numpy(), lm(inputs).numpy())


@pytest.mark.parametrize(
    "options",
    [
        {"use_bias": True, "rotary_scaling": LINEAR, "tied": False},
        {"use_attention_bias": True, "sliding_window": 3},
        {"sliding_window": 3, "head_dim": 6, "activation": "gelu_tanh"},
    ],
    ids=str,
)
def test_transformers_opens_what_is_saved(tmp_path, options):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    lm = lmzoo.tasks.CausalLM(make_backbone(initializer_range=0.3, **options))
    for variable in lm.backbone.weights:
        if len(variable.shape) == 1:
            variable.assign_add(np.random.default_rng(1).normal(size=variable.shape) * 0.3)
    lm.save_pretrained(tmp_path / "a")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "a", output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], kind
    ids = np.arange(20).reshape(2, 10)
    with torch.no_grad():
        wanted = model.eval()(torch.from_numpy(ids)).logits.numpy()
    got = lm({"token_ids": ids}).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
