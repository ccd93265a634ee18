import gc
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

import lmzoo
from lmzoo.hub import loading
from lmzoo.hub.families import list_model_types
from lmzoo.hub.files.tokenizers import load_tokenizer
from lmzoo.hub.model_variables import variables_by_path
from tests.hub.fake_hub import NAME
from tests.hub.golden_encoders import write_folder as write_encoder
from tests.speed import scale_limit

WTE, HEAD = "transformer.wte.weight", "lm_head.weight"
CHILD = """
import hashlib, json, sys
import numpy as np
import lmzoo

lm = lmzoo.load(sys.argv[1])
digest = hashlib.sha256()
for variable in sorted(lm.backbone.weights, key=lambda variable: variable.path.split("/", 1)[1]):
    digest.update(variable.numpy().tobytes())
digest.update(lm({"token_ids": np.arange(30).reshape(2, 15)}).numpy().tobytes())
print("digest", digest.hexdigest())
"""


@pytest.fixture
def no_backbone(monkeypatch):
    """Fails the test if a backbone is built: what is refused is refused before."""

    def build(spec, *rest):
        raise AssertionError(f"a backbone was built with {spec.arguments}")

    monkeypatch.setattr(loading, "_build_empty", build)


def digest_of(lm):
    digest = hashlib.sha256()
    variables = variables_by_path(lm.backbone)
    for path in sorted(variables):
        digest.update(variables[path].numpy().tobytes())
    digest.update(lm({"token_ids": np.arange(30).reshape(2, 15)}).numpy().tobytes())
    return digest.hexdigest()


def test_a_new_process_loads_the_same_bits(tmp_path, golden):
    lm = lmzoo.load(golden)
    lm.save_pretrained(tmp_path / "a")
    root = pathlib.Path(lmzoo.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "a"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.split()[-2:] == ["digest", digest_of(lm)]


TWO_DEVICES = """
import sys
import numpy as np, tensorflow as tf
import lmzoo

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy, one = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), lmzoo.load(sys.argv[1])
with strategy.scope():
    two = lmzoo.load(sys.argv[1])
for wanted, variable in zip(one.backbone.weights, two.backbone.weights, strict=True):
    replicas = strategy.experimental_local_results(variable.value)
    print("replicas", len(replicas))
    for replica in replicas:
        np.testing.assert_array_equal(replica.numpy(), wanted.numpy())
# The replicas' values are not one memory.
strategy.experimental_local_results(variable.value)[0].assign_add(tf.ones_like(wanted))
np.testing.assert_array_equal(
    strategy.experimental_local_results(variable.value)[1].numpy(), wanted.numpy()
)
"""


@pytest.mark.slow
def test_two_devices_have_the_same_values_each_its_own(golden):
    child = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, golden],
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(lmzoo.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["replicas", "2"] * 40


def test_a_backbone_left_empty_has_all_its_values(golden):
    tensors = safetensors.numpy.load_file(golden / "model.safetensors")
    variables = variables_by_path(lmzoo.load(golden).backbone)
    assert sum(array.size for array in tensors.values()) == sum(
        variable.numpy().size for variable in variables.values()
    )
    values = np.sort(np.concatenate([v.numpy().ravel() for v in variables.values()]))
    wanted = np.sort(np.concatenate([array.ravel() for array in tensors.values()]))
    np.testing.assert_array_equal(values, wanted)


@pytest.mark.quick("bfloat16-*", "mixed_float16-*", "None-*")
@pytest.mark.parametrize(
    ("dtype", "variables", "tolerance"),
    [
        (None, "float32", 0),
        ("float64", "float64", 1e-5),
        ("mixed_bfloat16", "float32", 0.1),
        ("mixed_float16", "float32", 0.02),
        ("bfloat16", "bfloat16", 0.1),
        ("float16", "float16", 0.02),
    ],
)
def test_every_policy_loads_and_stays_near(golden, dtype, variables, tolerance):
    lm = lmzoo.load(golden, dtype=dtype)
    assert {v.dtype for v in lm.backbone.weights} == {variables}
    inputs = {"token_ids": np.arange(30).reshape(2, 15)}
    exact, got = lmzoo.load(golden)(inputs).numpy(), lm(inputs).numpy()
    assert np.all(np.isfinite(got))
    # Relative to the spread of the logits, which half precision sums over 48 terms and 3 layers.
    assert np.max(np.abs(got - exact)) <= tolerance * np.std(exact)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_another_width_are_read_exactly(edit_golden, golden, dtype):
    kept = {}

    def cast(tensors):
        for name, array in tensors.items():
            kept[name] = tensors[name] = array.astype(tf.as_dtype(dtype).as_numpy_dtype)

    lm = lmzoo.load(edit_golden(cast))
    table = lm.backbone.token_embedding.embeddings.numpy()
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, kept[WTE].astype(np.float32))


