"""Attention weights beside transformers' own, on the configurations of the golden files."""

import numpy as np
import pytest

import lmzoo
from lmzoo.explain.attention_weights import collect_weights
from tests.hub import golden_encoders, golden_t5

pytestmark = pytest.mark.slow
ENCODERS = (*golden_encoders.FAMILIES, *golden_encoders.ADDED)
DECODERS = ("llama", "qwen2", "mistral", "qwen3")


@pytest.fixture(scope="module")
def torch():
    pytest.importorskip("transformers", reason="needs transformers and torch")
    return pytest.importorskip("torch", reason="needs transformers and torch")


def run(torch, folder, name, **inputs):
    """The output of a class of transformers on a folder."""
    import transformers

    model = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager")
    tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in inputs.items()}
    with torch.no_grad():
        return model.eval()(**tensors, output_attentions=True)


def compare(found, expected, is_real):
    """(layers, B, N, T, S) beside a tuple of (B, N, T, S), at the queries that are no padding."""
    expected = np.stack([weights.numpy() for weights in expected])
    assert found.shape == expected.shape
    for row, real in enumerate(is_real):
        got, wanted = found[:, row][:, :, real], expected[:, row][:, :, real]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_looks_where_transformers_does(torch, tmp_path, family):
    folder = golden_encoders.write_folder(tmp_path / family, family, "ForSequenceClassification")
    expected = golden_encoders.read_expected(family)
    mask = expected["right/mask"]
    # RoBERTa counts its positions over tokens that are no padding, by their ids.
    task = lmzoo.load(folder, dtype="float32")
    inputs = {"token_ids": expected["token_ids"], "padding_mask": mask}
    given = {"input_ids": expected["token_ids"].astype("int64"), "attention_mask": mask.astype(int)}
    if "roberta" in family or family == "mpnet":
        given["input_ids"] = np.where(mask, given["input_ids"], 1)
    if "segment_ids" in expected:
        inputs["segment_ids"] = expected["segment_ids"]
        given["token_type_ids"] = expected["segment_ids"].astype("int64")
    name = {**golden_encoders.FAMILIES, **golden_encoders.ADDED}[family]
    output = run(torch, folder, f"{name}ForSequenceClassification", **given)
    compare(collect_weights(task, inputs)["encoder"], output.attentions, mask)


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_looks_where_transformers_does(torch, tmp_path, family):
    folder = golden_t5.write_folder(tmp_path / family, family)
    ids = golden_t5.read_expected(family)["token_ids"]
    output = run(torch, folder, "AutoModelForCausalLM", input_ids=ids.astype("int64"))
    found = collect_weights(lmzoo.load(folder, dtype="float32"), {"token_ids": ids})
    compare(found["decoder"], output.attentions, np.ones(ids.shape, bool))


@pytest.mark.parametrize("family", golden_t5.FAMILIES)
def test_a_t5_looks_where_transformers_does(torch, tmp_path, family):
    folder = golden_t5.write_folder(tmp_path / family, family)
    generator = np.random.default_rng(0)
    source, target = generator.integers(2, 90, (2, 9)), generator.integers(2, 90, (2, 6))
    mask = np.arange(9) < [[9], [5]]
    given = {"input_ids": source, "attention_mask": mask.astype(int), "decoder_input_ids": target}
    output = run(torch, folder, "T5ForConditionalGeneration", **given)
    inputs = {
        "encoder_token_ids": source,
        "encoder_padding_mask": mask,
        "decoder_token_ids": target,
    }
    found = collect_weights(lmzoo.load(folder, dtype="float32"), inputs)
    compare(found["encoder"], output.encoder_attentions, mask)
    compare(found["decoder"], output.decoder_attentions, np.ones(target.shape, bool))
    compare(found["cross"], output.cross_attentions, np.ones(target.shape, bool))
