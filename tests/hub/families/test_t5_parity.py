"""T5 against transformers: tests/golden/make_t5_golden.py has written what it computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.hub.tensor_mapping import split_variable
from lmzoo.layers import RelativePositionBias
from tests.golden.projections import project
from tests.hub.golden_t5 import FAMILIES, read_expected, write_folder
from tests.hub.records import make_config

PATTERNS = ("full", "right", "left")
families = pytest.mark.parametrize("family", FAMILIES)
patterns = pytest.mark.parametrize("pattern", PATTERNS)
EXPECTED = {family: read_expected(family) for family in FAMILIES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    return {family: write_folder(folder / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def precise(folders):
    """Each family in float64; no test changes one."""
    return {family: lmzoo.load(folders[family], dtype="float64") for family in FAMILIES}


def inputs_of(family, pattern):
    expected = EXPECTED[family]
    return {
        "encoder_token_ids": expected["source"],
        "encoder_padding_mask": expected[f"{pattern}/source_mask"],
        "decoder_token_ids": expected["target"],
        "decoder_padding_mask": expected[f"{pattern}/target_mask"],
    }


def measure_error(lm, family, pattern="full"):
    """The largest difference of a logit at a real position."""
    mask = EXPECTED[family][f"{pattern}/target_mask"]
    logits = lm(inputs_of(family, pattern)).numpy()
    return np.abs(logits - EXPECTED[family][f"{pattern}/logits"])[mask].max()


@families
@patterns
def test_logits_are_those_of_transformers(precise, family, pattern):
    assert measure_error(precise[family], family, pattern) < 1e-10


@families
def test_logits_in_float32_are_those_of_transformers(folders, family):
    lm = lmzoo.load(folders[family], dtype="float32")
    for pattern in PATTERNS:
        mask = EXPECTED[family][f"{pattern}/target_mask"]
        logits = lm(inputs_of(family, pattern)).numpy()[mask]
        wanted = EXPECTED[family][f"{pattern}/logits"][mask]
        np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-5)


@families
@patterns
def test_hidden_states_of_every_layer_are_those_of_transformers(
    precise, family, pattern, monkeypatch
):
    backbone, states = precise[family].backbone, {"encoder": [], "decoder": []}
    for stack in states:
        for block in getattr(backbone, f"{stack}_blocks"):

            def record(hidden, *args, call=block.call, found=states[stack], **kwargs):
                found.append(hidden)
                return call(hidden, *args, **kwargs)

            monkeypatch.setattr(block, "call", record)
    outputs = backbone(inputs_of(family, pattern))
    # What enters each block, and what leaves the last norm.
    for stack, side in (("encoder", "source"), ("decoder", "target")):
        mask = EXPECTED[family][f"{pattern}/{side}_mask"]
        wanted = EXPECTED[family][f"{pattern}/{stack}"]
        found = [*states[stack], outputs[f"{stack}_sequence_output"]]
        assert len(found) == len(wanted) == {"encoder": 4, "decoder": 3}[stack]
        for got, layer in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got.numpy()[mask], layer[mask], rtol=0, atol=1e-10)


def compute_gradients(lm, family, pattern):
    """The task's own loss, and the gradient of each tensor of the file."""
    expected, backbone = EXPECTED[family], lm.backbone
    mapping = make_spec(make_config(backbone)).mapping
    variables = variables_by_path(backbone)
    assert mapping.keys() == variables.keys()
    with tf.GradientTape() as tape:
        weights = tf.cast(expected[f"{pattern}/target_mask"], tf.float64)
        logits = lm(inputs_of(family, pattern))
        loss = lm._make_loss()(expected["labels"], logits, sample_weight=weights)
    gradients = tape.gradient(loss, {path: each.value for path, each in variables.items()})
    found = {}
    for path, sources in mapping.items():
        found |= split_variable(sources, tf.convert_to_tensor(gradients[path]).numpy())
    return loss, found


