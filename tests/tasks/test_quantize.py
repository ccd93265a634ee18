"""Tasks in int8 and int4: they say what a task of rounded weights says, in fewer bytes."""

import gc
import weakref

import keras
import numpy as np
import pytest

from lmzoo.models import BertBackbone, GPTBackbone
from lmzoo.tasks import CausalLM, MaskedLM, TextClassifier, ZeroShotClassifier
from tests.layers.reference import randomise
from tests.rounding import list_matrices, round_task
from tests.tasks.tiny_t5 import make_lm as make_t5

slow = pytest.mark.slow
PROMPTS = [[5, 7, 11], [1], [2, 3, 4, 5, 6]]
SOURCES = ["a cat", "", "the rat ate"]


def make_gpt(**options):
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 32, "intermediate_dim": 64}
    backbone = GPTBackbone(101, **{**sizes, "max_sequence_length": 32, **options})
    return CausalLM(randomise(backbone, deviation=0.3))


def make_classifier(kind=TextClassifier):
    backbone = BertBackbone(101, 1, 2, 32, 64, max_sequence_length=16, dropout=0.0)
    options = {"num_classes": 3} if kind is TextClassifier else {}
    return randomise(kind(backbone, **options), deviation=0.3)


@pytest.fixture(scope="module", params=["int8", pytest.param("int4", marks=pytest.mark.slow)])
def pair(request):
    """A quantized task, and a float one with weights that were rounded by hand."""
    task, twin = make_gpt(tied=False), make_gpt(tied=False)
    task.quantize(request.param)
    round_task(twin, request.param)
    return task, twin


def test_a_quantized_task_says_what_one_of_rounded_weights_says(pair):
    task, twin = pair
    inputs = {"token_ids": np.arange(24).reshape(2, 12)}
    np.testing.assert_allclose(task(inputs), twin(inputs), rtol=0, atol=1e-4)
    wanted = twin.generate(PROMPTS, max_new_tokens=8)
    assert task.generate(PROMPTS, max_new_tokens=8) == wanted


@slow
@pytest.mark.parametrize("options", [{"num_beams": 2}, {"temperature": 0.7, "seed": 1}], ids=str)
def test_beams_and_draws_are_those_of_rounded_weights(pair, options):
    wanted, found = (one.generate(PROMPTS, max_new_tokens=8, **options) for one in pair)
    assert found == wanted


# One row and several are different products there.
@slow
@pytest.mark.parametrize("rows", [1, 3])
def test_xla_changes_no_token(pair, rows):
    task, twin = pair
    wanted = twin.generate(PROMPTS[:rows], max_new_tokens=8)
    assert task.generate(PROMPTS[:rows], max_new_tokens=8, jit_compile=True) == wanted


@slow
def test_scores_are_those_of_rounded_weights(pair):
    scores = [one.score([[5, 7, 11]], prompts=[[3]])[0] for one in pair]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)


def test_a_stream_is_what_generate_gives(make_lm):
    lm = make_lm(intermediate_dim=64)
    lm.quantize("int8")
    text = lm.generate("The quick", max_new_tokens=8, return_prompt=False)
    assert "".join(lm.stream("The quick", max_new_tokens=8)) == text


@slow
def test_an_encoder_decoder_is_quantized_too():
    task, twin = make_t5(None), make_t5(None)
    task.quantize()
    round_task(twin, "int8")
    assert task.generate(PROMPTS, max_new_tokens=6) == twin.generate(PROMPTS, max_new_tokens=6)


@pytest.mark.parametrize("kind", [TextClassifier, MaskedLM])
def test_a_task_that_reads_is_quantized_too(kind):
    task, twin = make_classifier(kind), make_classifier(kind)
    task.quantize("int8")
    round_task(twin, "int8")
    inputs = {"token_ids": np.arange(24).reshape(2, 12)}
    np.testing.assert_allclose(task(inputs), twin(inputs), rtol=0, atol=1e-4)
    np.testing.assert_allclose(task.predict(inputs), twin.predict(inputs), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("mode", "bytes_per_weight"), [("int8", 1), ("int4", 0.5)])
