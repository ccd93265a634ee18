"""SavedModels in 8 and 4 bits, run where there is TensorFlow alone."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import CausalLM, TextClassifier
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer
from tests.export.test_saved_model import functions_that_must_compile, left_aligned, to_text
from tests.export.tiny_lm import make_task
from tests.rounding import round_task

PROMPTS = ["a cat", "", "the rat ate", "that hat on"]
ROWS = [[5, 6, 7], [9, 10, 11, 12]]


@pytest.fixture(scope="module")
def twin(tokenizer):
    """A float task with the weights of `lm`, rounded by hand."""
    return round_task(make_task(tokenizer), "int8")


def test_int8_is_served_without_xla_as_one_graph_of_text(server, lm, twin, export):
    before = [(weight.path, weight.numpy()) for weight in lm.weights]
    folder = export(quantization="int8")
    assert functions_that_must_compile(folder) == []
    got = server.call(folder, "serving_default", text=PROMPTS)
    wanted, scores = twin.generate(PROMPTS, max_new_tokens=8, return_scores=True)
    assert to_text(got["text"]) == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-4, atol=1e-4)
    # The task itself is as it was.
    for weight, (path, value) in zip(lm.weights, before, strict=True):
        assert weight.path == path
        np.testing.assert_array_equal(weight.numpy(), value)
    assert lm.quantization is None


def count_numbers(folder):
    """How many numbers of each dtype the files hold: {"int8": ..., "float32": ...}."""
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    counts = collections.Counter()
    for name, shape in reader.get_variable_to_shape_map().items():
        counts[reader.get_variable_to_dtype_map()[name].name] += int(np.prod(shape))
    return counts


@pytest.mark.slow
def test_files_hold_integers_alone_and_xla_changes_no_token(server, lm, twin, export):
    bare = CausalLM(lm.backbone)
    folder = export(bare, quantization="int8", jit_compile=True)
    assert functions_that_must_compile(folder)
    got = server.call(folder, "tokens", **left_aligned(ROWS))
    wanted = CausalLM(twin.backbone).generate(ROWS, max_new_tokens=8, return_prompt=False)
    np.testing.assert_array_equal(got["token_ids"][:, :8], wanted)
    matrices = [w.shape for w in lm.weights if len(w.shape) == 2 and "position" not in w.path]
    found = count_numbers(folder)
    assert found["int8"] == sum(int(np.prod(shape)) for shape in matrices)
    # Positions and vectors stay; a scale for each row of the table and output of a kernel.
    scales = sum(shape[0] if shape[0] == 285 else shape[1] for shape in matrices)
    assert found["float32"] == lm.count_params() - found["int8"] + scales


@pytest.mark.slow
def test_a_task_in_int4_exports_what_it_is(server, tokenizer, tmp_path):
    backbone = make_task(tokenizer).backbone
    task = CausalLM(type(backbone)(**{**backbone.get_config(), "hidden_dim": 32}))
    randomise(task)
    task.quantize("int4")
    task.export(tmp_path / "1", max_new_tokens=6)
    got = server.call(tmp_path / "1", "tokens", **left_aligned(ROWS))
    wanted = task.generate(ROWS, max_new_tokens=6, return_prompt=False)
    np.testing.assert_array_equal(got["token_ids"], wanted)
    with pytest.raises(ValueError, match="quantization='int8' for weights in int4"):
        task.export(tmp_path / "2", quantization="int8")


@pytest.mark.slow
def test_a_classifier_in_int8_is_served(server, tmp_path):
    tokenizer = train_tokenizer("word_piece")

    def make():
        backbone = make_backbone(tokenizer, max_sequence_length=24)
        return randomise(TextClassifier(backbone, tokenizer, num_classes=3), scale=0.4)

    make().export(tmp_path / "1", quantization="int8")
    texts = ["EU rejects German call.", "", "naïve 猫"]
    got = server.call(tmp_path / "1", "serving_default", text=texts)
    wanted = round_task(make(), "int8").classify(texts)
    scores = [found["score"] for found in wanted]
    np.testing.assert_allclose(np.max(got["scores"], axis=1), scores, rtol=1e-4)


@pytest.mark.parametrize("quantization", ["float16", "int2", 8])
def test_an_unknown_quantization_is_refused(lm, tmp_path, quantization):
    with pytest.raises(ValueError, match=f"`quantization` must be .*quantization={quantization!r}"):
        lm.export(tmp_path / "1", quantization=quantization)
    with pytest.raises(ValueError, match="'int4' where .* multiple of 32. Received: .* 16 inputs"):
        lm.export(tmp_path / "1", quantization="int4")
    assert list(tmp_path.iterdir()) == []
