"""T5's folders: every field and every tensor is accounted for, in both directions."""

import json

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.families.t5 import FEED_FORWARDS, read_options, variable_shapes
from lmzoo.hub.model_variables import variables_by_path
from tests.hub.golden_t5 import FAMILIES, read_tensors, write_folder
from tests.hub.records import make_config, read_arguments

SMALL = {"num_layers": 2, "num_decoder_layers": 1, "num_heads": 2, "hidden_dim": 8, "head_dim": 3}
INPUTS = {
    "encoder_token_ids": np.arange(14).reshape(2, 7) + 3,
    "encoder_padding_mask": np.arange(7) < np.array([[7], [4]]),
    "decoder_token_ids": np.arange(10).reshape(2, 5) * 3,
}


def make_lm(**options):
    backbone = lmzoo.models.T5Backbone(41, **SMALL, intermediate_dim=7, num_buckets=8, **options)
    return lmzoo.tasks.Seq2SeqLM(backbone, prefix="a: ", z_loss=1e-4, start_token_id=2)


def read_config(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("t5")


# Tying


def compute(folder, change=None, family="t5", **fields):
    return lmzoo.load(write_folder(folder, family, change, **fields))(INPUTS).numpy()


def copy_shared(*names, factor=1.0):
    def change(tensors):
        for name in names:
            tensors[name] = tensors["shared.weight"] * np.float32(factor)

    return change


@pytest.fixture(scope="module")
def tied(folder):
    return compute(folder)


@pytest.fixture(scope="module")
def untied(folder):
    return compute(folder, family="flan_t5")


COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")


@pytest.mark.quick("*lm_head*")
@pytest.mark.parametrize("names", [COPIES[1:2], COPIES[1:]], ids=str)
def test_equal_copies_of_tied_embeddings_are_read(folder, tied, names):

    def replace(tensors):
        copy_shared(*names)(tensors)
        del tensors["shared.weight"]

    for change in (copy_shared(*names), replace):
        np.testing.assert_array_equal(compute(folder, change), tied)


@pytest.mark.parametrize("name", COPIES)
def test_copies_that_differ_are_refused(folder, name):
    with pytest.raises(ValueError, match="must be equal.* Received: two different tensors"):
        compute(folder, copy_shared(name, factor=2))


def test_embeddings_of_the_stacks_that_differ_are_refused_beside_an_untied_head(folder):
    with pytest.raises(ValueError, match="must be equal.* Received: two different tensors"):
        compute(folder, copy_shared(COPIES[0], factor=2), "flan_t5")


def test_no_embeddings_at_all_are_refused(folder):
    with pytest.raises(ValueError, match=r"Missing: 'shared\.weight'"):
        compute(folder, lambda tensors: tensors.pop("shared.weight"))


def test_a_head_that_a_file_lacks_is_the_embeddings_without_their_scale(folder, tied):
    unscaled = compute(folder, tie_word_embeddings=False, scale_decoder_outputs=None)
    np.testing.assert_allclose(unscaled * 48**-0.5, tied, rtol=0, atol=1e-5)


@pytest.mark.quick("*'tie_word_embeddings': False*", "*'mt5', 'arch*")
@pytest.mark.parametrize(
    "fields",
    [
        # As transformers 5 and as earlier versions say it.
        {"tie_word_embeddings": True, "scale_decoder_outputs": False},
        {"tie_word_embeddings": False, "scale_decoder_outputs": None},
        {"tie_word_embeddings": None, "scale_decoder_outputs": False},
        {"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"]},
        {"model_type": "mt5", "tie_word_embeddings": True, "scale_decoder_outputs": None},
    ],
    ids=str,
)
def test_a_head_of_its_own_is_read_however_the_config_says_so(folder, untied, fields):
    np.testing.assert_array_equal(compute(folder, family="flan_t5", **fields), untied)


def test_a_table_that_nobody_reads_is_ignored(folder, tied):
    def add(tensors):
        name = "relative_attention_bias.weight"
        table = tensors[f"encoder.block.0.layer.0.SelfAttention.{name}"]
        tensors[f"decoder.block.0.layer.1.EncDecAttention.{name}"] = table

    np.testing.assert_array_equal(compute(folder, add), tied)


