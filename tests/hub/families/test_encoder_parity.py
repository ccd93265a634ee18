"""BERT, RoBERTa and DistilBERT against transformers: tests/golden/make_bert_golden.py has written
what it computes. Backbone and head stand alone here."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.files.config import read_config
from lmzoo.hub.files.shards import find_weights
from lmzoo.hub.files.weights import check_weights, read_weights, write_weights
from lmzoo.hub.model_variables import variables_by_path
from lmzoo.hub.tensor_mapping import split_variable
from lmzoo.layers import ClassificationHead, MaskedLMHead, pool
from lmzoo.models import BertBackbone
from tests.golden.projections import project
from tests.hub.golden_encoders import (
    FAMILIES,
    HEADS,
    PATTERNS,
    read_expected,
    read_folder,
    write_folder,
)

every_family = pytest.mark.parametrize("family", FAMILIES)
every_head = pytest.mark.parametrize("head", HEADS)
every_pattern = pytest.mark.parametrize("pattern", PATTERNS)


class Encoder:
    """A backbone and a head with the weights of a folder."""

    def __init__(self, folder, dtype="float64"):
        config = read_config(folder)
        path, header = find_weights(folder)
        spec = make_spec(config, header)
        self.task, self.arguments, self.mapping = spec.task, spec.arguments, spec.mapping
        head, shapes = spec.head, spec.shapes
        check_weights(path, header, spec.tensors, spec.mapping, shapes)
        # No random numbers are drawn, as for a model that is loaded.
        arguments = {**self.arguments, "initializer_range": 0.0}
        self.backbone = BertBackbone(**arguments, dtype=dtype)
        self.variables = variables_by_path(self.backbone)
        self.head = None
        if head is not None:
            kind = MaskedLMHead if self.task == "MaskedLM" else ClassificationHead
            self.head = kind(**head, dtype=dtype, name="head")
            self.head.build((None, None, self.arguments["hidden_dim"]))
            own = {weight.path: weight for weight in self.head.weights}
            self.variables |= {path: own[path] for path in shapes if path in own}
        assert self.variables.keys() == shapes.keys()
        for variable_path, variable in self.variables.items():
            assert tuple(variable.shape) == shapes[variable_path]
        read_weights(header, spec.tensors, spec.mapping, self.variables)

    def embed(self, expected, pattern, **options):
        inputs = {"token_ids": expected["token_ids"], "padding_mask": expected[f"{pattern}/mask"]}
        if "segment_ids" in expected:
            inputs["segment_ids"] = expected["segment_ids"]
        return self.backbone(inputs, **options)

    def compute_logits(self, expected, pattern):
        outputs = self.embed(expected, pattern)
        hidden = outputs["sequence_output"]
        if self.task == "MaskedLM":
            return self.head(hidden, self.backbone.token_embedding.embeddings)
        if self.task == "TextClassifier":
            hidden = outputs.get("pooled_output", pool(hidden, pooling="cls"))
        return self.head(hidden)

    def compute_loss(self, expected, pattern):
        logits = self.compute_logits(expected, pattern)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
        if self.task == "TextClassifier":
            return tf.reduce_mean(cross_entropy(expected["labels"], logits))
        labels = expected["token_labels"]
        counts = expected[f"{pattern}/mask"] & (labels >= 0)
        return tf.reduce_mean(cross_entropy(labels[counts], logits[counts]))

    def differentiate(self, expected, pattern):
        """The loss, and its gradients by the tensors' names in a file."""
        values = {path: variable.value for path, variable in self.variables.items()}
        with tf.GradientTape() as tape:
            loss = self.compute_loss(expected, pattern)
        gradients = {}
        for path, gradient in tape.gradient(loss, values).items():
            gradient = tf.convert_to_tensor(gradient).numpy()
            gradients |= split_variable(self.mapping[path], gradient)
        return loss.numpy(), gradients


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """encoders(family, head, dtype): each is opened once, and no test changes one."""
    made = {}

    def open_encoder(family, head, dtype="float64"):
        if (family, head, dtype) not in made:
            folder = write_folder(tmp_path_factory.mktemp("encoder"), family, head)
            made[family, head, dtype] = Encoder(folder, dtype)
        return made[family, head, dtype]

    return open_encoder


@pytest.fixture(scope="module")
def expected_of():
    found = {family: read_expected(family) for family in FAMILIES}
    return found.__getitem__


def counted(expected, pattern, logits):
    """The logits of texts, or those at the real tokens."""
    logits = np.asarray(logits)
    return logits if logits.ndim == 2 else logits[expected[f"{pattern}/mask"]]


