"""The laws that every backbone keeps, whatever its family."""

import functools
import inspect
import re

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, GPTBackbone, ModernBertBackbone, T5Backbone
from tests.layers.reference import randomise
from tests.models.reference import EVERYTHING, SIZES

RANDOM = np.random.default_rng(37)
T5 = {"num_decoder_layers": 3, "head_dim": 10, "num_buckets": 12, "max_distance": 9}
KINDS = {
    "bert": (BertBackbone, {}),
    "roberta": (BertBackbone, {"num_segments": 1, "position_offset": 2, "norm_epsilon": 1e-5}),
    "distilbert": (BertBackbone, {"num_segments": 0, "pooler": False}),
    "electra": (BertBackbone, {"pooler": False, "embedding_dim": 20}),
    "mpnet": (BertBackbone, {"num_segments": 0, "relative_attention": True, "num_buckets": 8}),
    "modern bert": (ModernBertBackbone, {"local_attention": 6}),
    "gpt2": (GPTBackbone, {}),
    "gpt with everything": (GPTBackbone, EVERYTHING),
    "t5": (T5Backbone, T5),
    "t5 1.1": (T5Backbone, {**T5, "activation": "gelu_tanh", "gated": True, "tied": False}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
# One sequence in, one sequence out. T5 has tests of its own for its two.
single = pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("t5")])


def make_model(kind, dtype="float32", **options):
    backbone, arguments = KINDS[kind]
    return backbone(**{**SIZES, **arguments, **options}, dtype=dtype)


@pytest.fixture(scope="module")
def models():
    """Each kind is made once, with random weights; no test changes one."""
    return functools.cache(lambda kind: randomise(make_model(kind, "float64"), deviation=0.2))


def make_inputs(model):
    """What an exported model takes, with padding on the right in the second row."""
    return {
        name: RANDOM.integers(0, 2 if "segment" in name else 101, (2, 9)).astype("int32")
        if dtype == "int32"
        else np.arange(9) < np.array([[9], [4]])
        for name, dtype in model.input_dtypes.items()
    }


def flatten(outputs):
    return [x.numpy() for x in tf.nest.flatten(outputs)]


def assert_equal_bits(got, wanted):
    for first, second in zip(flatten(got), flatten(wanted), strict=True):
        np.testing.assert_array_equal(first, second)


@every_kind
def test_the_config_holds_every_argument_and_makes_the_same_model(kind):
    model = make_model(kind, "mixed_bfloat16", name="mine", remat=True, attention_chunks=3)
    model.trainable = False
    config = model.get_config()
    arguments = set(inspect.signature(type(model).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(config)
    assert (config["remat"], config["attention_chunks"]) == (True, 3)
    for name, value in {**SIZES, **KINDS[kind][1]}.items():
        assert config[name] == value
    twin = type(model).from_config(config)
    assert twin.get_config() == config
    assert (twin.name, twin.trainable, twin.dtype_policy) == ("mine", False, model.dtype_policy)
    assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]


@pytest.mark.quick("bert", "gpt with everything", "t5 1.1")
@every_kind
def test_a_saved_model_gives_the_same_bits_alone_and_within_another(models, kind, tmp_path):
    model = models(kind)
    inputs = make_inputs(model)
    expected = model(inputs)
    model.save(tmp_path / "model.keras")
    assert_equal_bits(keras.saving.load_model(tmp_path / "model.keras")(inputs), expected)
    symbols = {
        name: keras.Input((None,), dtype=dtype, name=name)
        for name, dtype in model.input_dtypes.items()
    }
    outputs = model(symbols)
    for symbol, real in zip(tf.nest.flatten(outputs), flatten(expected), strict=True):
        assert (symbol.dtype, len(symbol.shape), symbol.shape[-1]) == (real.dtype, real.ndim, 48)
    wrapped = keras.Model(symbols, outputs)
    wrapped.save(tmp_path / "wrapped.keras")
    assert_equal_bits(keras.saving.load_model(tmp_path / "wrapped.keras")(inputs), expected)


PARTS_OF_T5 = ("bias", "blocks", "norm")


def list_paths(folder):
    paths = set()
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda path, item: paths.add(path) if hasattr(item, "shape") else None)
    return paths


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_weights_keep_their_paths_in_a_keras_file(models, kind, tmp_path):
    # As in the first version: whoever renames a class or an attribute loses the files of users.
    models(kind).save_weights(tmp_path / "model.weights.h5")
    paths = list_paths(tmp_path)
    dense = ("feed_forward/intermediate", "feed_forward/output_dense")
    dense += ("self_attention/output_dense", "self_attention/query_key_value")
    blocks = {
        f"blocks/transformer_block{suffix}/{name}/vars/{index}"
        for suffix in ("", "_1")
        for name in (*dense, "feed_forward_norm", "self_attention_norm")
        for index in (0, 1)
    }
    tables = {"learned_positions", "token_embedding"}
    others = {"final_norm"}
    if kind == "bert":
        tables.add("token_embedding_1")
        others = {"embedding_norm"}
    expected = blocks | {f"layers/{name}/vars/0" for name in tables}
    expected |= {f"{name}/vars/{index}" for name in others for index in (0, 1)}
    assert not expected - paths
    assert {path.partition("/")[0] for path in paths} == {"blocks", "layers", *others}