@pytest.mark.quick("flan_t5")
@pytest.mark.parametrize("family", FAMILIES)
def test_each_tensor_dropped_or_renamed_is_named(folder, family):
    for name in read_tensors(family):
        if name == "lm_head.weight":
            continue

        def rename(tensors, name=name):
            tensors[f"{name}2"] = tensors.pop(name)

        with pytest.raises(ValueError, match=f"Missing: '{name}'; not expected: '{name}2'"):
            lmzoo.load(write_folder(folder, family, rename))


# Writing


@pytest.mark.parametrize("name", ["T5Model", "MT5Model"])
def test_a_plain_model_opens_where_its_head_is_tied(folder, tied, name):
    np.testing.assert_array_equal(compute(folder, architectures=[name]), tied)


def test_a_plain_model_gets_a_fresh_head(folder):
    whole = lmzoo.load(write_folder(folder, "flan_t5"))

    def behead(tensors):
        del tensors["lm_head.weight"]

    write_folder(folder, "flan_t5", behead, architectures=["T5Model"])
    message = "has no weights for token_embedding/output_embeddings of Seq2SeqLM. They are random"
    with pytest.warns(UserWarning, match=message):
        opened = lmzoo.load(folder)
    for name, wanted in whole.backbone(INPUTS).items():
        np.testing.assert_array_equal(opened.backbone(INPUTS)[name], wanted)
    drawn = opened.backbone.token_embedding.output_embeddings.numpy()
    backbone = opened.backbone
    deviation = backbone.initializer_factor * backbone.hidden_dim**-0.5
    assert 0.5 < np.std(drawn) / deviation < 1.5
    assert lmzoo.hub.verify(folder)["passed"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_golden_model_is_saved_with_the_same_tensors(tmp_path, family):
    golden = write_folder(tmp_path / "golden", family)
    lmzoo.load(golden).save_pretrained(tmp_path / "a")
    saved = (tmp_path / "a" / "model.safetensors").read_bytes()
    assert saved == (golden / "model.safetensors").read_bytes()
    ours, theirs = read_config(tmp_path / "a"), read_config(golden)
    # These two say together what one of them said before.
    assert ours.pop("tie_word_embeddings") is theirs["scale_decoder_outputs"]
    assert {ours.pop("n_positions"), *ours.pop("lmzoo_task")} == {
        *(512, "prefix", "label_smoothing", "z_loss", "sequence_length")
    }
    assert ours == {name: theirs[name] for name in ours}


# transformers has no name for the feed-forwards of the last two.
@pytest.mark.quick("{}", "*silu*")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "silu", "gated": True, "tied": False},
        {"activation": "tanh", "norm_epsilon": 1e-4},
        {"activation": "gelu", "gated": True, "tied": False},
    ],
    ids=str,
)
def test_a_second_save_writes_the_same_files(tmp_path, options):
    lm = make_lm(**options)
    lm.save_pretrained(tmp_path / "a")
    again = lmzoo.load(tmp_path / "a")
    again.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    np.testing.assert_array_equal(again(INPUTS), lm(INPUTS))
    for name in ("prefix", "z_loss", "label_smoothing", "start_token_id", "sequence_length"):
        assert getattr(again, name) == getattr(lm, name)
    ours, theirs = again.backbone.get_config(), lm.backbone.get_config()
    assert ours | {"name": None} == theirs | {"name": None}


def test_a_function_as_activation_is_refused_before_anything_is_written(tmp_path):
    lm = make_lm()
    lm.backbone.activation = np.tanh
    with pytest.raises(ValueError, match="`activation` must be one of .*Received: .*tanh"):
        lm.save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("feed_forward", "tied"),
    [
        pytest.param(feed_forward, tied, marks=[pytest.mark.slow] * (feed_forward != published))
        for tied, published in ((True, "relu"), (False, "gated-gelu"))
        for feed_forward in ("relu", "gelu_new", "gelu", "silu", "gated-gelu")
    ],
)
def test_transformers_opens_what_is_saved(tmp_path, feed_forward, tied):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    activation, gated = FEED_FORWARDS[feed_forward]
    lm = make_lm(activation=activation, gated=gated, tied=tied)
    lm.save_pretrained(tmp_path / "a")
    model, report = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        tmp_path / "a", output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], kind
    ids = {name: torch.from_numpy(INPUTS[name]) for name in INPUTS}
    with torch.no_grad():
        wanted = model.eval()(
            input_ids=ids["encoder_token_ids"],
            attention_mask=ids["encoder_padding_mask"].long(),
            decoder_input_ids=ids["decoder_token_ids"],
        ).logits.numpy()
        greedy = model.generate(ids["encoder_token_ids"], max_new_tokens=8, do_sample=False)
    np.testing.assert_allclose(lm(INPUTS), wanted, rtol=1e-5, atol=1e-5)
    got = lm.generate(INPUTS["encoder_token_ids"].tolist(), max_new_tokens=8)
    assert [[2, *row] for row in got] == greedy.tolist()