def test_the_float_weights_are_gone(mode, bytes_per_weight):
    task = make_gpt()
    if mode == "int8":
        # A graph holds weights too.
        task.generate(PROMPTS, max_new_tokens=2)
    layers = list_matrices(task)
    values = [weakref.ref(layer.weights[0].value) for layer in layers]
    num_weights = sum(int(np.prod(value().shape)) for value in values)
    others = {id(w) for w in task.weights} - {id(layer.weights[0]) for layer in layers}
    task.quantize(mode)
    gc.collect()
    assert [value() for value in values] == [None] * len(values)
    new = [weight.value.numpy().nbytes for weight in task.weights if id(weight) not in others]
    num_scales = num_weights / 32
    assert (
        bytes_per_weight * num_weights < sum(new) <= bytes_per_weight * num_weights + 4 * num_scales
    )
    assert {weight.dtype for weight in task.trainable_weights} == {"float32"}


def test_token_embeddings_and_logits_share_one_table():
    task = make_gpt()
    task.quantize()
    shapes = [tuple(weight.shape) for weight in task.weights]
    assert shapes.count((101, 32)) == 1
    assert [weight.dtype for weight in task.weights if tuple(weight.shape) == (101, 32)] == ["int8"]


@slow
def test_a_fitted_task_is_evaluated_after_it():
    task = make_gpt()
    x, y = {"token_ids": np.arange(32).reshape(4, 8)}, np.arange(1, 33).reshape(4, 8)
    task.fit(x, y, verbose=0)
    before = task.evaluate(x, y, verbose=0, return_dict=True)
    task.quantize()
    after = task.evaluate(x, y, verbose=0, return_dict=True)
    assert after["loss"] == pytest.approx(before["loss"], rel=0.02)
    assert after["loss"] != before["loss"]


def test_a_quantized_task_is_not_trained():
    task = make_gpt()
    task.compile()
    task.quantize()
    x, y = {"token_ids": np.arange(32).reshape(4, 8)}, np.arange(1, 33).reshape(4, 8)
    for train in (task.fit, task.train_on_batch):
        with pytest.raises(ValueError, match="cannot be trained. Received: a CausalLM in int8"):
            train(x, y)


def test_a_quantized_task_is_not_saved(tmp_path):
    task = make_gpt()
    task.quantize()
    calls = {
        "a": task.save_pretrained,
        "a.keras": task.save,
        "a.weights.h5": task.save_weights,
        "a.tflite": task.export,
    }
    for name, save in calls.items():
        with pytest.raises(ValueError, match="Received: a CausalLM in int8"):
            save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="Received: a Dense in int8|Received: a TokenEmbedding"):
        keras.saving.save_model(task.backbone, tmp_path / "b.keras")


@slow
def test_a_zero_shot_classifier_follows_its_model(make_lm):
    lm = make_lm(intermediate_dim=64)
    classifier = ZeroShotClassifier(lm, normalize=True)
    before = classifier.classify("a fox", ["cat", "dog"])
    lm.quantize("int4")
    after = classifier.classify("a fox", ["cat", "dog"])
    assert after["score"] != before["score"]


REFUSED = {
    "a mode that there is not": (("int2",), {}, "`mode` must be 'int8' or 'int4'. .*'int2'"),
    "no mode": ((None,), {}, "`mode` must be 'int8' or 'int4'. .*None"),
    "layers to choose": (("int8",), {"filters": "block"}, "`filters` must be None.*'block'"),
    "Keras's config": (("int8",), {"config": "x"}, "`config` must be None.*'x'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_refused(case):
    arguments, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        make_gpt().quantize(*arguments, **options)


def test_what_cannot_be_quantized_is_refused_and_left_as_it_is():
    task = make_gpt(hidden_dim=48)
    with pytest.raises(ValueError, match="'int4' where .* multiple of 32. Received: .*48 inputs"):
        task.quantize("int4")
    assert task.quantization is None
    task.quantize("int8")
    with pytest.raises(ValueError, match="mode='int4' for weights in int8. Load the task again"):
        task.quantize("int4")
    with pytest.raises(ValueError, match="dtype='bfloat16'. Open it with"):
        make_gpt(dtype="bfloat16").quantize()
    broken = make_gpt()
    broken.backbone.blocks[0].feed_forward.intermediate.kernel.assign(np.full((32, 64), np.nan))
    with pytest.raises(ValueError, match="NaN or infinity in .*intermediate"):
        broken.quantize()
    by_keras = make_gpt()
    by_keras.backbone.blocks[0].feed_forward.intermediate.quantize("int8")
    with pytest.raises(ValueError, match="for weights in int8"):
        by_keras.quantize()
