"""What cannot be exported is refused before anything is converted."""

import sys

import numpy as np
import pytest

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, MaskedLM, Seq2SeqLM


@pytest.fixture(scope="module")
def lm():
    return CausalLM(GPTBackbone(40, 1, 2, 8, max_sequence_length=16))


@pytest.fixture(scope="module")
def reader():
    return MaskedLM(BertBackbone(40, 1, 2, 8, max_sequence_length=16))


def test_a_path_has_one_of_two_suffixes(lm, tmp_path):
    with pytest.raises(ValueError, match=r"end in .tflite or .litertlm. Received: path=.*lm.bin"):
        lm.export(tmp_path / "lm.bin", format="litert")


def test_a_container_is_for_a_decoder_with_a_tokenizer(lm, reader, tmp_path):
    with pytest.raises(ValueError, match=r"task.litertlm' for a CausalLM without a tokenizer"):
        lm.export(tmp_path / "task.litertlm")
    with pytest.raises(ValueError, match=r"task.litertlm' for a MaskedLM"):
        reader.export(tmp_path / "task.litertlm")


def test_an_existing_file_stays(lm, tmp_path):
    path = tmp_path / "lm.tflite"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"lm.tflite', which exists. Pass overwrite=True"):
        lm.export(path)
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(FileExistsError, match=r"must not be a folder. Received: path=.*folder"):
        lm.export(tmp_path / "folder.tflite", overwrite=True)
    assert path.read_bytes() == b"old"


def test_a_quantization_is_known(lm, tmp_path):
    with pytest.raises(ValueError, match="`quantization` must be one of .*quantization='int2'"):
        lm.export(tmp_path / "lm.tflite", quantization="int2")


def test_a_model_computes_in_float32(tmp_path):
    lm = CausalLM(GPTBackbone(40, 1, 2, 8, dtype="mixed_bfloat16"))
    with pytest.raises(ValueError, match="compute in float32 .*dtype='mixed_bfloat16'"):
        lm.export(tmp_path / "lm.tflite")


def test_weights_are_finite(tmp_path):
    lm = CausalLM(GPTBackbone(40, 1, 2, 8, max_sequence_length=16))
    bias = lm.backbone.final_norm.weights[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"NaN or infinity in 'gpt_backbone\S*/final_norm/beta'"):
        lm.export(tmp_path / "lm.tflite")


@pytest.mark.parametrize(
    ("package", "name", "options"),
    [
        ("litert_lm_builder", "lm.litertlm", {}),
        ("litert_quantizer", "lm.tflite", {"quantization": "int8"}),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package, name, options, monkeypatch, tmp_path):
    import lmzoo
    from tests.export.tiny_lm import TEXT, make_task

    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    lm = make_task(tokenizer)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package.replace('_', '-')}.*pip install 'lmzoo\[lit"):
        lm.export(tmp_path / name, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_sequence_length": 17}, "at most 16. Received: max_sequence_length=17"),
        ({"max_sequence_length": 0}, "positive. Received: max_sequence_length=0"),
        ({"prefill_lengths": (4, 20)}, "at most 16. Received: prefill_lengths=20"),
        ({"decode_windows": (40,)}, "at most 23. Received: decode_windows=40"),
        ({"batch_size": 2}, "must be None for a CausalLM. Received: batch_size=2"),
        ({"top_p": 2.0}, "top_p=2.0"),
    ],
)
def test_sizes_and_options_of_a_decoder_fit_it(lm, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        lm.export(tmp_path / "lm.tflite", **options)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"sequence_length": 17}, ValueError, "at most 16. Received: sequence_length=17"),
        ({"batch_size": 1.5}, TypeError, "must be an int. Received: batch_size=1.5"),
        ({"prefill_lengths": (4,)}, ValueError, r"prefill_lengths=\(4,\)"),
        ({"temperature": 0.5}, TypeError, "without options. Received: temperature"),
    ],
)
def test_sizes_and_options_of_a_discriminative_task_fit_it(
    reader, tmp_path, options, kind, message
):
    with pytest.raises(kind, match=message):
        reader.export(tmp_path / "task.tflite", **options)


def test_an_encoder_decoder_has_no_prefills(tmp_path):
    backbone = T5Backbone(40, 1, num_heads=2, hidden_dim=8, head_dim=4, intermediate_dim=8)
    with pytest.raises(ValueError, match=r"for a Seq2SeqLM. Received: prefill_lengths=\[4\]"):
        Seq2SeqLM(backbone).export(tmp_path / "task.tflite", prefill_lengths=[4])


def test_there_is_data_to_compare_on(lm):
    from lmzoo.export.litert.quality import measure_quality

    with pytest.raises(ValueError, match=r"Received: evaluation_data=\[\]"):
        measure_quality(lm, b"", [])