@families
def test_loss_and_every_gradient_are_those_of_transformers(precise, family):
    # Keras computes a loss in the float type that is set, whatever the logits have.
    keras.config.set_floatx("float64")
    try:
        loss, gradients = compute_gradients(precise[family], family, "right")
    finally:
        keras.config.set_floatx("float32")
    assert loss.numpy() == pytest.approx(EXPECTED[family]["right/loss"], abs=1e-9)
    wanted = EXPECTED[family]["right/gradients"]
    np.testing.assert_allclose(project(gradients), wanted, rtol=0, atol=1e-9)


def generate(lm, family, start_token_id, **options):
    """Without graphs, which take longer to be traced than these few steps."""
    record = EXPECTED[family]["record"]
    ending = lmzoo.tasks.Seq2SeqLM(
        lm.backbone, start_token_id=start_token_id, end_token_ids=record["ends"]
    )
    tf.config.run_functions_eagerly(True)
    try:
        return ending.generate(record["prompts"], max_new_tokens=16, **options)
    finally:
        tf.config.run_functions_eagerly(False)


# By default one greedy case, one of four beams, and one of two with all penalties.
QUICK = {("t5", 0), ("flan_t5", 4), ("t5", 6)}
CASES = [
    pytest.param(family, index, marks=[] if (family, index) in QUICK else [pytest.mark.slow])
    for family in FAMILIES
    for index in range(7)
]


@pytest.mark.quick("flan_t5-4")
@pytest.mark.parametrize(("family", "index"), CASES)
def test_generated_ids_are_those_of_transformers(precise, family, index):
    case = EXPECTED[family]["record"]["cases"][index]
    lm = precise[family]
    assert generate(lm, family, lm.start_token_id, **case["options"]) == case["ids"]


def test_buckets_are_those_of_transformers_from_512_before_to_512_behind():
    expected = EXPECTED["t5"]
    for kind, bidirectional in (("both", True), ("behind", False)):
        for count, longest in ((32, 128), (12, 9), (64, 300)):
            layer = RelativePositionBias(1, bidirectional, count, longest, dtype="float64")
            layer.build()
            # Each bucket is its own number, which the bias then shows.
            layer.embeddings.assign(np.arange(count)[:, None])
            # One query in the middle, 512 keys on each side.
            got = layer(query_length=1, key_length=1025, position=512)[0, 0, 0]
            np.testing.assert_array_equal(got, expected[f"buckets/{kind}/{count}/{longest}"])


def blocks_of(backbone):
    return [*backbone.encoder_blocks, *backbone.decoder_blocks]


def divide_by_sqrt(lm):
    for block in blocks_of(lm.backbone):
        block.self_attention.scale = None
        if block.cross_attention is not None:
            block.cross_attention.scale = None


def divide_by_sqrt_in_cross_attention(lm):
    for block in lm.backbone.decoder_blocks:
        block.cross_attention.scale = None


def keep_the_bias_to_one_block(lm):
    for block in (*lm.backbone.encoder_blocks[1:], *lm.backbone.decoder_blocks[1:]):
        block.call = lambda hidden, bias=None, call=block.call, **kwargs: call(hidden, **kwargs)


def look_both_ways_in_the_decoder(lm):
    old = lm.backbone.decoder_bias
    new = RelativePositionBias(4, True, old.num_buckets, old.max_distance, dtype="float64")
    new.build()
    new.embeddings.assign(old.embeddings)
    old.call = new.call


def scale_otherwise(lm):
    # The table stays where it is: the layer of embeddings has a flag of its own.
    lm.backbone.tied = not lm.backbone.tied


def subtract_the_mean(lm):
    norm = lm.backbone.decoder_norm
    norm.call = lambda x, call=norm.call: call(x - tf.reduce_mean(x, axis=-1, keepdims=True))


def change_epsilon(lm):
    lm.backbone.encoder_norm.epsilon = 1e-5


def take_the_exact_gelu(lm):
    for block in blocks_of(lm.backbone):
        block.feed_forward._activation_function = keras.activations.gelu


def transpose(name):
    def change(tensors):
        square = tensors[name][:40, :40]
        tensors[name] = tensors[name].copy()
        tensors[name][:40, :40] = square.T

    return change


def swap(one, other):
    def change(tensors):
        tensors[one], tensors[other] = tensors[other], tensors[one]

    return change


