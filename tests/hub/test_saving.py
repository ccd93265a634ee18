import json
import pathlib
import resource
import shutil

import keras
import numpy as np
import pytest
import safetensors.numpy

import lmzoo
from tests.hub import golden_encoders, golden_t5

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"

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


def test_what_saves_memory_in_training_is_not_written(tmp_path, lm):
    backbone = type(lm.backbone)
    for gated in (False, True):  # As a GPT-2, and in a layout of lmzoo's own.
        config = {**lm.backbone.get_config(), "gated": gated}
        for name, options in (("plain", {}), ("saving", {"remat": True, "attention_chunks": 2})):
            task = lmzoo.tasks.CausalLM(backbone.from_config({**config, **options}))
            task.save_pretrained(tmp_path / f"{name} {gated}")
        plain, saving = (tmp_path / f"{one} {gated}/config.json" for one in ("plain", "saving"))
        assert saving.read_text() == plain.read_text()


def test_a_second_save_writes_the_same_files(tmp_path, lm):
    lm.save_pretrained(tmp_path / "a")
    lmzoo.load(tmp_path / "a").save_pretrained(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_shards_hold_what_one_file_holds_and_are_saved_again_byte_for_byte(tmp_path, lm):
    for name, size in (("one", "50GB"), ("many", "20KB")):
        lm.save_pretrained(tmp_path / name, shard_size=size)
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    one = safetensors.numpy.load_file(tmp_path / "one" / "model.safetensors")
    assert index["metadata"] == {"total_size": sum(array.nbytes for array in one.values())}
    many = {}
    for path in sorted((tmp_path / "many").glob("model-*.safetensors")):
        shard = safetensors.numpy.load_file(path)
        assert set(shard) == {n for n, file in index["weight_map"].items() if file == path.name}
        assert len(shard) == 1 or sum(array.nbytes for array in shard.values()) <= 20_000
        assert not many.keys() & shard.keys()
        many |= shard
    assert many.keys() == one.keys()
    assert all(np.array_equal(many[name], one[name]) for name in one)
    again = lmzoo.load(tmp_path / "many")
    again.save_pretrained(tmp_path / "again", shard_size=20_000)
    again.save_pretrained(tmp_path / "one again")
    assert read_all(tmp_path / "again") == read_all(tmp_path / "many")
    assert read_all(tmp_path / "one again") == read_all(tmp_path / "one")


FAMILIES = {
    "gpt2": lambda folder: shutil.copytree(GOLDEN / "gpt2", folder),
    "bert": lambda folder: golden_encoders.write_folder(folder, "bert", "ForMaskedLM"),
    "roberta": lambda folder: golden_encoders.write_folder(
        folder, "roberta", "ForSequenceClassification"
    ),
    "distilbert": lambda folder: golden_encoders.write_folder(
        folder, "distilbert", "ForQuestionAnswering"
    ),
    "embedder": lambda folder: golden_encoders.write_folder(folder, "bert", "Model"),
    "t5": lambda folder: golden_t5.write_folder(folder, "t5"),
    "flan_t5": lambda folder: golden_t5.write_folder(folder, "flan_t5"),
}


@pytest.mark.quick("flan_t5", "bert", "gpt2", "embedder")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_saved_in_shards_twice_the_same(tmp_path, family):
    FAMILIES[family](tmp_path / "given")
    task = lmzoo.load(tmp_path / "given")
    task.save_pretrained(tmp_path / "a", shard_size="25KB")
    files = read_all(tmp_path / "a")
    assert len(files) > 4
    given = safetensors.numpy.load_file(tmp_path / "given" / "model.safetensors")
    for name in files:
        if name.endswith(".safetensors"):
            for key, array in safetensors.numpy.load(files[name]).items():
                np.testing.assert_array_equal(array, given[key])
    lmzoo.load(tmp_path / "a").save_pretrained(tmp_path / "b", shard_size="25KB")
    assert read_all(tmp_path / "b") == files


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_opens_the_shards_of_every_family(tmp_path, family):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    FAMILIES[family](tmp_path / "given")
    lmzoo.load(tmp_path / "given").save_pretrained(tmp_path / "a", shard_size="25KB")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    kind = getattr(transformers, config["architectures"][0])
    model, report = kind.from_pretrained(tmp_path / "a", output_loading_info=True)
    wanted = kind.from_pretrained(tmp_path / "given").state_dict()
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    # A pooler that the class does not have is drawn anew on each side.
    missing = set(report["missing_keys"])
    assert all("pooler" in name for name in missing)
    found = model.state_dict()
    assert found.keys() == wanted.keys()
    for name in found.keys() - missing:
        assert torch.equal(found[name], wanted[name]), name


def read_all(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("given", [0, "5 things"])
def test_a_wrong_shard_size_leaves_the_folder_alone(tmp_path, lm, given):
    with pytest.raises(ValueError, match=f"`shard_size` must .*Received: shard_size={given!r}"):
        lm.save_pretrained(tmp_path / "a", shard_size=given)
    with pytest.raises(TypeError, match="`shard_size` must .*Received: shard_size=2.5 of type"):
        lm.save_pretrained(tmp_path / "a", shard_size=2.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["50GB", "30KB"])
def test_a_disk_that_is_full_in_the_middle_keeps_the_old_folder(tmp_path, lm, size):
    folder = tmp_path / "a"
    lm.save_pretrained(folder)
    before = read_all(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system itself refuses a file's bytes from here on, wherever they come from.
    resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large; nothing was changed: '{folder}'"):
            lm.save_pretrained(folder, overwrite=True, shard_size=size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_all(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.quick("float16", "bfloat16")
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
    (tmp_path / "a" / "vocab.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="`folder` must be new or empty. Received: .*a'"):
        lm.save_pretrained(tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["vocab.txt"]
    lm.save_pretrained(tmp_path / "a", overwrite=True)
    assert not (tmp_path / "a" / "vocab.txt").exists()
    lmzoo.load(golden).save_pretrained(tmp_path / "a", overwrite=True)
    assert not (tmp_path / "a" / "tokenizer.json").exists()


@pytest.mark.parametrize("size", ["50GB", "30KB"])
def test_transformers_opens_what_is_saved(tmp_path, lm, size):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    lm.save_pretrained(tmp_path / "a", shard_size=size)
    assert (tmp_path / "a" / "model.safetensors").exists() == (size == "50GB")
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
    assert lm.generate(TEXTS[0], max_new_tokens=12) == tokenizer.decode(
        greedy, skip_special_tokens=True
    )


def test_what_lora_has_learnt_is_saved_in_the_kernel(tmp_path, golden):
    lm = lmzoo.load(golden)
    layer = lm.backbone.blocks[1].feed_forward.output_dense
    before = layer.kernel.numpy()
    layer.enable_lora(2, lora_alpha=6)
    one, two = (part.numpy() for part in (layer.lora_kernel_a, layer.lora_kernel_b))
    two = two + np.random.default_rng(0).normal(size=two.shape).astype("float32")
    layer.lora_kernel_b.assign(two)
    lm.save_pretrained(tmp_path / "a")
    saved = safetensors.numpy.load_file(tmp_path / "a" / "model.safetensors")
    wanted = before + 6 / 2 * one @ two
    np.testing.assert_allclose(
        saved["transformer.h.1.mlp.c_proj.weight"], wanted, rtol=1e-6, atol=1e-6
    )
    assert saved.keys() == safetensors.numpy.load_file(golden / "model.safetensors").keys()
    # Nothing became of the task itself.
    inputs = {"token_ids": np.arange(30).reshape(2, 15)}
    assert layer.lora_enabled
    again = lmzoo.load(tmp_path / "a")
    np.testing.assert_allclose(again(inputs).numpy(), lm(inputs).numpy(), rtol=1e-5, atol=1e-5)


# Keras's own.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_quantized_weights_are_refused(tmp_path, golden):
    lm = lmzoo.load(golden)
    lm.backbone.blocks[0].feed_forward.intermediate.quantize("int8")
    with pytest.raises(ValueError, match="`task` must have .*Received: .*kernel_scale.* Save it"):
        lm.save_pretrained(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_layers_of_the_callers_own_are_not_left_behind_in_silence(tmp_path, lm):
    class Mine(lmzoo.tasks.CausalLM):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.extra = keras.layers.Dense(2, name="extra")
            self.extra.build([None, 48])

    with pytest.raises(ValueError, match="`task` must have .*Received: .*extra/bias, .*extra/kern"):
        Mine(lm.backbone, lm.tokenizer).save_pretrained(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def make_classifier(labels):
    backbone = lmzoo.models.BertBackbone(23, 1, 2, 8, 11, 12)
    return lmzoo.tasks.TextClassifier(backbone, labels=labels)


def test_ten_thousand_classes_come_back(tmp_path):
    labels = [f"a species, the {number}th" for number in range(10_000)]
    make_classifier(labels).save_pretrained(tmp_path / "a")
    assert lmzoo.load(tmp_path / "a").labels.names == tuple(labels)


def test_what_could_not_be_read_again_is_not_written(tmp_path, lm):
    labels = [f"a species, an order, the {number}th" for number in range(20_000)]
    message = "`task` must have .*Received: config.json must have at most .*a/config.json' with "
    with pytest.raises(ValueError, match=message):
        make_classifier(labels).save_pretrained(tmp_path / "a")
    given = lmzoo.tasks.CausalLM(lm.backbone, lm.tokenizer, generation_defaults={"top_k": 2**25})
    with pytest.raises(ValueError, match="`task` must have .*a/generation_.*top_k=33554432"):
        given.save_pretrained(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