@every_family
@pytest.mark.parametrize(
    ("pattern", "dtype", "tolerance"),
    [*((pattern, "float64", 1e-10) for pattern in PATTERNS), ("middle", "float32", 1e-5)],
)
def test_hidden_states_of_every_layer_are_those_of_transformers(
    encoders, expected_of, family, pattern, dtype, tolerance, monkeypatch
):
    encoder, expected, states = encoders(family, "Model", dtype), expected_of(family), []
    for block in encoder.backbone.blocks:

        def record(hidden, *args, call=block.call, **kwargs):
            states.append(hidden)
            return call(hidden, *args, **kwargs)

        monkeypatch.setattr(block, "call", record)
    outputs = encoder.embed(expected, pattern, attention_layers=(-1,))
    states.append(outputs["sequence_output"])
    mask, wanted = expected[f"{pattern}/mask"], expected[f"{pattern}/hidden"]
    assert len(states) == len(wanted) == 4
    for got, layer in zip(states, wanted, strict=True):
        np.testing.assert_allclose(got.numpy()[mask], layer[mask], rtol=tolerance, atol=tolerance)
    # Transformers gives a masked query's weights too, which are of no account.
    queries = np.broadcast_to(mask[:, None], (2, 4, 9))
    weights = outputs["attention_weights"][0].numpy()[queries]
    np.testing.assert_allclose(weights, expected[f"{pattern}/attention"][queries], atol=tolerance)
    assert ("pooled_output" in outputs) == (family != "distilbert")
    if family != "distilbert":
        pooled = expected[f"{pattern}/pooled"]
        np.testing.assert_allclose(outputs["pooled_output"], pooled, rtol=0, atol=tolerance)


@every_family
@pytest.mark.parametrize("head", [head for head in HEADS if head != "Model"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float64", 1e-10), pytest.param("float32", 1e-5, marks=pytest.mark.slow)],
)
def test_logits_are_those_of_transformers(encoders, expected_of, family, head, dtype, tolerance):
    encoder, expected = encoders(family, head, dtype), expected_of(family)
    for pattern in PATTERNS:
        got = counted(expected, pattern, encoder.compute_logits(expected, pattern))
        wanted = counted(expected, pattern, expected[f"{pattern}/{head}/logits"])
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=pattern)


@every_family
@pytest.mark.parametrize("head", ["ForMaskedLM", "ForSequenceClassification"])
@every_pattern
def test_loss_and_every_gradient_are_those_of_transformers(
    encoders, expected_of, family, head, pattern
):
    encoder, expected = encoders(family, head), expected_of(family)
    loss, gradients = encoder.differentiate(expected, pattern)
    assert loss == pytest.approx(expected[f"{pattern}/{head}/loss"], abs=1e-9)
    assert sorted(gradients) == sorted(read_folder(family, head)[1])
    wanted = expected[f"{pattern}/{head}/gradients"]
    np.testing.assert_allclose(project(gradients), wanted, rtol=0, atol=1e-9)


@every_family
@every_head
def test_what_is_written_again_are_the_bytes_of_transformers(encoders, family, head, tmp_path):
    encoder = encoders(family, head, "float32")
    write_weights(tmp_path, encoder.mapping, encoder.variables, shard_size=10**9)
    wanted = write_folder(tmp_path / "theirs", family, head) / "model.safetensors"
    assert (tmp_path / "model.safetensors").read_bytes() == wanted.read_bytes()


# One trap at a time


def attention_of(family, part):
    if family == "distilbert":
        return f"distilbert.transformer.layer.1.attention.{part[0]}_lin"
    return f"{family}.encoder.layer.1.attention.self.{part}"


def swap_query_and_key(tensors, family):
    for kind in ("weight", "bias"):
        one, other = (f"{attention_of(family, part)}.{kind}" for part in ("query", "key"))
        tensors[one], tensors[other] = tensors[other], tensors[one]


def transpose_query(tensors, family):
    name = attention_of(family, "query") + ".weight"
    tensors[name] = tensors[name].T.copy()


def transpose_head(tensors, family):
    name = {"bert": "cls.predictions.transform.dense", "roberta": "lm_head.dense"}
    name = name.get(family, "vocab_transform") + ".weight"
    tensors[name] = tensors[name].T.copy()


def drop_value_bias(tensors, family):
    tensors[attention_of(family, "value") + ".bias"][:] = 0


