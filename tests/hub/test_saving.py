import json

import numpy as np
import pytest
import safetensors.numpy

import lmzoo

TEXTS = ["a cat sat on the mat", "that hat", "", "naïve 猫 🙂", "  two  spaces\n\n"]


@pytest.fixture(scope="module")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(["a cat, that hat"] * 9), 270)
    backbone = lmzoo.models.GPTBackbone(
        tokenizer.vocabulary_size,
        num_layers=2,
        num_heads=4,
        hidden_dim=48,
        intermediate_dim=37,
        max_sequence_length=40,
        initializer_range=0.3,
    )
    for variable in backbone.weights:
        if len(variable.shape) == 1:
            variable.assign_add(np.random.default_rng(1).normal(size=variable.shape) * 0.3)
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


def test_the_golden_model_is_saved_with_the_same_bytes_of_every_tensor(tmp_path, golden):
    lmzoo.load(golden).save_pretrained(tmp_path / "a")
    saved = (tmp_path / "a" / "model.safetensors").read_bytes()
    assert saved == (golden / "model.safetensors").read_bytes()


def test_the_config_says_what_that_of_transformers_says(tmp_path, golden):
    lmzoo.load(golden).save_pretrained(tmp_path / "a")
    ours = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    theirs = json.loads((golden / "config.json").read_text(encoding="utf-8"))
    # Each of our keys is one of theirs, with the same value.
    assert ours == {name: theirs[name] for name in ours}
    left = set(theirs) - set(ours)
    assert left <= {
        *("add_cross_attention", "bos_token_id", "eos_token_id", "pad_token_id", "use_cache"),
        *("reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx", "scale_attn_weights"),
        *(name for name in theirs if name.startswith("summary_")),
        "transformers_version",
    }


def test_a_second_save_writes_the_same_files(tmp_path, lm):
    lm.save_pretrained(tmp_path / "a")
    lmzoo.load(tmp_path / "a").save_pretrained(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16", "mixed_bfloat16"])
def test_weights_are_saved_in_the_dtype_they_have(tmp_path, golden, dtype):
    lm = lmzoo.load(golden, dtype=dtype)
    lm.save_pretrained(tmp_path / "a")
    variables = lm.backbone.variable_dtype
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == variables
    tensors = safetensors.numpy.load_file(tmp_path / "a" / "model.safetensors")
    assert {array.dtype.name for array in tensors.values()} == {variables}
    again = lmzoo.load(tmp_path / "a", dtype=dtype)
    inputs = {"token_ids": np.arange(30).reshape(2, 15)}
    np.testing.assert_array_equal(again(inputs).numpy(), lm(inputs).numpy())


def test_an_existing_folder_is_refused_unless_it_may_be_replaced(tmp_path, lm, golden):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="`folder` must be new or empty. Received: .*a'"):
        lm.save_pretrained(tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine.txt"]
    lm.save_pretrained(tmp_path / "a", overwrite=True)
    assert not (tmp_path / "a" / "mine.txt").exists()
    lmzoo.load(golden).save_pretrained(tmp_path / "a", overwrite=True)
    assert not (tmp_path / "a" / "tokenizer.json").exists()


def test_transformers_opens_what_is_saved(tmp_path, lm):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    lm.save_pretrained(tmp_path / "a")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "a", output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], kind
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == lm.tokenizer.tokenize(text).numpy().tolist()
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted = model.eval()(ids).logits.numpy()
        greedy = model.generate(ids, max_new_tokens=12, do_sample=False)[0].tolist()
    got = lm({"token_ids": ids.numpy()}).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    assert lm.generate(TEXTS[0], max_new_tokens=12) == tokenizer.decode(greedy)
