"""Files in fewer bits: their size, that tables and heads share a buffer, and their scores."""

import json

import keras
import numpy as np
import pytest

from lmzoo.export.litert.flatbuffer import list_ops, open_model
from lmzoo.export.litert.quantization import quantize_model
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from tests.export.litert.running import Decoder
from tests.layers.reference import randomise

VOCABULARY, CONTEXT = 512, 16
# Bytes of a weight, and how far logits of about 3 may be from those in float32.
KINDS = {"float16": (2, 0.02), "int8": (1, 0.3), "int4": (0.5625, 3.0)}


@pytest.fixture(scope="module")
def lm():
    backbone = GPTBackbone(VOCABULARY, 1, 2, 64, max_sequence_length=CONTEXT)
    return CausalLM(randomise(backbone, deviation=0.1))


@pytest.fixture(scope="module", params=KINDS)
def exported(request, lm, tmp_path_factory):
    pytest.importorskip("litert_quantizer", reason="needs `pip install lmzoo[litert]`")
    path = tmp_path_factory.mktemp("litert") / "lm.tflite"
    # Longer than the context, of which the rest is left out.
    data = np.random.default_rng(0).integers(0, VOCABULARY, (3, CONTEXT + 9)).tolist()
    report = lm.export(
        path,
        quantization=request.param,
        prefill_lengths=(4,),
        decode_windows=(8,),
        evaluation_data=data,
        verbose=False,
    )
    return request.param, path, report


@pytest.mark.quick("int8", "int4")
def test_scores_are_near_those_of_float32_and_the_report_says_how_near(lm, exported):
    kind, path, report = exported
    ids = list(range(1, CONTEXT))
    wanted = lm({"token_ids": np.array([ids])}).numpy()[0]
    difference = np.abs(Decoder(path.read_bytes()).read(ids) - wanted).max()
    assert 0 < difference < KINDS[kind][1]
    quality = report["quality"]
    assert 0 < quality["largest_difference"] < KINDS[kind][1]
    assert quality["perplexity_after"] == pytest.approx(quality["perplexity_before"], rel=0.1)


def test_table_and_head_share_a_buffer_over_all_signatures(lm, exported):
    kind, path, report = exported
    content = path.read_bytes()
    model = open_model(content)
    table = round(VOCABULARY * 64 * (0.5 if kind == "int4" else KINDS[kind][0]))
    # GPT-2's positions are too few to be a table of their own kind here.
    assert list_ops(model)["EMBEDDING_LOOKUP"] == 3
    large = [b for b in model.buffers if b.data is not None and len(b.data) == table]
    assert len(large) == 1
    # Graphs of four signatures take some 60 kB.
    assert len(content) < KINDS[kind][0] * lm.count_params() + 80_000
    assert report["bytes"] == len(content)


def test_the_report_lies_beside_the_file(exported):
    kind, path, report = exported
    written = json.loads(path.with_name("lm.tflite.json").read_text(encoding="utf-8"))
    assert written == {**report, "path": "lm.tflite"}
    assert written["quantization"] == kind
    assert written["signatures"] == ["decode", "decode_8", "prefill_4"]
    assert written["ops"]["FULLY_CONNECTED"] > 0
    assert written["speed"]["milliseconds"] > 0


def test_int4_needs_widths_of_whole_blocks(tmp_path):
    lm = CausalLM(GPTBackbone(VOCABULARY, 1, 2, 48, max_sequence_length=8))
    with pytest.raises(ValueError, match=r"quantization='int4', '\S+' with 48 inputs"):
        lm.export(tmp_path / "lm.tflite", quantization="int4")


def test_float16_takes_no_weight_beyond_its_range(tmp_path):
    keras.utils.set_random_seed(0)
    lm = CausalLM(GPTBackbone(VOCABULARY, 1, 2, 64, max_sequence_length=8))
    kernel = lm.backbone.blocks[0].feed_forward.weights[0]
    kernel.assign(kernel * 1e9)
    with pytest.raises(ValueError, match=r"beyond 65504. Received: quantization='float16', \d"):
        lm.export(tmp_path / "lm.tflite", quantization="float16")


def test_no_quantization_leaves_a_model_as_it_is():
    model = object()
    assert quantize_model(model, None) is model
