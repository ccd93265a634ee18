"""Tasks on encoders: from the folders of transformers, and to folders that it opens."""

import json
import pathlib

import numpy as np
import pytest

import lmzoo
from lmzoo import tasks
from lmzoo.models import BertBackbone
from tests.hub.golden_encoders import FAMILIES, HEADS, read_expected, read_folder, write_folder

WITH_TASKS = [head for head in HEADS if head != "Model"]
every_family = pytest.mark.parametrize("family", FAMILIES)
every_head = pytest.mark.parametrize("head", WITH_TASKS)
LABELS = ("bad", "so so", "good")
IDS = {"token_ids": np.arange(3, 21).reshape(2, 9), "padding_mask": np.arange(9) < [[9], [5]]}


def make_inputs(expected, pattern):
    names = ("token_ids", "segment_ids")
    inputs = {name: expected[name] for name in names if name in expected}
    return {**inputs, "padding_mask": expected[f"{pattern}/mask"]}


def make_backbone(**options):
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 11}
    options = {"initializer_range": 0.3, "max_sequence_length": 12, **options}
    return BertBackbone(23, **sizes, **options)


def disturb(task):
    """Gives each bias and norm a value of its own, so that a swapped one is seen."""
    random = np.random.default_rng(16)
    for variable in task.weights:
        if len(variable.shape) == 1 and variable.dtype == "float32":
            variable.assign_add(random.normal(size=variable.shape) * 0.3)
    return task


def read_files(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


@pytest.mark.quick(
    "ForSequenceClassification-bert",
    "ForTokenClassification-roberta",
    "ForQuestionAnswering-distilbert",
    "ForMaskedLM-roberta",
)
@every_family
@every_head
def test_a_folder_of_transformers_is_opened_and_saved_as_it_is(family, head, tmp_path):
    theirs = write_folder(tmp_path / "theirs", family, head)
    task = lmzoo.load(theirs)
    assert (type(task).__name__, task.tokenizer) == (HEADS[head], None)
    if head.endswith("Classification"):
        assert task.labels.names == LABELS
    expected = read_expected(family)
    inputs = make_inputs(expected, "middle")
    got, wanted = task(inputs).numpy(), expected[f"middle/{head}/logits"]
    if wanted.ndim == 3:
        got, wanted = got[inputs["padding_mask"]], wanted[inputs["padding_mask"]]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)

    task.save_pretrained(tmp_path / "a")
    ours = read_files(tmp_path / "a")
    assert ours["model.safetensors"] == (theirs / "model.safetensors").read_bytes()
    config, wanted = json.loads(ours["config.json"]), read_folder(family, head)[0]
    # What transformers leaves out or writes as null, and our own.
    for name in ("classifier_dropout", "problem_type", "lmzoo_task"):
        config.pop(name, None)
    assert config == {name: wanted[name] for name in config}


TASKS = {
    "masked": lambda **o: tasks.MaskedLM(make_backbone(**o), mask_rate=0.3, whole_word=True),
    "classifier": lambda **o: tasks.TextClassifier(make_backbone(**o), labels=LABELS, dropout=0.4),
    "multi-label": lambda **o: tasks.TextClassifier(
        make_backbone(**o), labels=LABELS, multi_label=True, sequence_length=7
    ),
    "other head": lambda **o: tasks.TextClassifier(
        make_backbone(**o), num_classes=2, head_activation="gelu"
    ),
    "tagger": lambda **o: tasks.TokenClassifier(make_backbone(**o), labels=["O", "B-A", "I-A"]),
    "answerer": lambda **o: tasks.QuestionAnswerer(
        make_backbone(**o), no_answer=True, no_answer_threshold=-1.5, stride=0, max_answer_tokens=4
    ),
}
BACKBONES = {
    "bert": {},
    "no pooler": {"pooler": False, "norm_epsilon": 1e-6},
    "roberta": {"num_segments": 1, "position_offset": 2, "pooler": False},
    "distilbert": {"num_segments": 0, "pooler": False},
    "gelu_tanh": {"num_segments": 1, "position_offset": 2, "activation": "gelu_tanh"},
    "ours": {"num_segments": 0, "activation": "tanh", "position_offset": 1},
}
FOREIGN = {"bert", "roberta", "distilbert"}