def test_a_weight_that_overflows_the_policy_is_refused(edit_golden):
    def enlarge(tensors):
        tensors["transformer.ln_f.bias"][3] = 70_000

    folder = edit_golden(enlarge)
    with pytest.raises(
        ValueError, match="ln_f.bias.* must fit `dtype`. Received: 7e[+]04 for float"
    ):
        lmzoo.load(folder, dtype="float16")
    lmzoo.load(folder, dtype="mixed_float16")


@pytest.mark.parametrize(
    ("stored", "value", "dtype", "remedy"),
    [
        # As wide as float16, and with a longer reach.
        ("bfloat16", 70_000, "float16", "Load it as 'mixed_float16'"),
        ("float64", 1e300, "float32", "Load it as 'float64'"),
        ("float64", 1e300, "float16", "Load it as 'float64'"),
    ],
)
def test_the_policy_that_a_weight_fits_is_named(edit_golden, stored, value, dtype, remedy):
    def enlarge(tensors):
        name = "transformer.h.0.attn.c_attn.weight"
        tensors[name] = tensors[name].astype(tf.as_dtype(stored).as_numpy_dtype)
        tensors[name][3, 5] = value

    folder = edit_golden(enlarge)
    with pytest.raises(ValueError, match=f"attn.weight.* must fit `dtype`. Received: .*{remedy}"):
        lmzoo.load(folder, dtype=dtype)
    lmzoo.load(folder, dtype=remedy.split("'")[1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "mixed_bfloat16"])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_weights_that_are_not_finite_are_refused_when_loaded(edit_golden, bad, dtype):
    def spoil(tensors):
        tensors["transformer.ln_f.bias"][2] = bad

    message = "'transformer.ln_f.bias' in .* must hold finite values. .* an earlier checkpoint"
    with pytest.raises(ValueError, match=message):
        lmzoo.load(edit_golden(spoil), dtype=dtype)


def test_weights_that_are_not_finite_are_refused_when_saved(golden, tmp_path):
    lm = lmzoo.load(golden)
    lm.backbone.final_norm.beta.assign(np.full(48, np.nan))
    with pytest.raises(
        ValueError, match="NaN or infinity in 'transformer.ln_f.bias'. Save an earl"
    ):
        lm.save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "dtype",
    [
        *("float33", "", 32, ["float32"], "mixed_x"),
        *("int32", "bool", "complex64", "int8_from_float32"),
    ],
)
def test_an_unknown_policy_is_refused(golden, dtype):
    with pytest.raises(ValueError) as caught:
        lmzoo.load(golden, dtype=dtype)
    assert str(caught.value).startswith("`dtype` must name a Keras dtype policy")
    assert f"Received: dtype={dtype!r}." in str(caught.value)


# Tensors


def rename(tensors):
    tensors["transformer.h.0.attn.c_atn.weight"] = tensors.pop("transformer.h.0.attn.c_attn.weight")


def add(tensors):
    tensors["transformer.h.3.ln_1.bias"] = np.zeros(48, np.float32)


def climb(tensors):
    tensors["../x"] = np.zeros(48, np.float32)


def transpose(tensors):
    name = "transformer.h.1.mlp.c_fc.weight"
    tensors[name] = tensors[name].T.copy()


