"""The cross-entropy of chunks of rows is that of all logits: loss, gradients, metrics, training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, MaskedLM, Seq2SeqLM, head_loss
from lmzoo.tasks.head_loss import chunked_crossentropy

R, E, V = 11, 6, 17
RANDOM = np.random.default_rng(2)
LABELS = RANDOM.integers(0, V, R)
WEIGHTS = (RANDOM.random(R) < 0.7) * RANDOM.uniform(0.5, 3, R)


def compute_plainly(features, table, bias, smoothing, z_loss):
    """By the definitions, from all logits at once."""
    logits = tf.matmul(features, table, transpose_b=True) + (0.0 if bias is None else bias)
    log_probs = tf.nn.log_softmax(logits)
    target = (1 - smoothing) * tf.one_hot(LABELS, V, dtype=logits.dtype) + smoothing / V
    losses = -tf.reduce_sum(target * log_probs, -1)
    losses += z_loss * tf.reduce_logsumexp(logits, -1) ** 2
    return tf.reduce_sum(losses * tf.cast(WEIGHTS, losses.dtype))


@pytest.mark.quick("True-0.2-0.01-float64-*", "False-0.1-0.0-float32-*", "False-0.0-0.0-float64-*")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.2, 1e-2)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_loss_and_gradients_are_those_of_all_logits(dtype, tolerance, smoothing, z_loss, has_bias):
    shapes = [(R, E), (V, E), (V,)][: 2 + has_bias]
    tensors = [tf.constant(RANDOM.normal(size=shape), dtype) for shape in shapes]

    def run(compute):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            # As a loss scale and a mean scale it.
            loss = 3 * compute(*tensors, *([] if has_bias else [None]))
        return [loss, *tape.gradient(loss, tensors)]

    def compute_chunks(*tensors):
        loss, predictions = chunked_crossentropy(
            *tensors, LABELS, WEIGHTS, smoothing, z_loss, with_predictions=True, chunk_rows=4
        )
        logits = tf.matmul(tensors[0], tensors[1], transpose_b=True)
        logits += 0.0 if tensors[2] is None else tensors[2]
        np.testing.assert_array_equal(predictions, tf.argmax(logits, -1))
        return loss

    wanted = run(lambda *tensors: compute_plainly(*tensors, smoothing, z_loss))
    for got, plain in zip(run(compute_chunks), wanted, strict=True):
        np.testing.assert_allclose(got, plain, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("bad", [-1, V])
@pytest.mark.parametrize("num_rows", [R, None], ids=["compiled", "of any length"])
def test_labels_outside_of_the_vocabulary_are_refused(bad, num_rows):
    @tf.function(input_signature=[tf.TensorSpec([num_rows, E])])
    def compute(features):
        return chunked_crossentropy(features, tf.ones((V, E)), None, labels, WEIGHTS)

    labels = np.where(np.arange(R) == 7, bad, LABELS)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(value of |\] \[){bad}\b"):
        compute(tf.ones((R, E)))
    labels = LABELS
    compute.python_function(tf.ones((R, E)))


def test_rows_are_compiled_on_one_device_where_their_number_is_known(monkeypatch):
    compiled, compile_score = [], head_loss._compile_score
    monkeypatch.setattr(head_loss, "_compile_score", lambda: compiled.append(1) or compile_score())

    def compute(features):
        return chunked_crossentropy(features, tf.ones((V, E)), None, LABELS, WEIGHTS)[0]

    plain = tf.function(compute, input_signature=[tf.TensorSpec([None, E])])(tf.ones((R, E)))
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        compute(tf.ones((R, E)))
    assert not compiled
    np.testing.assert_allclose(compute(tf.ones((R, E))), plain, rtol=1e-6)
    assert compiled


@pytest.fixture
def tiny_chunks(monkeypatch):
    """Chunks of a few rows; returns the sizes of those that were asked for."""
    monkeypatch.setattr(head_loss, "_CHUNK_LOGITS", 5 * V)
    monkeypatch.setattr(head_loss, "_MIN_ROWS", 1)
    monkeypatch.setattr(head_loss, "_MIN_VOCABULARY", 1)


def make_gpt(dtype, **options):
    task = CausalLM(GPTBackbone(V, 1, 2, 8, max_sequence_length=8, dtype=dtype, **options))
    return task, {"token_ids": RANDOM.integers(0, V, (4, 8))}, (4, 8)


def make_t5(dtype, **options):
    backbone = T5Backbone(V, 1, None, 2, 8, 4, 12, dtype=dtype, dropout=0.0, **options)
    names = ("encoder_token_ids", "decoder_token_ids")
    inputs = {name: RANDOM.integers(0, V, (4, 7)) for name in names}
    return Seq2SeqLM(backbone, label_smoothing=0.1, z_loss=1e-3), inputs, (4, 7)


def make_bert(dtype):
    backbone = BertBackbone(V, 1, 2, 8, max_sequence_length=9, dropout=0.0, dtype=dtype)
    inputs = {
        "token_ids": RANDOM.integers(0, V, (4, 9)),
        "mask_positions": RANDOM.integers(0, 9, (4, 3)),
    }
    return MaskedLM(backbone), inputs, (4, 3)


CASES = {
    "tied": (make_gpt, {}),
    "untied": (make_gpt, {"tied": False}),
    "T5": (make_t5, {}),
    "untied T5": (make_t5, {"tied": False}),
    "BERT": (make_bert, {}),
    "accumulated": (make_gpt, {"compile": {"gradient_accumulation_steps": 2}}),
    "smoothed": (make_gpt, {"compile": {"label_smoothing": 0.1, "z_loss": 1e-3}}),
}


QUICK = ("tied", "T5", "BERT")


@pytest.mark.quick("tied")
@pytest.mark.parametrize(
    "case",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in CASES],
)
def test_training_gives_the_losses_metrics_and_weights_of_plain_training(
    case, tiny_chunks, monkeypatch
):
    make, options = CASES[case]
    options = dict(options)
    compiled = options.pop("compile", {})
    keras.utils.set_random_seed(0)
    task, inputs, shape = make("float32", **options)
    labels = RANDOM.integers(0, V, shape)
    weights = (RANDOM.random(shape) < 0.6).astype("float32")
    start = task.get_weights()
    calls = []
    compute = head_loss.chunked_crossentropy
    monkeypatch.setattr(
        head_loss,
        "chunked_crossentropy",
        lambda *args, **kwargs: calls.append(1) or compute(*args, **kwargs),
    )

    def train(is_deferred):
        task.set_weights(start)
        monkeypatch.setattr(type(task), "can_defer_logits", lambda self: is_deferred)
        # Updates that are linear in the gradient: Adam would show the sign of the smallest alone.
        task.compile(keras.optimizers.SGD(0.1), **compiled)
        history = task.fit(
            inputs, labels, sample_weight=weights, batch_size=3, epochs=2, shuffle=False, verbose=0
        )
        return history.history, task.get_weights(), task.evaluate(inputs, labels, verbose=0)

    plain = train(is_deferred=False)
    assert not calls
    deferred = train(is_deferred=True)
    assert calls
    assert plain[0].keys() == deferred[0].keys()
    for name in plain[0]:
        np.testing.assert_allclose(deferred[0][name], plain[0][name], rtol=1e-6)
    for got, wanted in zip(deferred[1], plain[1], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(deferred[2], plain[2], rtol=1e-6)


def test_half_precision_is_as_near_as_its_products(tiny_chunks):
    keras.utils.set_random_seed(0)
    task, inputs, shape = make_gpt("mixed_bfloat16")
    labels = RANDOM.integers(0, V, shape)
    task.compile()

    def differentiate(is_deferred):
        with head_loss.defer_logits(is_deferred), tf.GradientTape() as tape:
            loss = task.compute_loss(inputs, labels, task(inputs, training=True))
        return [loss, *tape.gradient(loss, task.trainable_variables)]

    for got, wanted in zip(differentiate(True), differentiate(False), strict=True):
        got, wanted = tf.convert_to_tensor(got), tf.convert_to_tensor(wanted)
        np.testing.assert_allclose(got, wanted, atol=0.02 * np.abs(wanted).max())


def test_other_losses_and_metrics_get_all_logits():
    task, *_ = make_gpt("float32")
    cases = {
        "own": ({}, True),
        "smoothed": ({"label_smoothing": 0.1}, True),
        "a mean over rows": (
            {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
            False,
        ),
        "a metric": ({"metrics": ["accuracy"]}, False),
        "XLA": ({"jit_compile": True}, False),
    }
    for name, (options, expected) in cases.items():
        task.compile(**options)
        assert task.can_defer_logits() == expected, name
    assert not isinstance(task({"token_ids": np.ones((2, 8))}), dict)


def test_no_tensor_of_a_training_step_holds_all_logits(tiny_chunks):
    task, inputs, shape = make_gpt("float32")
    task.compile()
    labels = RANDOM.integers(0, V, shape)

    def list_sizes():
        step = tf.function(lambda: task.train_step((inputs, labels)), autograph=False)
        graph = step.get_concrete_function().graph
        return [
            tensor.shape.num_elements() for op in graph.get_operations() for tensor in op.outputs
        ]

    all_logits = np.prod(shape) * V
    assert all_logits not in list_sizes()
    # The control: where a metric reads them, they are there.
    task.compile(metrics=["sparse_categorical_accuracy"])
    assert all_logits in list_sizes()