@pytest.mark.quick(
    "answerer-bert",
    "masked-ours",
    "classifier-no pooler",
    "other head-distilbert",
    "multi-label-roberta",
    "tagger-ours",
    "masked-gelu_tanh",
)
@pytest.mark.parametrize(
    ("kind", "backbone"),
    [
        *((kind, "bert") for kind in TASKS),
        *(("masked", backbone) for backbone in BACKBONES if backbone != "bert"),
        *(("classifier", "no pooler"), ("multi-label", "roberta"), ("other head", "distilbert")),
        *(("tagger", "ours"), ("answerer", "gelu_tanh")),
    ],
)
def test_any_task_comes_back_bit_for_bit(kind, backbone, tmp_path):
    task = disturb(TASKS[kind](**BACKBONES[backbone]))
    task.save_pretrained(tmp_path / "a")
    loaded = lmzoo.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded(IDS), task(IDS))
    ours, theirs = loaded.get_config(), task.get_config()
    for config in (ours, theirs):
        backbone = config.pop("backbone")["config"]
        # What a task does not use need not be there: a pooler without a head, "auto", a default.
        for name in ("name", "pooler"):
            backbone.pop(name)
        config["backbone"] = backbone
        config["name"] = None
        config.pop("head_activation", None)
        config.pop("dropout", None)
    assert ours == theirs
    if hasattr(task, "head") and hasattr(task.head, "dropout"):
        assert loaded.head.dropout == task.head.dropout
    loaded.save_pretrained(tmp_path / "b")
    assert read_files(tmp_path / "b") == read_files(tmp_path / "a")


@pytest.mark.parametrize(
    "make", [TASKS["classifier"], TASKS["answerer"], lambda: tasks.TextEmbedder(make_backbone())]
)
def test_a_class_of_the_callers_is_saved_as_what_it_is_made_of(make, tmp_path):
    task = make()
    task.save_pretrained(tmp_path / "a")
    task.__class__ = type("Mine", (type(task),), {})
    task.save_pretrained(tmp_path / "b")
    for path in (tmp_path / "a").rglob("*"):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.is_dir() or other.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize(
    ("kind", "options", "model_type"),
    [
        ("masked", "bert", "bert"),
        ("masked", "gelu_tanh", "lmzoo_bert"),
        ("masked", "ours", "lmzoo_bert"),
        ("classifier", "bert", "bert"),
        ("classifier", "no pooler", "lmzoo_bert"),
        ("classifier", "roberta", "roberta"),
        ("classifier", "distilbert", "lmzoo_bert"),
        ("other head", "bert", "lmzoo_bert"),
        ("tagger", "distilbert", "distilbert"),
        ("answerer", "gelu_tanh", "roberta"),
    ],
)
def test_transformers_is_not_promised_what_it_cannot_open(kind, options, model_type, tmp_path):
    TASKS[kind](**BACKBONES[options]).save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == model_type
    is_foreign = config["architectures"][0].startswith(tuple(FAMILIES.values()))
    assert is_foreign == (model_type in FOREIGN)


@pytest.fixture(scope="module")
def tokenizer():
    texts = ["a cat sat on the mat", "that hat, so good"] * 9
    return lmzoo.tokenizers.WordPieceTokenizer.train(iter(texts), vocabulary_size=60)


def test_a_word_piece_tokenizer_comes_with_the_task(tokenizer, tmp_path):
    backbone = BertBackbone(tokenizer.vocabulary_size, 1, 2, 8, 11, 16, initializer_range=0.3)
    task = tasks.TextClassifier(backbone, tokenizer, labels=LABELS)
    task.save_pretrained(tmp_path / "a")
    loaded = lmzoo.load(tmp_path / "a")
    assert type(loaded.tokenizer) is type(tokenizer)
    texts = ["that cat", "so good"]
    got, wanted = loaded.tokenizer.tokenize(texts), tokenizer.tokenize(texts)
    assert got.to_list() == wanted.to_list()
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["pad_token_id"] == tokenizer.pad_token_id


@pytest.mark.parametrize(
    ("offset", "model_type"),
    # transformers counts no position for the id before the first: padding, unknown, start.
    [(1, "roberta"), (2, "lmzoo_bert"), (3, "lmzoo_bert"), (9, "lmzoo_bert"), (60, "roberta")],
)
def test_a_roberta_s_padding_is_nothing_that_a_text_gives(
    tokenizer, offset, model_type, tmp_path, eagerly
):
    assert [tokenizer.id_to_token(n) for n in range(3)] == ["[PAD]", "[UNK]", "[CLS]"]
    options = {"position_offset": offset, "num_segments": 1, "pooler": False}
    backbone = BertBackbone(tokenizer.vocabulary_size, 1, 2, 8, 11, 16, **options)
    task = tasks.TextEmbedder(backbone, tokenizer)
    task.save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == model_type
    again = lmzoo.load(tmp_path / "a")
    np.testing.assert_array_equal(again.embed(["a zebra"]), task.embed(["a zebra"]))


@every_family
def test_a_backbone_alone_is_an_embedder(family, tmp_path):
    embedder = lmzoo.load(write_folder(tmp_path / "a", family, "Model"))
    expected = read_expected(family)
    inputs = make_inputs(expected, "middle")
    hidden, real = expected["middle/hidden"][-1], inputs["padding_mask"][..., None]
    mean = np.where(real, hidden, 0).sum(1) / real.sum(1)
    wanted = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder(inputs), wanted, rtol=1e-5, atol=1e-5)