def cut(tensors):
    tensors["transformer.wpe.weight"] = tensors["transformer.wpe.weight"][:63].copy()


def flatten(tensors):
    tensors[WTE] = tensors[WTE].reshape(-1)


def quantize(tensors):
    tensors[WTE] = tensors[WTE].astype(np.int8)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda tensors: tensors.pop("transformer.ln_f.bias"),
            ["Missing: 'transformer.ln_f.bias'"],
        ),
        (lambda tensors: tensors.pop(WTE), ["Missing: 'transformer.wte.weight'"]),
        (lambda tensors: tensors.clear(), ["Missing: ", " and 35 more"]),
        (
            rename,
            ["Missing: 'transformer.h.0.attn.c_attn.weight'", "not expected: 'transformer.h.0."],
        ),
        (add, ["Missing: none; not expected: 'transformer.h.3.ln_1.bias'"]),
        (climb, ["not expected: '../x'"]),
        (transpose, ["'transformer.h.1.mlp.c_fc.weight'", "(48, 37)", "Received: (37, 48)"]),
        (cut, ["'transformer.wpe.weight'", "(64, 48)", "Received: (63, 48)"]),
        (flatten, ["'transformer.wte.weight'", "(101, 48)", "Received: (4848,)"]),
        (quantize, ["'transformer.wte.weight'", "dtypes F64, F32, BF16, F16", "Received: I8"]),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(edit_golden, no_backbone, change, parts):
    with pytest.raises(ValueError) as caught:
        lmzoo.load(edit_golden(change))
    assert all(part in str(caught.value) for part in [*parts, "model.safetensors"])


def test_the_published_names_without_a_prefix_and_old_masks_are_read(edit_golden, golden):
    def publish(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        tensors["h.0.attn.bias"] = np.tril(np.ones((1, 1, 64, 64), np.uint8))
        tensors["h.0.attn.masked_bias"] = np.array(-1e4, np.float32)

    assert digest_of(lmzoo.load(edit_golden(publish))) == digest_of(lmzoo.load(golden))


# The head of a tied model: beside the embeddings or in their place


def test_a_tied_head_stored_twice_must_be_equal(edit_golden, golden, no_backbone):
    def copy(tensors):
        tensors[HEAD] = tensors[WTE].copy()

    def disturb(tensors):
        copy(tensors)
        tensors[HEAD][7, 3] += 1e-3

    with pytest.raises(ValueError, match="'lm_head.weight' and 'transformer.wte.weight'.*be equal"):
        lmzoo.load(edit_golden(disturb))
    with pytest.raises(AssertionError, match="a backbone was built"):
        lmzoo.load(edit_golden(copy))


def test_a_tied_head_stored_twice_is_the_same_model(edit_golden, golden):
    def copy(tensors):
        tensors[HEAD] = tensors[WTE].copy()

    def move(tensors):
        tensors[HEAD] = tensors.pop(WTE)

    for change in (copy, move):
        assert digest_of(lmzoo.load(edit_golden(change))) == digest_of(lmzoo.load(golden))


def test_a_tied_head_of_another_shape_is_refused(edit_golden, no_backbone):
    def widen(tensors):
        tensors[HEAD] = np.zeros((102, 48), np.float32)

    with pytest.raises(ValueError, match=r"'lm_head.weight'.*\(101, 48\).*Received: \(102, 48\)"):
        lmzoo.load(edit_golden(widen))


def test_names_of_shared_tensors_in_the_header_change_nothing(edit_golden, golden, tmp_path):
    folder = edit_golden()
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    metadata = {"format": "pt", HEAD: WTE}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata)
    assert digest_of(lmzoo.load(folder)) == digest_of(lmzoo.load(golden))


def test_an_untied_head_must_be_there_and_is_used(edit_golden, golden, no_backbone):
    with pytest.raises(ValueError, match="Missing: 'lm_head.weight'"):
        lmzoo.load(edit_golden(tie_word_embeddings=False))


# Folders and configs


def test_what_is_no_model_folder_is_refused(tmp_path, golden):
    for source in (tmp_path / "absent", tmp_path, golden / "config.json"):
        with pytest.raises(FileNotFoundError, match=f"a config.json.*{source.name}"):
            lmzoo.load(source)