# Fields


@pytest.mark.parametrize("options", [{}, {"gated": True}, {"tied": False}])
def test_every_variable_has_its_shape(options):
    backbone = make_lm(**options).backbone
    read = read_arguments(make_config(backbone))
    config = backbone.get_config()
    assert read == {name: config[name] for name in read}
    shapes = {path: tuple(each.shape) for path, each in variables_by_path(backbone).items()}
    assert variable_shapes(read) == shapes


def test_an_empty_config_is_t5_small_and_mt5_small():
    for model_type, wanted in (("t5", 60_506_624), ("mt5", 300_176_768)):
        arguments = read_arguments({"model_type": model_type})
        shapes = variable_shapes(arguments)
        assert sum(np.prod(shape) for shape in shapes.values()) == wanted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_decoder_layers", 0),
        ("feed_forward_proj", "gated-os.system"),
        ("feed_forward_proj", ["relu"]),
        ("layer_norm_epsilon", float("nan")),
        ("dropout_rate", 1.0),
        ("initializer_factor", -1),
        ("tie_word_embeddings", "yes"),
        ("scale_decoder_outputs", 1),
        ("is_decoder", True),
        ("is_encoder_decoder", False),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": "t5", field: value})
    assert str(caught.value).startswith(f"`{field}` must be ")
    assert f"Received: {field}={value!r}." in str(caught.value)


def test_another_class_is_refused_by_its_name():
    config = {"model_type": "t5", "architectures": ["T5ForTokenClassification"]}
    with pytest.raises(
        ValueError, match=r"begin with one of T5For.*=\['T5ForTokenClassification'\]"
    ):
        make_spec(config)


@pytest.mark.parametrize(("buckets", "longest"), [(7, 128), (2, 128), (32, 16)])
def test_buckets_that_leave_nothing_for_long_distances_are_refused(buckets, longest):
    fields = {
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": longest,
    }
    wanted = f"Received: relative_attention_num_buckets={buckets}, .*_max_distance={longest}"
    with pytest.raises(ValueError, match=wanted):
        read_arguments({"model_type": "t5", **fields})


@pytest.mark.parametrize("field", ["pad_token_id", "decoder_start_token_id", "eos_token_id"])
@pytest.mark.parametrize("value", [-1, 19, "1"])
def test_a_special_id_outside_the_vocabulary_is_refused(field, value):
    with pytest.raises(ValueError, match=f"Received: {field}={value!r}"):
        read_options({field: value}, "Seq2SeqLM", {"vocabulary_size": 19})["start_token_id"]


@pytest.mark.parametrize(
    ("config", "start"),
    [
        ({}, 0),
        ({"pad_token_id": 3, "eos_token_id": [1, 2]}, 3),
        ({"pad_token_id": 3, "decoder_start_token_id": None}, 3),
        ({"pad_token_id": 3, "decoder_start_token_id": 5}, 5),
    ],
    ids=str,
)
def test_the_decoder_starts_with_the_padding_unless_the_config_says_otherwise(config, start):
    assert read_options(config, "Seq2SeqLM", {"vocabulary_size": 19}) == {"start_token_id": start}


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16", "mixed_float16"])
def test_a_dtype_may_be_chosen(folder, dtype):
    lm = lmzoo.load(write_folder(folder, "flan_t5"), dtype=dtype)
    logits = lm(INPUTS)
    assert logits.dtype == (dtype if dtype == "float64" else "float32")
    assert np.isfinite(logits).all()
    assert {tf.as_dtype(each.dtype) for each in lm.weights} <= {tf.float32, tf.float64}