@every_family
def test_a_head_of_numbers_is_a_regressor(family, tmp_path):
    theirs = write_folder(
        tmp_path / "a", family, "ForSequenceClassification", problem_type="regression"
    )
    regressor = lmzoo.load(theirs)
    assert isinstance(regressor, tasks.TextRegressor)
    assert regressor.num_targets == 3
    expected = read_expected(family)
    logits = expected["middle/ForSequenceClassification/logits"]
    np.testing.assert_allclose(regressor(make_inputs(expected, "middle")), logits, 1e-5, 1e-5)
    regressor.save_pretrained(tmp_path / "b")
    assert (
        read_files(tmp_path / "b")["model.safetensors"] == read_files(theirs)["model.safetensors"]
    )
    assert json.loads((tmp_path / "b" / "config.json").read_text())["problem_type"] == "regression"


def test_one_label_is_a_number(tmp_path):
    tasks.TextRegressor(make_backbone()).save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    del config["problem_type"]
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    assert lmzoo.load(tmp_path / "a").num_targets == 1


def test_what_an_embedder_does_is_kept(tmp_path):
    arguments = {"pooling": "cls", "normalize": False, "scale": 7.0, "sequence_length": 9}
    tasks.TextEmbedder(make_backbone(), **arguments).save_pretrained(tmp_path / "a")
    config = lmzoo.load(tmp_path / "a").get_config()
    assert {name: config[name] for name in arguments} == arguments


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden_layers": 10**9}, "`num_hidden_layers` must .*=1000000000"),
        ({"num_attention_heads": 5}, "num_heads=5, hidden_dim=48"),
        ({"architectures": ["BertForNextSentencePrediction"]}, "`architectures` must begin"),
        (
            {"id2label": {"0": "a"}, "problem_type": "multi_label_classification"},
            "at least two classes.*id2label={'0': 'a'}",
        ),
        ({"problem_type": "guess"}, "`problem_type` must .*=.guess"),
        ({"lmzoo_task": {"sequence_length": 41}}, "`sequence_length` must .*=41"),
        ({"lmzoo_task": {"mask_rate": 0.5}}, "`lmzoo_task` must .*mask_rate"),
        ({"lmzoo_task": {"pooling": "sum"}}, "`pooling` must be one of .*=.sum"),
        ({"lmzoo_task": []}, r"`lmzoo_task` must .*Received: \[\]"),
        ({"id2label": {str(i): str(i) for i in range(9)}}, r"classifier.* \(9, 48\)|\(9,\)"),
    ],
    ids=str,
)
def test_a_config_that_cannot_be_is_refused_before_any_allocation(
    fields, message, tmp_path, monkeypatch
):
    folder = write_folder(tmp_path / "a", "bert", "ForSequenceClassification", **fields)
    monkeypatch.setattr("lmzoo.hub.loading._build_empty", None)
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)


@every_family
@every_head
def test_transformers_opens_what_is_saved(family, head, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    options = {"bert": {}, **{name: BACKBONES[name] for name in ("roberta", "distilbert")}}[family]
    activation = {"bert": None, "roberta": "tanh", "distilbert": "relu"}[family]
    backbone = make_backbone(**options)
    make = {
        "ForMaskedLM": lambda: tasks.MaskedLM(backbone),
        "ForSequenceClassification": lambda: tasks.TextClassifier(
            backbone, labels=LABELS, head_activation=activation
        ),
        "ForTokenClassification": lambda: tasks.TokenClassifier(backbone, labels=LABELS),
        "ForQuestionAnswering": lambda: tasks.QuestionAnswerer(backbone),
    }
    task = disturb(make[head]())
    task.save_pretrained(tmp_path / "a")
    kind = getattr(transformers, FAMILIES[family] + head)
    model, report = kind.from_pretrained(tmp_path / "a", output_loading_info=True)
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[name], name
    inputs = {"input_ids": torch.from_numpy(IDS["token_ids"])}
    inputs["attention_mask"] = torch.from_numpy(IDS["padding_mask"].astype("int64"))
    with torch.no_grad():
        output = model.eval()(**inputs)
    if head == "ForQuestionAnswering":
        wanted = np.stack([output.start_logits, output.end_logits], axis=-1)
    else:
        wanted = output.logits.numpy()
    got = task(IDS).numpy()
    if wanted.ndim == 3:
        got, wanted = got[IDS["padding_mask"]], wanted[IDS["padding_mask"]]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    if head.endswith("Classification"):
        assert tuple(model.config.id2label.values()) == LABELS
