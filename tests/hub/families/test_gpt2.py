"""GPT-2 against transformers: tests/golden/make_gpt2_golden.py has written what it computes."""

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families.gpt2 import variable_shapes
from lmzoo.hub.model_variables import variables_by_path
from tests.golden.projections import project_by_name
from tests.hub.records import find_model_type, make_config, read_arguments

PATTERNS = ("full", "right", "left")


@pytest.fixture(scope="module")
def expected(golden):
    with np.load(golden / "expected.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def precise(golden):
    return lmzoo.load(golden, dtype="float64")


def call(lm, expected, pattern):
    """Logits at the real positions, and what they must be."""
    mask = expected[f"{pattern}/mask"]
    logits = lm({"token_ids": expected["token_ids"], "padding_mask": mask})
    return logits.numpy()[mask], expected[f"{pattern}/logits"][mask]


def compute_loss(lm, token_ids, mask):
    logits = lm({"token_ids": token_ids, "padding_mask": mask})[:, :-1]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(token_ids[:, 1:], logits)
    return tf.reduce_mean(losses[mask[:, :-1] & mask[:, 1:]])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_logits_are_those_of_transformers(precise, golden, expected, pattern):
    got, wanted = call(precise, expected, pattern)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)
    got, wanted = call(lmzoo.load(golden, dtype="float32"), expected, pattern)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_hidden_states_of_every_layer_are_those_of_transformers(
    precise, expected, pattern, monkeypatch
):
    backbone, states = precise.backbone, []
    for block in backbone.blocks:

        def record(hidden, *args, call=block.call, **kwargs):
            states.append(hidden)
            return call(hidden, *args, **kwargs)

        monkeypatch.setattr(block, "call", record)
    mask = expected[f"{pattern}/mask"]
    states.append(backbone({"token_ids": expected["token_ids"], "padding_mask": mask}))
    # What enters each block, and what leaves the last norm.
    wanted = expected[f"{pattern}/hidden"]
    assert len(states) == len(wanted) == 4
    for got, layer in zip(states, wanted, strict=True):
        np.testing.assert_allclose(got.numpy()[mask], layer[mask], rtol=0, atol=1e-10)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_loss_and_every_gradient_are_those_of_transformers(precise, expected, pattern):
    mapping = make_spec(make_config(precise.backbone)).mapping
    variables = variables_by_path(precise.backbone)
    assert mapping.keys() == variables.keys()
    values = {sources.names[0]: variables[path].value for path, sources in mapping.items()}
    with tf.GradientTape() as tape:
        loss = compute_loss(precise, expected["token_ids"], expected[f"{pattern}/mask"])
    assert loss.numpy() == pytest.approx(expected[f"{pattern}/loss"], abs=1e-9)
    gradients = tape.gradient(loss, values)
    columns, rows = project_by_name(
        {name: tf.convert_to_tensor(gradient).numpy() for name, gradient in gradients.items()}
    )
    for kind, projections in (("columns", columns), ("rows", rows)):
        for name, got in projections.items():
            wanted = expected[f"{pattern}/{kind}/{name}"]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9, err_msg=name)


def transpose(tensors):
    name = "transformer.h.1.attn.c_proj.weight"
    tensors[name] = tensors[name].T.copy()


def reorder_heads(tensors):
    name = "transformer.h.0.attn.c_attn.weight"
    query, key, value = np.split(tensors[name], 3, axis=1)
    tensors[name] = np.concatenate([key, query, value], axis=1)


def swap_norms(tensors):
    one, other = "transformer.h.2.ln_1.weight", "transformer.h.2.ln_2.weight"
    tensors[one], tensors[other] = tensors[other], tensors[one]


def shift_positions(tensors):
    name = "transformer.wpe.weight"
    tensors[name] = np.roll(tensors[name], 1, axis=0)


def untie(tensors):
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"][::-1].copy()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (None, {"layer_norm_epsilon": 1e-12}),
        (None, {"activation_function": "gelu"}),
        (None, {"n_head": 6}),
        (transpose, {}),
        (reorder_heads, {}),
        (swap_norms, {}),
        (shift_positions, {}),
        (untie, {"tie_word_embeddings": False}),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_one_trap_alone_makes_the_comparison_fail(edit_golden, expected, change, fields):
    got, wanted = call(lmzoo.load(edit_golden(change, **fields), "float64"), expected, "full")
    assert np.max(np.abs(got - wanted)) > 1e-7


def test_the_golden_folder_untouched_passes_the_same_way(edit_golden, expected):
    folder = edit_golden(lambda tensors: None)
    got, wanted = call(lmzoo.load(folder, "float64"), expected, "full")
    assert np.max(np.abs(got - wanted)) < 1e-10


@pytest.mark.parametrize("arguments", [{}, {"tied": False}, {"intermediate_dim": 37}])
def test_every_variable_has_one_name_and_its_shape(arguments):
    backbone = lmzoo.models.GPTBackbone(
        19, num_layers=2, num_heads=2, hidden_dim=8, max_sequence_length=5, **arguments
    )
    assert find_model_type(backbone) == "gpt2"
    read = read_arguments(make_config(backbone))
    variables = variables_by_path(backbone)
    assert make_spec(make_config(backbone)).mapping.keys() == variables.keys()
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    assert variable_shapes(read) == shapes


@pytest.mark.parametrize(
    "option",
    [
        {"positions": "rotary"},
        {"norm": "rms_norm"},
        {"activation": "tanh"},
        {"gated": True},
        {"num_key_value_heads": 1},
        {"head_dim": 2},
        {"use_bias": False},
        {"use_attention_bias": False},
        {"use_output_bias": False},
        {"sliding_window": 3},
    ],
    ids=str,
)
def test_what_gpt2_cannot_express_does_not_fit(option):
    backbone = lmzoo.models.GPTBackbone(19, num_layers=1, num_heads=2, hidden_dim=8, **option)
    assert find_model_type(backbone) != "gpt2"


def test_config_and_arguments_are_the_same_both_ways():
    backbone = lmzoo.models.GPTBackbone(
        19, 1, 2, 8, 5, 7, activation="relu", norm_epsilon=1e-7, dropout=0.25, tied=False
    )
    arguments = read_arguments(make_config(backbone))
    config = backbone.get_config()
    assert arguments == {name: config[name] for name in arguments}


def test_an_empty_config_is_gpt2_small():
    arguments = read_arguments({"model_type": "gpt2"})
    assert arguments["vocabulary_size"] == 50257 and arguments["num_layers"] == 12
    assert sum(np.prod(shape) for shape in variable_shapes(arguments).values()) == 124_439_808


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_inner", 0),
        ("n_inner", "3072"),
        ("layer_norm_epsilon", float("nan")),
        ("layer_norm_epsilon", float("inf")),
        ("layer_norm_epsilon", -1e-5),
        ("layer_norm_epsilon", "1e-5"),
        ("layer_norm_epsilon", True),
        ("initializer_range", -0.1),
        ("resid_pdrop", 1.0),
        ("resid_pdrop", None),
        ("tie_word_embeddings", 1),
        ("activation_function", "os.system"),
        ("activation_function", {"class_name": "Lambda"}),
        ("activation_function", ["gelu"]),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("add_cross_attention", "yes"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": "gpt2", field: value})
    assert str(caught.value).startswith(f"`{field}` must be ")
    assert f"Received: {field}={value!r}." in str(caught.value)