def test_pickled_weights_are_not_read(edit_golden, no_backbone):
    folder = edit_golden()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="edited', which has 'pytorch_model.bin'.*Pickles"):
        lmzoo.load(folder)


def test_a_pickle_under_the_right_name_is_refused(edit_golden, no_backbone):
    folder = edit_golden()
    (folder / "model.safetensors").write_bytes(b"\x80\x04cposix\nsystem\n(S'true'\ntR." * 9)
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        lmzoo.load(folder)


def test_a_model_on_the_hub_is_opened_at_its_revision(hub, golden):
    files = {name: (golden / name).read_bytes() for name in ("config.json", "model.safetensors")}
    commit = hub.publish(files)
    hub.publish({**files, "config.json": b'{"model_type": "bart"}'})
    lm = lmzoo.load(f"hf://{NAME}", revision=commit)
    assert digest_of(lm) == digest_of(lmzoo.load(golden))
    with pytest.raises(ValueError, match="Received: model_type='bart'"):
        lmzoo.load(f"hf://{NAME}")
    with pytest.raises(FileNotFoundError, match="revision='v2'"):
        lmzoo.load(f"hf://{NAME}", revision="v2")


@pytest.mark.parametrize("model_type", ["bart", "", None, 3, ["gpt2"], {"gpt2": 1}, "os.path"])
def test_an_unknown_model_type_lists_the_known_ones(edit_golden, no_backbone, model_type):
    with pytest.raises(ValueError) as caught:
        lmzoo.load(edit_golden(model_type=model_type))
    assert f"`model_type` must be one of {', '.join(list_model_types())}." in str(caught.value)
    assert f"Received: model_type={model_type!r} in" in str(caught.value)


def measure_refusal(folder, message):
    """The least seconds of this thread's own work in three tries.

    Without the garbage collector, whose walk over all that other tests have left takes longer.
    """
    seconds = []
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(3):
            start = time.thread_time()
            with pytest.raises(ValueError, match=message):
                lmzoo.load(folder)
            seconds.append(time.thread_time() - start)
    finally:
        (gc.enable if was_enabled else gc.disable)()
    return min(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b'{"n_layer": 3', "must be JSON"),
        (b"\xff\xfe{}", "must be UTF-8"),
        (b"[]", "must hold a JSON object"),
        (b'"gpt2"', "must hold a JSON object"),
        (b'{"n_layer": 1, "n_layer": 2}', "'n_layer' stands twice"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "must be JSON"),
        (b" " * (2**21 + 1), "at most 2097152 bytes. Received: .*with 2097153"),
    ],
    ids=range(9),
)
def test_a_config_that_is_no_object_of_json_is_refused(edit_golden, no_backbone, text, message):
    folder = edit_golden()
    (folder / "config.json").write_bytes(text)
    assert measure_refusal(folder, f"config.json.*{message}") < scale_limit(0.1, time.thread_time)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"n_layer": 10**9},
            "`n_layer` must be an integer from 1 to 1024. Received: n_layer=10000000",
        ),
        ({"n_embd": -48}, "`n_embd` must .*Received: n_embd=-48"),
        (
            {"n_head": 5},
            "`num_heads` must divide `hidden_dim`. Received: num_heads=5, hidden_dim=48",
        ),
        ({"vocab_size": 2**24}, r"wte.weight.*\(16777216, 48\).*Received: \(101, 48\)"),
        ({"n_layer": 1024}, "Missing: 'transformer.h.10.attn.c_attn.bias'"),
        ({"layer_norm_epsilon": float("nan")}, "`layer_norm_epsilon` must .*=nan"),
        ({"activation_function": "tensorflow.io.write_file"}, "`activation_function` must be one"),
    ],
    ids=str,
)
def test_a_config_bomb_is_refused_before_any_allocation(edit_golden, no_backbone, fields, message):
    folder = edit_golden(**fields)
    assert measure_refusal(folder, message) < scale_limit(0.1, time.thread_time)