def test_weights_of_two_stacks_keep_their_paths_in_a_keras_file(models, tmp_path):
    models("t5").save_weights(tmp_path / "model.weights.h5")
    names = {f"{stack}_{part}" for stack in ("encoder", "decoder") for part in PARTS_OF_T5}
    assert {path.partition("/")[0] for path in list_paths(tmp_path)} == {"layers", *names}


@pytest.mark.quick("bert", "gpt with everything", "t5")
@every_kind
def test_dropout_acts_in_training_alone(kind):
    model = make_model(kind, dropout=0.5)
    inputs = make_inputs(model)
    plain = model(inputs)
    assert_equal_bits(model(inputs, training=False), plain)
    first, second = (flatten(model(inputs, training=True)) for _ in range(2))
    for one, other, expected in zip(first, second, flatten(plain), strict=True):
        assert np.abs(one - expected).max() > 1e-3
        assert np.abs(one - other).max() > 1e-3


def pad(inputs, widths):
    """The inputs with padding of any token, so that one which is not masked is noticed."""
    mask = np.pad(np.ones(inputs["token_ids"].shape, bool), widths)
    padded = {"padding_mask": mask}
    for name, values in inputs.items():
        if name != "padding_mask":
            padded[name] = RANDOM.integers(0, values.max() + 1, mask.shape).astype("int32")
            padded[name][mask] = values.ravel()
    return padded


def take_real(outputs, mask):
    """The outputs of real tokens, (R, D), and of whole texts, (B, D), in float64."""
    arrays = [np.asarray(x, "float64") for x in tf.nest.flatten(outputs)]
    assert all(np.isfinite(x).all() for x in arrays)
    return [x[mask] if x.ndim == 3 else x[mask.any(axis=-1)] for x in arrays]


def assert_near(got, wanted, tolerance):
    for first, second in zip(got, wanted, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=tolerance)


@single
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(models, kind, side):
    model = models(kind)
    inputs = {**make_inputs(model), "padding_mask": np.ones((2, 9), bool)}
    wanted = take_real(model(inputs), inputs["padding_mask"])
    for length in (1, 32):
        padded = pad(inputs, [(0, 0), (length, 0) if side == "left" else (0, length)])
        assert_near(take_real(model(padded), padded["padding_mask"]), wanted, 1e-10)


@pytest.mark.parametrize("kind", ["bert", "gpt with everything"])
def test_padding_changes_nothing_in_float32(kind):
    model = make_model(kind)
    inputs = {**make_inputs(model), "padding_mask": np.ones((2, 9), bool)}
    wanted = take_real(model(inputs), inputs["padding_mask"])
    for widths in ((17, 0), (0, 17)):
        padded = pad(inputs, [(0, 0), widths])
        assert_near(take_real(model(padded), padded["padding_mask"]), wanted, 1e-5)


@single
def test_a_batch_of_ragged_rows_is_its_single_rows(models, kind):
    model, lengths = models(kind), (1, 3, 8, 15)
    mask = np.arange(15) < np.array(lengths)[:, None]
    token_ids = RANDOM.integers(0, 101, mask.shape).astype("int32")
    batch = model({"token_ids": token_ids, "padding_mask": mask})
    for row, length in enumerate(lengths):
        alone = model({"token_ids": token_ids[row : row + 1, :length]})
        for got, wanted in zip(flatten(batch), flatten(alone), strict=True):
            got = got[row, :length] if got.ndim == 3 else got[row]
            np.testing.assert_allclose(got, wanted[0], rtol=0, atol=1e-10)