LAYER = "decoder.block.1.layer."
TENSOR_MUTANTS = {
    "transposed": transpose("encoder.block.1.layer.0.SelfAttention.o.weight"),
    "cross-attention transposed": transpose(f"{LAYER}1.EncDecAttention.q.weight"),
    "query and key": swap(
        *(f"{LAYER}0.SelfAttention.{name}.weight" for name in "qk"),
    ),
    "key and value": swap(*(f"{LAYER}1.EncDecAttention.{name}.weight" for name in "kv")),
    "norms": swap(f"{LAYER}1.layer_norm.weight", f"{LAYER}2.layer_norm.weight"),
    "biases": swap(
        *(
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            for stack in ("encoder", "decoder")
        )
    ),
}
CALL_MUTANTS = (
    *(divide_by_sqrt, divide_by_sqrt_in_cross_attention, keep_the_bias_to_one_block),
    *(look_both_ways_in_the_decoder, scale_otherwise, subtract_the_mean, change_epsilon),
)


@pytest.mark.parametrize("mutant", CALL_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_one_trap_alone_makes_the_comparison_fail(folders, mutant):
    lm = lmzoo.load(folders["t5"], dtype="float64")
    mutant(lm)
    assert measure_error(lm, "t5") > 1e-7


def test_a_flan_t5_whose_logits_are_scaled_fails(folders):
    lm = lmzoo.load(folders["flan_t5"], dtype="float64")
    scale_otherwise(lm)
    assert measure_error(lm, "flan_t5") > 1e-7


def test_the_exact_gelu_in_a_flan_t5_fails(folders):
    lm = lmzoo.load(folders["flan_t5"], dtype="float64")
    take_the_exact_gelu(lm)
    assert measure_error(lm, "flan_t5") > 1e-7


@pytest.mark.parametrize("mutant", TENSOR_MUTANTS)
def test_one_wrong_tensor_makes_the_comparison_fail(tmp_path, mutant):
    folder = write_folder(tmp_path / "a", "t5", TENSOR_MUTANTS[mutant])
    assert measure_error(lmzoo.load(folder, dtype="float64"), "t5") > 1e-7


def test_gate_and_intermediate_swapped_make_the_comparison_fail(tmp_path):
    names = (f"{LAYER}2.DenseReluDense.wi_{index}.weight" for index in (0, 1))
    folder = write_folder(tmp_path / "a", "flan_t5", swap(*names))
    assert measure_error(lmzoo.load(folder, dtype="float64"), "flan_t5") > 1e-7


def test_another_start_token_generates_something_else(precise, family="flan_t5"):
    lm, record = precise[family], EXPECTED[family]["record"]
    got = generate(lm, family, lm.start_token_id + 1)
    assert got != record["cases"][0]["ids"]


@pytest.mark.quick("flan_t5")
@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_alone_is_an_embedder(family, tmp_path):
    def drop_decoder(tensors):
        for name in [name for name in tensors if name.startswith(("decoder.", "lm_head."))]:
            del tensors[name]

    folder = write_folder(tmp_path / "a", family, drop_decoder, architectures=["T5EncoderModel"])
    embedder = lmzoo.load(folder, "float64")
    assert type(embedder).__name__ == "TextEmbedder"
    whole = lmzoo.load(write_folder(tmp_path / "b", family), "float64").backbone
    token_ids, mask = np.arange(20).reshape(2, 10), np.arange(10) < np.array([[10], [6]])
    hidden = whole.encode(token_ids, mask).numpy() * mask[..., None]
    mean = hidden.sum(axis=1) / mask.sum(axis=1, keepdims=True)
    wanted = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    got = embedder({"token_ids": token_ids, "padding_mask": mask})
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10)
    for weight in embedder.backbone.weights:
        assert np.isfinite(weight.numpy()).all(), weight.path
    embedder.save_pretrained(tmp_path / "c")
    saved = lmzoo.hub.verify(tmp_path / "c")
    assert saved["passed"] and saved["num_tensors"] == lmzoo.hub.verify(folder)["num_tensors"]
    again = lmzoo.load(tmp_path / "c", "float64")
    np.testing.assert_array_equal(again({"token_ids": token_ids, "padding_mask": mask}), got)