# Tokenizers


@pytest.fixture(scope="module")
def tokenizers():
    text = ["a cat sat on the mat, that cat"] * 20
    sizes = {"fits": 257, "too large": 270}
    return {
        name: lmzoo.tokenizers.BytePairTokenizer.train(iter(text), size)
        for name, size in sizes.items()
    }


def make_folder(folder, tokenizer):
    backbone = lmzoo.models.GPTBackbone(
        260, num_layers=1, num_heads=2, hidden_dim=8, max_sequence_length=16
    )
    lmzoo.tasks.CausalLM(backbone).save_pretrained(folder)
    tokenizer.save(folder)


def test_a_tokenizer_comes_with_the_model(tmp_path, tokenizers):
    make_folder(tmp_path / "a", tokenizers["fits"])
    lm = lmzoo.load(tmp_path / "a")
    assert lm.tokenizer.tokenize("a cat").numpy().tolist() == (
        tokenizers["fits"].tokenize("a cat").numpy().tolist()
    )
    assert isinstance(lm.generate("a cat", max_new_tokens=3), str)


def test_without_tokenizer_files_the_task_works_on_ids(golden):
    lm = lmzoo.load(golden)
    assert lm.tokenizer is None
    assert len(lm.generate([[1, 2, 3]], max_new_tokens=4)[0]) in (4, 7)


def test_a_tokenizer_that_is_larger_than_the_model_is_refused(tmp_path, tokenizers, no_backbone):
    shutil.copytree(tmp_path, tmp_path / "a", dirs_exist_ok=True)
    tokenizers["too large"].save(tmp_path / "a")
    (tmp_path / "a" / "config.json").write_text("{}")
    found = tokenizers["too large"].vocabulary_size
    with pytest.raises(ValueError, match=f"Received: {found} words in .*config.json says 260"):
        load_tokenizer(tmp_path / "a", 260)


def test_a_broken_tokenizer_is_refused(tmp_path, tokenizers, no_backbone):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="tokenizer.json must be JSON"):
        load_tokenizer(tmp_path / "a", 260)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(golden, edit_golden, enabled):
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        lmzoo.load(golden)
        assert gc.isenabled() == enabled
        with pytest.raises(TypeError, match="takes no argument `nonsense`. Received: nonsense=1"):
            lmzoo.load(golden, nonsense=1)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


@pytest.mark.quick("bert")
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_other_labels_give_a_fresh_head_if_the_task_is_named(tmp_path, family):
    folder = write_encoder(tmp_path / "a", family, "ForSequenceClassification")
    own = lmzoo.load(folder)
    labels = [*own.labels.names, "one more"]
    fresh = "has another head and no weights for head/output of TextClassifier. They are random"
    with pytest.warns(UserWarning, match=fresh) as caught:
        other = lmzoo.load(folder, task="TextClassifier", labels=labels)
    assert len(caught) == 1 and list(other.labels.names) == labels
    for mine, theirs in zip(other.backbone.weights, own.backbone.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # What fits is kept, as `ignore_mismatched_sizes` of transformers does.
    kept = [
        pair
        for pair in zip(other.head.weights, own.head.weights, strict=True)
        if pair[0].shape == pair[1].shape
    ]
    assert len(kept) == (0 if family == "bert" else 2)
    for mine, theirs in kept:
        np.testing.assert_array_equal(mine, theirs)
    logits = other({"token_ids": np.array([[1, 5, 2]])}).numpy()
    assert logits.shape == (1, len(labels)) and np.isfinite(logits).all()
    with pytest.raises(ValueError, match="For a fresh head, pass task='TextClassifier' too."):
        lmzoo.load(folder, labels=labels)


def test_a_config_without_architectures_is_told_of_the_task(tmp_path):
    folder = write_encoder(tmp_path / "a", "bert", "ForMaskedLM", architectures=None)
    with pytest.raises(ValueError, match="Received: architectures=None. Pass `task`, the class"):
        lmzoo.load(folder)
    assert type(lmzoo.load(folder, task="MaskedLM")) is lmzoo.tasks.MaskedLM