@pytest.mark.quick(
    "*-bert",
    "mixed_bfloat16-*-gpt with everything",
    "mixed_float16-*-modern bert",
    "mixed_float16-*-electra",
    "mixed_bfloat16-*-mpnet",
)
@single
@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 1e-2), ("mixed_float16", 5e-3)]
)
def test_half_precision_stays_near_float32(kind, policy, tolerance):
    keras.utils.set_random_seed(3)
    full, half = make_model(kind), make_model(kind, policy)
    half.set_weights(full.get_weights())
    # The third row is padding throughout and must be finite, no more.
    mask = np.arange(12) < np.array([[12], [5], [0]])
    inputs = {"token_ids": RANDOM.integers(0, 101, mask.shape), "padding_mask": mask}
    outputs, expected = half(inputs), full(inputs)
    assert {x.dtype.name for x in tf.nest.flatten(outputs)} == {half.compute_dtype}
    pairs = zip(take_real(outputs, mask), take_real(expected, mask), strict=True)
    # As whole vectors: one number of a thousand is off by a step or two of its 8 bits.
    for got, wanted in pairs:
        assert np.linalg.norm(got - wanted) <= tolerance * np.linalg.norm(wanted)
        assert np.abs(got - wanted).max() <= 3 * tolerance * np.abs(wanted).max()
    table_width = half.token_embedding.hidden_dim
    hidden = tf.nest.flatten(outputs)[-1][..., :table_width]
    assert half.compute_logits(hidden).dtype == "float32"


@pytest.mark.quick("bert", "gpt with everything", "t5 1.1", "modern bert")
@every_kind
def test_a_gradient_reaches_every_variable(kind):
    model = randomise(make_model(kind), deviation=0.2)
    inputs = make_inputs(model)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(model(inputs))
        hidden = outputs[-1][..., : model.token_embedding.hidden_dim]
        loss = tf.reduce_mean(tf.square(model.compute_logits(hidden)))
        loss += sum(tf.reduce_mean(x) for x in outputs)
    variables = [v.value for v in model.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.quick("gpt with everything-True", "modern bert-False")
@pytest.mark.parametrize(
    ("kind", "jit_compile"),
    [
        ("mpnet", False),
        ("modern bert", False),
        ("gpt with everything", False),
        ("gpt with everything", True),
        pytest.param("mpnet", True, marks=pytest.mark.slow),
        pytest.param("modern bert", True, marks=pytest.mark.slow),
    ],
)
def test_graph_and_compiled_outputs_are_the_eager_ones(models, kind, jit_compile):
    model = models(kind)
    inputs = make_inputs(model)
    expected = flatten(model(inputs))
    specs = {name: tf.TensorSpec((None, None), dtype) for name, dtype in model.input_dtypes.items()}
    run = tf.function(lambda inputs: model(inputs), [specs], jit_compile=jit_compile)
    assert_near(flatten(run(inputs)), expected, 1e-10)


@pytest.mark.quick("bert")
@pytest.mark.parametrize("kind", ["bert", "gpt with everything", "t5"])
def test_an_exported_model_takes_ids_and_masks(models, kind, tmp_path):
    model = models(kind)
    inputs = make_inputs(model)
    model.export(tmp_path / "1", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "1")
    got = loaded.serve({name: tf.constant(value) for name, value in inputs.items()})
    for first, second in zip(flatten(got), flatten(model(inputs)), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-10)


OTHER_NAMES = {
    "bert": {
        **{"input_ids": "token_ids", "attention_mask": "padding_mask"},
        **{"token_type_ids": "segment_ids"},
    },
    "modern bert": {"input_ids": "token_ids"},
    "gpt2": {"attention_mask": "padding_mask"},
    "t5": {
        **{"input_ids": "encoder_token_ids", "attention_mask": "encoder_padding_mask"},
        **{"decoder_input_ids": "decoder_token_ids"},
        **{"decoder_attention_mask": "decoder_padding_mask"},
    },
}


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [(kind, *names) for kind in OTHER_NAMES for names in OTHER_NAMES[kind].items()],
)
def test_the_names_of_other_libraries_are_refused_with_ours(models, kind, theirs, ours):
    model = models(kind)
    inputs = make_inputs(model)
    inputs[theirs] = inputs.pop(ours)
    with pytest.raises(ValueError, match=f"Received: {theirs}. Rename it to `{ours}`"):
        model(inputs)


