"""Decoders as .tflite files: the logits and the greedy ids of Keras."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.export.litert.flatbuffer import list_ops, open_model
from lmzoo.models import GPTBackbone
from lmzoo.runtime import open_model_file
from lmzoo.tasks import CausalLM
from tests.export.litert.running import Decoder
from tests.layers.reference import randomise
from tests.models.reference import EVERYTHING

CONTEXT, VOCABULARY = 24, 101
# Llama, Mistral, Qwen2 and Qwen3 in their options; the last one has all that a decoder can have.
ROTARY = {"positions": "rotary", "norm": "rms_norm", "gated": True, "use_bias": False}
FORMS = {
    "gpt2": {},
    "llama": {**ROTARY, "activation": "silu", "num_key_value_heads": 2, "tied": False},
    "mistral": {**ROTARY, "activation": "silu", "num_key_value_heads": 2, "sliding_window": 5},
    "qwen2": {**ROTARY, "activation": "silu", "use_attention_bias": True},
    "qwen3": {**ROTARY, "activation": "silu", "query_key_norm": True, "head_dim": 8},
    "everything": EVERYTHING,
}


@pytest.fixture(
    scope="module",
    params=[
        name if name == "everything" else pytest.param(name, marks=pytest.mark.slow)
        for name in FORMS
    ],
)
def exported(request, tmp_path_factory):
    """A decoder of some form, and its file."""
    backbone = GPTBackbone(
        VOCABULARY, 2, 4, 48, max_sequence_length=CONTEXT, **FORMS[request.param]
    )
    lm = CausalLM(randomise(backbone, deviation=0.2))
    path = tmp_path_factory.mktemp("litert") / "lm.tflite"
    lm.export(path, prefill_lengths=(4, 8), verbose=False)
    return lm, path


def test_logits_are_those_of_keras_and_greedy_ids_are_equal(exported):
    lm, path = exported
    ids = lm.generate([[5, 9, 2]], max_new_tokens=CONTEXT - 3)[0]
    logits = Decoder(path.read_bytes()).read(ids)
    wanted = lm({"token_ids": tf.constant([ids])}).numpy()[0]
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
    assert logits[2:-1].argmax(-1).tolist() == list(ids[3:])


def test_a_prefill_in_padded_chunks_is_as_good_as_single_steps(exported):
    lm, path = exported
    ids = np.random.default_rng(0).integers(0, VOCABULARY, CONTEXT)
    decoder = Decoder(path.read_bytes())
    decoder.prefill(8, ids[:8], 0)
    decoder.prefill(8, ids[8:16], 8)
    # Seven more tokens and a padded one, which reaches beyond the last position but no slot.
    decoder.prefill(8, ids[16:23], 16)
    logits = decoder.step(ids[23], 23)
    wanted = lm({"token_ids": tf.constant([ids])}).numpy()[0, -1]
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
    assert decoder.num_slots == CONTEXT + 8


def test_ops_are_built_in_and_the_cache_is_written_in_place(exported):
    _, path = exported
    ops = list_ops(open_model(path.read_bytes()))
    assert "CUSTOM" not in ops
    assert "SCATTER_ND" not in ops
    # Keys and values of two layers, in three signatures.
    assert ops["DYNAMIC_UPDATE_SLICE"] == 12
    # No look-up asks for negative ids.
    assert "LESS" not in ops


def test_each_weight_is_stored_once(exported):
    lm, path = exported
    num_bytes = path.stat().st_size
    graph = 120_000
    assert num_bytes < 4 * lm.count_params() + graph


def test_the_manifest_says_what_the_file_holds(exported):
    lm, path = exported
    found = open_model_file(path)
    assert found.kind == "tflite"
    assert found.manifest.task == "CausalLM"
    assert found.manifest.parameters == lm.count_params()
    assert found.manifest.max_sequence_length == CONTEXT
    assert set(found.signatures) == {"prefill_4", "prefill_8", "decode"}
    inputs, outputs = found.signatures["decode"]
    assert outputs["logits"].shape == (1, 1, VOCABULARY)
    assert inputs["tokens"].dtype == "int32"
    assert len(inputs) == 2 + 4