def drop_head_bias(tensors, family):
    name = {"bert": "cls.predictions.bias", "roberta": "lm_head.bias"}
    tensors[name.get(family, "vocab_projector.bias")][:] = 0


def shift_positions(tensors, family):
    name = f"{family}.embeddings.position_embeddings.weight"
    tensors[name] = np.roll(tensors[name], 1, axis=0)


def use_tanh_gelu(encoder):
    for block in encoder.backbone.blocks:
        block.feed_forward._activation_function = tanh_gelu


def use_tanh_gelu_in_head(encoder):
    encoder.head._activation_function = tanh_gelu


def tanh_gelu(x):
    return keras.activations.gelu(x, approximate=True)


def drop_segments(encoder):
    encoder.backbone.segment_embedding = None


def count_positions_from_zero(encoder):
    encoder.backbone.position_offset = 0


def change_epsilon(encoder):
    encoder.backbone.blocks[2].feed_forward_norm.epsilon = 3e-5


def change_epsilon_of_head(encoder):
    encoder.head.norm.epsilon = 3e-5


def measure(encoder, expected, head):
    pattern = "middle"
    got = counted(expected, pattern, encoder.compute_logits(expected, pattern))
    return np.abs(got - counted(expected, pattern, expected[f"{pattern}/{head}/logits"])).max()


@pytest.mark.parametrize(
    ("family", "change"),
    [
        *(("bert", change) for change in (drop_value_bias, drop_head_bias, shift_positions)),
        *((family, swap_query_and_key) for family in FAMILIES),
        *(("bert", transpose_query), ("roberta", transpose_head), ("distilbert", transpose_query)),
        *(("roberta", shift_positions), ("distilbert", drop_head_bias)),
    ],
)
def test_one_wrong_tensor_makes_the_comparison_fail(expected_of, family, change, tmp_path):
    folder = write_folder(
        tmp_path / "a", family, "ForMaskedLM", lambda tensors: change(tensors, family)
    )
    assert measure(Encoder(folder), expected_of(family), "ForMaskedLM") > 1e-4


TRAPS = (use_tanh_gelu, use_tanh_gelu_in_head, change_epsilon, change_epsilon_of_head)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        *((family, None) for family in FAMILIES),
        *(("roberta", change) for change in (*TRAPS, drop_segments, count_positions_from_zero)),
        *(("bert", drop_segments), ("distilbert", use_tanh_gelu_in_head)),
    ],
)
def test_one_trap_alone_makes_the_comparison_fail(expected_of, family, change, tmp_path):
    encoder = Encoder(write_folder(tmp_path / "a", family, "ForMaskedLM"))
    if change is not None:
        change(encoder)
    error = measure(encoder, expected_of(family), "ForMaskedLM")
    assert error < 1e-10 if change is None else error > 1e-7


@pytest.mark.parametrize(
    ("family", "wrong"), [("roberta", "relu"), ("roberta", None), ("distilbert", "tanh")]
)
def test_another_activation_in_the_classifier_makes_the_comparison_fail(
    expected_of, family, wrong, tmp_path
):
    encoder = Encoder(write_folder(tmp_path / "a", family, "ForSequenceClassification"))
    assert measure(encoder, expected_of(family), "ForSequenceClassification") < 1e-10
    encoder.head._activation_function = keras.activations.get(wrong)
    assert measure(encoder, expected_of(family), "ForSequenceClassification") > 1e-3


# Names in files of other ages


def digest_of(encoder):
    return {path: np.asarray(variable).tobytes() for path, variable in encoder.variables.items()}