# What every backbone refuses, and what only one of them has.
WRONG_ARGUMENTS = [
    *(("vocabulary_size", 0), ("num_layers", 0), ("num_layers", 2.0), ("num_heads", 0)),
    *(("hidden_dim", -48), ("intermediate_dim", 0), ("max_sequence_length", 0)),
    *(("activation", "swoosh"), ("dropout", 1.0), ("dropout", -0.5)),
]
WRONG_STARTS = [("initializer_range", -0.1), ("initializer_range", float("nan"))]
OWN_WRONG_ARGUMENTS = {
    "bert": [
        *(*WRONG_STARTS, ("num_heads", 5), ("num_segments", -1), ("num_segments", 1.5)),
        *(("embedding_dim", 0), ("embedding_dim", 20.0), ("position_offset", -2)),
        *(("position_offset", "2"), ("norm_epsilon", 0.0)),
    ],
    "modern bert": [
        *(*WRONG_STARTS, ("num_heads", 5), ("global_attention_every", 0), ("local_attention", 1)),
        *(("local_attention", 6.0), ("global_max_wavelength", 0.0)),
        ("local_max_wavelength", -1.0),
    ],
    "gpt2": [
        *(*WRONG_STARTS, ("num_heads", 5), ("num_key_value_heads", 3), ("num_key_value_heads", 0)),
        *(("positions", "relative"), ("norm", "batch_norm"), ("sliding_window", 0)),
    ],
    "t5": [("num_decoder_layers", 2.0), ("initializer_factor", -1.0), ("norm_epsilon", 0)],
}
# Sizes, which must be integers.
SIZE_NAMES = {"num_layers", "num_decoder_layers", "num_segments", "embedding_dim"}
SIZE_NAMES |= {"position_offset", "local_attention"}


@pytest.mark.parametrize(
    ("kind", "argument", "value"),
    [
        (kind, *wrong)
        for kind, own in OWN_WRONG_ARGUMENTS.items()
        for wrong in WRONG_ARGUMENTS + own
    ],
)
def test_wrong_arguments_are_refused(kind, argument, value):
    is_size = argument in SIZE_NAMES and type(value) is not int
    # The layer that refuses it may call it by a shorter name.
    received = re.sub("^(norm|global_max|local_max)_", ".*", argument)
    with pytest.raises(TypeError if is_size else ValueError, match=f"{received}={value!r}"):
        make_model(kind, **{argument: value})


@pytest.mark.parametrize("inputs", [np.zeros((1, 3), "int32"), [[1, 2, 3]], None])
def test_inputs_that_are_no_dict_are_refused(models, inputs):
    with pytest.raises(TypeError, match=f"with `token_ids`. Received: {type(inputs).__name__}"):
        models("gpt2")(inputs)


def test_inputs_without_ids_are_refused(models):
    mask = np.ones((1, 3), bool)
    with pytest.raises(ValueError, match="Received: padding_mask, without `token_ids`"):
        models("bert")({"padding_mask": mask})
    with pytest.raises(ValueError, match="Received: , without `encoder_token_ids`"):
        models("t5")({})


REMATERIALIZED = [("modern bert", 1), ("gpt with everything", 3), ("t5", 1)]
REMATERIALIZED += [
    pytest.param(kind, chunks, marks=pytest.mark.slow)
    for kind, chunks in (("bert", 1), ("mpnet", 3), ("modern bert", 3), ("t5", 3))
]


@pytest.mark.quick("gpt with everything-3")
@pytest.mark.parametrize(("kind", "chunks"), REMATERIALIZED)
def test_rematerialized_blocks_give_the_same_gradients_with_dropout(kind, chunks):
    model = make_model(kind, "float64", dropout=0.3)
    model.attention_chunks = chunks
    inputs = make_inputs(model)
    seeds = [seed for seed in model.variables if seed.path.endswith("seed_generator_state")]
    starts = [seed.numpy() for seed in seeds]

    def differentiate():
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(inputs, training=True))
            loss = tf.add_n([tf.reduce_sum(tf.sin(output)) for output in outputs])
        # An untied head has no part in it.
        gradients = tape.gradient(loss, model.trainable_variables)
        return [loss, *(gradient for gradient in gradients if gradient is not None)]

    results = []
    for remat in (False, True):
        model.remat = remat
        for seed, start in zip(seeds, starts, strict=True):
            seed.assign(start)
        results.append([*tf.function(differentiate)(), *(seed.numpy() for seed in seeds)])
    for plain, rematerialized in zip(*results, strict=True):
        plain, rematerialized = (tf.convert_to_tensor(one) for one in (plain, rematerialized))
        np.testing.assert_allclose(rematerialized, plain, rtol=1e-12, atol=1e-13)


def test_wrong_options_that_save_memory_are_refused():
    with pytest.raises(TypeError, match="`remat` must be a bool. Received: remat='all'"):
        make_model("gpt2", remat="all")
    with pytest.raises(ValueError, match="positive. Received: attention_chunks=0"):
        make_model("gpt2", attention_chunks=0)
    with pytest.raises(TypeError, match="Received: attention_chunks='all'"):
        make_model("gpt2").attention_chunks = "all"
