"""What differs by layer: frozen weights, and learning rates that fall toward the input."""

import keras
import numpy as np
import pytest

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, Seq2SeqLM, TextClassifier
from lmzoo.training import Adafactor, AdamW, Lion, Muon

BERT_INPUTS = ("token_embedding", "position_embedding", "segment_embedding", "embedding_norm")
IDS = np.random.default_rng(0).integers(3, 50, (4, 9))


def make_task(kind):
    keras.utils.set_random_seed(1)
    if kind == "bert":
        task = TextClassifier(BertBackbone(50, 2, 2, 8, max_sequence_length=8), num_classes=2)
        return task, ({"token_ids": IDS[:, :-1]}, IDS[:, 0] % 2)
    if kind == "gpt":
        task = CausalLM(GPTBackbone(50, 2, 2, 8, max_sequence_length=8))
        return task, ({"token_ids": IDS[:, :-1]}, IDS[:, 1:])
    task = Seq2SeqLM(T5Backbone(50, 2, 1, 2, 8, 4, 16, tied=False))
    return task, ({"encoder_token_ids": IDS, "decoder_token_ids": IDS[:, :-1]}, IDS[:, 1:])


@pytest.mark.parametrize(
    "kind",
    ["gpt", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("bert", "t5"))],
)
def test_frozen_layers_stay_bit_equal_and_are_not_decayed(kind):
    task, rows = make_task(kind)
    stack = task.backbone.list_block_stacks()[0]
    frozen = [task.backbone.token_embedding, stack[0]]
    for layer in frozen:
        layer.trainable = False
    before = [[weight.numpy() for weight in layer.weights] for layer in (*frozen, stack[1])]
    task.compile(AdamW(0.1, weight_decay=0.5, global_clipnorm=1.0))
    task.fit(*rows, batch_size=2, epochs=2, verbose=0)
    after = [[weight.numpy() for weight in layer.weights] for layer in (*frozen, stack[1])]
    for old, new in zip(before[:2], after[:2], strict=True):
        assert all(np.array_equal(*pair) for pair in zip(old, new, strict=True))
    moved = [not np.array_equal(*pair) for pair in zip(before[2], after[2], strict=True)]
    # T5 has no biases; a key's bias has no gradient.
    assert sum(moved) >= len(moved) - 1


def test_freezing_after_fit_needs_compile():
    task, rows = make_task("gpt")
    task.compile(AdamW(0.1))
    task.make_train_function()
    task.fit(*rows, verbose=0)
    task.backbone.token_embedding.trainable = False
    with pytest.raises(ValueError, match=r"Received: 1 weights that changed, .*embeddings"):
        task.fit(*rows, verbose=0)
    task.compile(AdamW(0.1))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bert", dict.fromkeys(BERT_INPUTS, 3)),
        ("gpt", {"token_embedding": 3, "position_embedding": 3}),
        ("t5", {"encoder_bias": 3, "decoder_bias": 3}),
    ],
)
def test_layers_are_counted_from_the_head(kind, expected):
    backbone = make_task(kind)[0].backbone
    counts = backbone.count_layers_above()
    for name, count in expected.items():
        assert {counts[id(weight)] for weight in getattr(backbone, name).weights} == {count}
    for stack in backbone.list_block_stacks():
        for index, block in enumerate(stack):
            assert {counts[id(weight)] for weight in block.weights} == {len(stack) - index}
    if kind == "t5":
        assert counts[id(backbone.token_embedding.embeddings)] == 3
        assert id(backbone.token_embedding.output_embeddings) not in counts
    else:
        listed = [*backbone.list_block_stacks()[0], *(getattr(backbone, name) for name in expected)]
        above = {id(w) for w in backbone.weights} - {id(w) for one in listed for w in one.weights}
        assert above and not above & counts.keys()


def adamw(weights, gradients, rate, decay, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """AdamW in float64; gradients is a list of those of each step."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, 1):
        weights = weights - rate * decay * weights
        first = beta_1 * first + (1 - beta_1) * gradient
        second = beta_2 * second + (1 - beta_2) * gradient**2
        alpha = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        weights = weights - alpha * first / (np.sqrt(second) + epsilon)
    return weights


def run_steps(optimizer, distances, num_steps=3):
    rng = np.random.default_rng(0)
    shapes = ((4, 3), (3, 5), (3,))
    starts = [rng.normal(size=shape) for shape in shapes]
    variables = [keras.Variable(start.astype("float32")) for start in starts]
    if distances is not None:
        optimizer.set_layers(
            {id(variable): one for variable, one in zip(variables, distances, strict=True) if one}
        )
    optimizer.build(variables)
    gradients = [[rng.normal(size=shape) for shape in shapes] for _ in range(num_steps)]
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(one, "float32") for one in step], variables)
    return starts, gradients, [variable.numpy() for variable in variables]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_layer_has_its_own_learning_rate(jit_compile):
    optimizer = AdamW(0.1, weight_decay=0.2, layer_decay=0.5, jit_compile=jit_compile)
    distances = (2, 1, 0)
    starts, gradients, found = run_steps(optimizer, distances)
    for index, distance in enumerate(distances):
        decay = 0.2 if starts[index].ndim == 2 else 0.0
        steps = [step[index] for step in gradients]
        expected = adamw(starts[index], steps, 0.1 * 0.5**distance, decay)
        np.testing.assert_allclose(found[index], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [Adafactor, AdamW, Lion, Muon], ids=lambda kind: kind.__name__)
def test_a_layer_has_the_step_of_an_optimizer_with_its_learning_rate(kind):
    *_, found = run_steps(kind(0.1, layer_decay=0.5), (2, 2, 2))
    *_, expected = run_steps(kind(0.025), None)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_a_task_tells_the_optimizer_its_layers():
    task, rows = make_task("bert")
    task.compile(Lion(0.1, layer_decay=0.5))
    layers = [task.backbone.token_embedding, *task.backbone.blocks]
    before = [layer.weights[0].numpy() for layer in layers]
    task.fit(*rows, batch_size=4, verbose=0)
    for layer, old, expected in zip(layers, before, (0.0125, 0.025, 0.05), strict=True):
        # The first step of Lion is the learning rate times the sign of the gradient.
        largest = np.abs(layer.weights[0].numpy() - old).max()
        assert largest == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("layer_decay", "error"), [(0, ValueError), (1.1, ValueError), ("a", TypeError)]
)
def test_layer_decay_is_checked(layer_decay, error):
    with pytest.raises(error, match=f"layer_decay={layer_decay!r}"):
        AdamW(layer_decay=layer_decay)


def test_layer_decay_needs_a_task():
    with pytest.raises(ValueError, match=r"layer_decay=0.9 in an optimizer without one"):
        AdamW(layer_decay=0.9).build([keras.Variable(np.ones(2))])
