"""Encoder-decoders as .tflite files: logits and greedy ids of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import T5Backbone
from lmzoo.runtime import open_model_file
from lmzoo.tasks import Seq2SeqLM
from tests.export.litert.running import open_signature
from tests.layers.reference import randomise

LENGTH, VOCABULARY = 16, 60
SOURCE = [7, 3, 44, 9, 1]
FORMS = {"t5": {}, "flan-t5": {"activation": "gelu_tanh", "gated": True, "tied": False}}


@pytest.fixture(
    scope="module",
    # Converting the two parts of one form takes some ten seconds; Flan-T5 has all that T5 has.
    params=[pytest.param("t5", marks=pytest.mark.slow), "flan-t5"],
)
def exported(request, tmp_path_factory):
    keras.utils.set_random_seed(0)
    backbone = T5Backbone(
        VOCABULARY,
        2,
        3,
        num_heads=4,
        hidden_dim=24,
        head_dim=8,
        intermediate_dim=32,
        max_sequence_length=LENGTH,
        **FORMS[request.param],
    )
    task = Seq2SeqLM(randomise(backbone, deviation=0.3))
    path = tmp_path_factory.mktemp("litert") / "task.tflite"
    data = ([SOURCE, [4, 1]], [[9, 8, 7, 1], [3, 1]])
    report = task.export(path, decode_windows=(8,), evaluation_data=data, verbose=False)
    # Teacher-forced over the targets, each after the start token.
    assert report["quality"]["largest_difference"] < 1e-4
    assert report["quality"]["argmax_agreement"] == 1.0
    return task, path


def decode(path, ids, slots, suffix):
    """The logits (T, V) of a target."""
    content = path.read_bytes()
    token_ids = np.zeros((1, slots), np.int32)
    token_ids[0, : len(SOURCE)] = SOURCE
    mask = (np.arange(slots)[None] < len(SOURCE)).astype("int32")
    cross = open_signature(content, f"encode{suffix}")(token_ids=token_ids, padding_mask=mask)
    step = open_signature(content, f"decode{suffix}")
    caches = {
        name: np.zeros(spec["shape"], np.float32)
        for name, spec in step.get_input_details().items()
        if name.startswith("kv_cache")
    }
    logits = []
    for position, token_id in enumerate(ids):
        outputs = step(
            tokens=np.array([[token_id]], np.int32),
            input_pos=np.array([position], np.int32),
            padding_mask=mask,
            **caches,
            **cross,
        )
        logits.append(outputs.pop("logits")[0, 0])
        caches = outputs
    return np.stack(logits)


@pytest.mark.parametrize(("slots", "suffix"), [(LENGTH, ""), (8, "_8")])
def test_logits_are_those_of_keras_and_greedy_ids_are_equal(exported, slots, suffix):
    task, path = exported
    new = task.generate([SOURCE], max_new_tokens=7)[0]
    ids = [task.start_token_id, *new]
    logits = decode(path, ids[:8], slots, suffix)
    inputs = {"encoder_token_ids": tf.constant([SOURCE]), "decoder_token_ids": tf.constant([ids])}
    np.testing.assert_allclose(logits, task(inputs).numpy()[0, :8], atol=1e-4)
    assert logits[: len(new)].argmax(-1).tolist() == list(new)


@pytest.mark.slow
def test_int8_keeps_the_table_of_distances_and_the_scores(exported, tmp_path):
    task, _ = exported
    report = task.export(
        tmp_path / "task.tflite",
        quantization="int8",
        decode_windows=(),
        evaluation_data=([SOURCE], [[9, 8, 7, 1]]),
        verbose=False,
    )
    assert 0 < report["quality"]["largest_difference"] < 1.0
    # The table of 32 distances stays a plain look-up in float32.
    assert report["ops"]["GATHER"] > 0


def test_the_cross_attention_cache_is_computed_once(exported):
    _, path = exported
    found = open_model_file(path)
    assert found.manifest.task == "Seq2SeqLM"
    assert set(found.signatures) == {"encode", "decode", "encode_8", "decode_8"}
    inputs, outputs = found.signatures["decode"]
    assert inputs["cross_k_2"].shape == (1, 4, LENGTH, 8)
    assert not any(name.startswith("cross") for name in outputs)