def make_old(tensors, family):
    """As the published files are: counters, a second head, old names of norms, a tied decoder."""
    for name in [name for name in tensors if "LayerNorm" in name]:
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        tensors[old.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(name)
    prefix = f"{family}."
    table = tensors[f"{prefix}embeddings.word_embeddings.weight"]
    decoder = {"bert": "cls.predictions.decoder", "roberta": "lm_head.decoder"}
    tensors[decoder.get(family, "vocab_projector") + ".weight"] = table.copy()
    tensors[f"{prefix}embeddings.position_ids"] = np.arange(40)[None]
    if family != "distilbert":
        tensors[f"{prefix}pooler.dense.weight"] = np.ones((48, 48), np.float32)
        tensors[f"{prefix}pooler.dense.bias"] = np.ones(48, np.float32)
        bias = {"bert": "cls.predictions.bias", "roberta": "lm_head.bias"}[family]
        tensors[f"{decoder[family]}.bias"] = tensors[bias].copy()
    if family == "bert":
        tensors["cls.seq_relationship.weight"] = np.ones((2, 48), np.float32)
        tensors["cls.seq_relationship.bias"] = np.ones(2, np.float32)


@every_family
def test_published_files_with_old_names_are_the_same_model(encoders, family, tmp_path):
    folder = write_folder(
        tmp_path / "a", family, "ForMaskedLM", lambda tensors: make_old(tensors, family)
    )
    old = Encoder(folder, "float32")
    assert old.backbone.pooler is False
    assert digest_of(old) == digest_of(encoders(family, "ForMaskedLM", "float32"))


@every_family
def test_a_backbone_below_the_model_type_is_the_same_backbone(encoders, family, tmp_path):
    def nest(tensors):
        for name in list(tensors):
            tensors[f"{family}.{name}"] = tensors.pop(name)

    nested = Encoder(write_folder(tmp_path / "a", family, "Model", nest), "float32")
    assert digest_of(nested) == digest_of(encoders(family, "Model", "float32"))


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_backbone_without_a_pooler_in_its_file_has_none(family, tmp_path):
    def drop(tensors):
        for kind in ("weight", "bias"):
            del tensors[f"pooler.dense.{kind}"]

    encoder = Encoder(write_folder(tmp_path / "a", family, "Model", drop), "float32")
    assert encoder.backbone.pooler is False


@pytest.mark.parametrize(
    ("family", "kind"),
    [*((family, "weight") for family in FAMILIES), ("bert", "bias"), ("roberta", "bias")],
)
def test_two_different_decoders_are_refused(family, kind, tmp_path):
    def disturb(tensors):
        make_old(tensors, family)
        decoder = {"bert": "cls.predictions.decoder", "roberta": "lm_head.decoder"}
        tensors[f"{decoder.get(family, 'vocab_projector')}.{kind}"].ravel()[7] += 1

    folder = write_folder(tmp_path / "a", family, "ForMaskedLM", disturb)
    with pytest.raises(ValueError, match="must be equal where `tie_word_embeddings` is true. Rec"):
        Encoder(folder)


# Tensors that do not fit


def rename(tensors, name):
    tensors[name.replace("attention", "atention")] = tensors.pop(name)


def narrow(tensors, name):
    tensors[name] = tensors[name][:-1].copy()


def round_off(tensors, name):
    tensors[name] = tensors[name].astype(np.int8)


@every_family
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, name: tensors.pop(name), "Missing: '{name}'; not expected: none"),
        (rename, "Missing: '{name}'; not expected: '.*atention"),
        (narrow, r"'{name}' in .* must have shape \(48, 48\).* Received: \(47, 48\)"),
        (round_off, "'{name}' in .* must have one of the dtypes F64, F32, .* Received: I8"),
    ],
)
def test_a_part_of_a_variable_that_does_not_fit_is_refused(family, change, message, tmp_path):
    name = attention_of(family, "key") + ".weight"
    folder = write_folder(
        tmp_path / "a", family, "ForTokenClassification", lambda tensors: change(tensors, name)
    )
    with pytest.raises(ValueError, match=message.format(name=name)):
        Encoder(folder)


@every_family
@pytest.mark.parametrize("extra", ["{}.encoder.layer.3.output.dense.bias", "lm_head.x", "../x"])
def test_an_unknown_tensor_is_refused(family, extra, tmp_path):
    name = extra.format(family)

    def add(tensors):
        tensors[name] = np.zeros(48, np.float32)

    folder = write_folder(tmp_path / "a", family, "ForMaskedLM", add)
    with pytest.raises(ValueError, match=f"Missing: none; not expected: '{name}'"):
        Encoder(folder)


def test_a_rectangular_kernel_stored_in_out_is_refused(tmp_path):
    name = "bert.encoder.layer.0.intermediate.dense.weight"

    def transpose(tensors):
        tensors[name] = tensors[name].T.copy()

    folder = write_folder(tmp_path / "a", "bert", "ForMaskedLM", transpose)
    with pytest.raises(ValueError, match=r"must have shape \(37, 48\).* Received: \(48, 37\)"):
        Encoder(folder)


@every_head
def test_the_head_of_another_task_is_refused(head, tmp_path):
    other = "ForMaskedLM" if head == "ForQuestionAnswering" else "ForQuestionAnswering"

    def replace(tensors):
        tensors.clear()
        tensors |= read_folder("bert", other)[1]

    folder = write_folder(tmp_path / "a", "bert", head, replace)
    with pytest.raises(ValueError, match="not expected: '(cls.pred|qa_out)"):
        Encoder(folder)
