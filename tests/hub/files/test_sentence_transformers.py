"""Folders of sentence-transformers: how they pool is read from them and written to them."""

import json

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

import lmzoo
from lmzoo.hub.files.sentence_transformers import apply_lower_case, read_embedder_config
from lmzoo.models import BertBackbone
from lmzoo.tasks import TextEmbedder
from lmzoo.tokenizers import WordPieceTokenizer
from tests.hub.golden_encoders import FAMILIES, read_expected, write_folder

every_family = pytest.mark.parametrize("family", FAMILIES)
OLD = {
    "word_embedding_dimension": 48,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}
NEW = {"embedding_dimension": 48, "pooling_mode": "mean", "include_prompt": True}
PACKAGE = "sentence_transformers.models."
DENSE = {
    "in_features": 48,
    "out_features": 5,
    "bias": True,
    "activation_function": "torch.nn.modules.activation.Tanh",
}
NEW_NAMES = {
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}


def make_modules(*kinds, names=None):
    names = names or {kind: PACKAGE + kind for kind in kinds}
    return [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": names[kind]}
        for i, kind in enumerate(kinds)
    ]


def add_files(folder, modules, pooling=OLD, **files):
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def pool_by_definition(hidden, mask, pooling, normalize):
    rows = []
    for states, real in zip(hidden.astype("float64"), mask, strict=True):
        states = states[real]
        rows.append({"cls": states[0], "mean": states.mean(0), "max": states.max(0)}[pooling])
        if normalize:
            rows[-1] = rows[-1] / np.sqrt(np.sum(rows[-1] ** 2))
    return np.stack(rows)


@pytest.mark.quick(
    "True-mean-bert", "False-max-distilbert", "True-cls-roberta", "False-mean-roberta"
)
@every_family
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pooling_and_normalisation_are_read(family, pooling, normalize, tmp_path):
    folder = write_folder(tmp_path / "a", family, "Model")
    kinds = ["Transformer", "Pooling", *["Normalize"] * normalize]
    if normalize:
        marks = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
        config = {**OLD, "pooling_mode_mean_tokens": pooling == "mean"}
        if pooling in marks:
            config[marks[pooling]] = True
        add_files(folder, make_modules(*kinds), config)
    else:
        add_files(folder, make_modules(*kinds, names=NEW_NAMES), {**NEW, "pooling_mode": pooling})
    embedder = lmzoo.load(folder)
    assert type(embedder) is TextEmbedder
    expected = read_expected(family)
    mask = expected["middle/mask"]
    names = [name for name in ("token_ids", "segment_ids") if name in expected]
    inputs = {name: expected[name] for name in names}
    found = embedder({**inputs, "padding_mask": mask}).numpy()
    hidden = embedder.backbone({**inputs, "padding_mask": mask})["sequence_output"].numpy()
    wanted = pool_by_definition(hidden, mask, pooling, normalize)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_the_class_that_the_config_names_does_not_matter(tmp_path):
    # Published ones name the masked language model that they were made of, without its head.
    folder = write_folder(tmp_path / "a", "roberta", "Model", architectures=["RobertaForMaskedLM"])
    add_files(folder, make_modules("Transformer", "Pooling"))
    assert type(lmzoo.load(folder)) is TextEmbedder


LENGTH_FILES = [
    *("sentence_bert_config", "sentence_roberta_config", "sentence_distilbert_config"),
    *("sentence_camembert_config", "sentence_albert_config", "sentence_xlm-roberta_config"),
    "sentence_xlnet_config",
]


@pytest.mark.parametrize(
    ("files", "length"),
    [
        *(({name: {"max_seq_length": 7, "do_lower_case": False}}, 7) for name in LENGTH_FILES),
        # The first one that is not empty counts, whatever it holds.
        ({"sentence_bert_config": {}, "sentence_roberta_config": {"max_seq_length": 7}}, 7),
        ({name: {"max_seq_length": 7 + i} for i, name in enumerate(LENGTH_FILES)}, 7),
        (
            {
                "sentence_bert_config": {"do_lower_case": False},
                "sentence_roberta_config": {"max_seq_length": 7},
            },
            None,
        ),
        ({"sentence_bert_config": {"max_seq_length": None}}, None),
        ({"sentence_bert_config": {"max_seq_length": 512}}, 512),
        ({"sentence_bert_config": {}, "tokenizer_config": {"model_max_length": 9}}, 9),
        ({"tokenizer_config": {"model_max_length": 10**30}}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_longest_text_is_read(files, length, tmp_path):
    add_files(tmp_path, make_modules("Transformer", "Pooling"), NEW, **files)
    config = read_embedder_config(tmp_path)
    assert config.sequence_length == length
    arguments = {"hidden_dim": 48, "max_sequence_length": 40}
    found = config.make_options(arguments).get("sequence_length")
    assert found == (length if length is not None and length < 40 else None)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (make_modules("Transformer"), "must list a Transformer, a Pooling"),
        (make_modules("Pooling", "Transformer"), "must list a Transformer, a Pooling"),
        (make_modules("Transformer", "Pooling", "Pooling"), "must list a Transformer"),
        (make_modules("Transformer", "Pooling", "Dense", "Dense"), "Received: .*3_Dense"),
        (make_modules("Transformer", "Pooling", "Normalize", "Dense"), "Received: .*3_Dense"),
        (
            [*make_modules("Transformer", "Pooling"), {"path": "3_Dense", "type": "x.Dense"}],
            "Received: .*3_Dense",
        ),
        ([{"path": "../../etc", "type": PACKAGE + "Transformer"}], "Received: .*etc"),
        ([{"path": "/tmp", "type": PACKAGE + "Transformer"}], "Received: .*/tmp"),
        ([3, None], r"Received: \[3, None\]"),
        ({"a": 1}, "must hold a JSON array. Received: .*dict"),
        (
            [{"path": "0_Transformer", "type": PACKAGE + "Transformer"}]
            + make_modules("Transformer", "Pooling")[1:],
            "transformer in the folder itself. Received: path='0_Transformer'",
        ),
    ],
    ids=str,
)
def test_other_modules_are_refused(modules, message, tmp_path):
    add_files(tmp_path, modules)
    with pytest.raises(ValueError, match=message):
        read_embedder_config(tmp_path)


@pytest.mark.parametrize(
    ("pooling", "files", "message"),
    [
        (
            {**OLD, "pooling_mode_weightedmean_tokens": True},
            {},
            "`pooling_mode` must be one of cls, mean, max, last",
        ),
        ({**OLD, "pooling_mode_cls_token": True}, {}, r"Received: pooling_mode=\['cls', 'mean'\]"),
        ({**OLD, "pooling_mode_cls_token": "x"}, {}, "Received: pooling_mode_cls_token='x'"),
        ({**NEW, "pooling_mode": "weightedmean"}, {}, "Received: pooling_mode='weightedmean'"),
        ({**NEW, "pooling_mode": ["cls", "max"]}, {}, r"Received: pooling_mode=\['cls', 'max'\]"),
        ({**NEW, "embedding_dimension": 47}, {}, "must be the backbone's size, 48. Received: 47"),
        ({**NEW, "word_embedding_dimension": 2**20}, {}, "Received: word_embedding_dimension=1048"),
        ({**NEW, "embedding_dimension": -1}, {}, "Received: embedding_dimension=-1"),
        (
            NEW,
            {"config_sentence_transformers": {"default_prompt_name": "query"}},
            "`default_prompt_name` must be null.* Received: default_prompt_name='query'",
        ),
    ],
    ids=str,
)
def test_what_an_embedder_cannot_do_is_refused(pooling, files, message, tmp_path):
    add_files(tmp_path, make_modules("Transformer", "Pooling"), pooling, **files)
    with pytest.raises(ValueError, match=message):
        read_embedder_config(tmp_path).make_options({"hidden_dim": 48, "max_sequence_length": 9})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"in_features": 47}, "`in_features` must be the backbone's size, 48. Received: 47 in 2_D"),
        ({"in_features": None}, "`in_features` must be an integer .* Received: in_features=None"),
        ({"out_features": 2**30}, "Received: out_features=1073741824"),
        ({"bias": "no"}, "Received: bias='no'"),
        ({"activation_function": "os.system"}, "must be one of torch.nn.Tanh, .*='os.system'"),
        ({"activation_function": "torch.nn.modules.linear.Tanh"}, "='torch.nn.modules.linear.Tanh"),
        ({"use_residual": True}, "`use_residual` must be false in 2_Dense/config.json. Received: "),
        ({"module_input_name": "token_embeddings"}, "sentence_embedding. Received: module_input"),
        ({"module_output_name": "other"}, "Received: module_output_name='other'"),
    ],
    ids=str,
)
def test_a_dense_module_that_an_embedder_cannot_have_is_refused(fields, message, tmp_path):
    add_files(tmp_path, make_modules("Transformer", "Pooling", "Dense"))
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "config.json").write_text(json.dumps({**DENSE, **fields}))
    (tmp_path / "2_Dense" / "model.safetensors").touch()
    with pytest.raises(ValueError, match=message):
        read_embedder_config(tmp_path).make_options({"hidden_dim": 48, "max_sequence_length": 9})


def test_a_normalization_of_something_else_is_refused(tmp_path):
    add_files(tmp_path, make_modules("Transformer", "Pooling", "Normalize"))
    (tmp_path / "2_Normalize").mkdir()
    fields = {"module_input_name": "token_embeddings"}
    (tmp_path / "2_Normalize" / "config.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="Received: module_input_name='token_embeddings'"):
        read_embedder_config(tmp_path)


LETTERS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a e é i İ ##a ##e ##é A É E".split()]


@pytest.mark.parametrize("name", LENGTH_FILES)
def test_do_lower_case_changes_a_cased_tokenizer(name, tmp_path):
    tokenizer = WordPieceTokenizer(LETTERS, lowercase=False)
    files = {name: {"do_lower_case": True}}
    add_files(tmp_path, make_modules("Transformer", "Pooling"), NEW, **files)
    apply_lower_case(tmp_path, tokenizer)
    assert (tokenizer.lowercase, tokenizer.strip_accents) == (True, False)


def test_do_lower_case_gives_the_ids_of_sentence_transformers(tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="it is not installed")
    folder = write_folder(tmp_path / "a", "bert", "Model")
    WordPieceTokenizer(LETTERS, lowercase=False).save(folder)
    files = {"sentence_albert_config": {"do_lower_case": True}}
    add_files(folder, make_modules("Transformer", "Pooling"), NEW, **files)
    theirs = library.SentenceTransformer(str(folder), device="cpu").tokenizer
    tokenizer = lmzoo.load(folder).tokenizer
    texts = ["A", "AE \u00c9", "a\u00c9e i", "\u0130 x", "E\u0301"]
    wanted = [theirs(text)["input_ids"][1:-1] for text in texts]
    assert tokenizer.tokenize(texts).to_list() == wanted
    # It is written as a tokenizer that lowers text by itself.
    tokenizer.save(tmp_path / "b")
    assert WordPieceTokenizer.load(tmp_path / "b").tokenize(texts).to_list() == wanted


def test_a_lowercase_tokenizer_stays_as_it_is(tmp_path):
    tokenizer = WordPieceTokenizer(LETTERS)
    files = {"sentence_bert_config": {"do_lower_case": True}}
    add_files(tmp_path, make_modules("Transformer", "Pooling"), NEW, **files)
    apply_lower_case(tmp_path, tokenizer)
    assert (tokenizer.lowercase, tokenizer.strip_accents) == (True, None)


@pytest.mark.parametrize("name", LENGTH_FILES[:2])
def test_a_tokenizer_that_cannot_lower_text_is_refused(name, tmp_path):
    add_files(
        tmp_path, make_modules("Transformer", "Pooling"), NEW, **{name: {"do_lower_case": True}}
    )
    message = f"must be false in {name}.json if .* do_lower_case=True in '{tmp_path}'. Lower your"
    with pytest.raises(ValueError, match=message):
        apply_lower_case(tmp_path, None)


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a the good bad film cat sat".split()]
TEXTS = ["a good film", "the bad cat sat", "film"]


def make_embedder(**options):
    tokenizer = WordPieceTokenizer(WORDS)
    backbone = BertBackbone(
        len(WORDS), 1, 2, 8, 11, max_sequence_length=16, pooler=False, initializer_range=0.5
    )
    return TextEmbedder(backbone, tokenizer, **options)


def read_files(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


FORMS = [
    {"pooling": "mean", "normalize": True},
    {"pooling": "cls", "normalize": False},
    {"pooling": "last", "normalize": True},
    {"pooling": "max", "normalize": True, "projection_dim": 5, "projection_activation": "gelu"},
    {"pooling": "mean", "normalize": False, "projection_dim": 11, "projection_bias": False},
]


@pytest.mark.quick("*'mean', 'normalize': False*", "*'last'*")
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_is_saved_is_read_and_saved_the_same(form, tmp_path):
    embedder = make_embedder(sequence_length=9, scale=7.0, **form)
    embedder.save_pretrained(tmp_path / "a")
    again = lmzoo.load(tmp_path / "a")
    assert again.get_config().items() >= {"sequence_length": 9, "scale": 7.0, **form}.items()
    inputs, _ = embedder.pack_texts(tf.constant(TEXTS))
    np.testing.assert_array_equal(again(inputs), embedder(inputs))
    again.save_pretrained(tmp_path / "b")
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")
    assert "modules.json" in read_files(tmp_path / "a")
    assert lmzoo.hub.verify(tmp_path / "a")["passed"]
    tensors = [*again.backbone.weights, *(again.head.weights if again.head else ())]
    described = lmzoo.hub.describe(tmp_path / "a")
    assert described["num_parameters"] == sum(int(np.prod(tensor.shape)) for tensor in tensors)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_sentence_transformers_opens_what_is_saved(form, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="it is not installed")
    embedder = make_embedder(sequence_length=5, **form)
    embedder.save_pretrained(tmp_path / "a")
    model = library.SentenceTransformer(str(tmp_path / "a"), device="cpu")
    texts = [*TEXTS, "the good cat sat a film the bad cat", "the unknownword"]
    inputs, _ = embedder.pack_texts(tf.constant(texts))
    np.testing.assert_allclose(embedder(inputs), model.encode(texts), rtol=1e-5, atol=1e-6)
    assert model.max_seq_length == 5


@pytest.mark.parametrize(
    ("activation", "bias", "normalize"),
    [("Tanh", True, True), ("Identity", False, True), ("GELU", True, False), ("SiLU", True, True)],
)
def test_a_dense_module_gives_the_vectors_of_sentence_transformers(
    activation, bias, normalize, tmp_path
):
    library = pytest.importorskip("sentence_transformers", reason="it is not installed")
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from torch import nn

    write_folder(tmp_path / "bert", "bert", "Model")
    WordPieceTokenizer([*WORDS, *map(str, range(50))]).save(tmp_path / "bert")
    dense = Dense(48, 5, bias, getattr(nn, activation)())
    modules = [Transformer(str(tmp_path / "bert")), Pooling(48), dense]
    model = library.SentenceTransformer(modules=modules + [Normalize()] * normalize, device="cpu")
    model.save(str(tmp_path / "theirs"))
    embedder = lmzoo.load(tmp_path / "theirs")
    assert embedder.embedding_dim == 5
    inputs, _ = embedder.pack_texts(tf.constant(TEXTS))
    np.testing.assert_allclose(embedder(inputs), model.encode(TEXTS), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("linear.bias"), "Missing: '2_Dense/linear.bias'"),
        (lambda t: t.update(x=np.zeros(3, np.float32)), "not expected: '2_Dense/x'"),
        (lambda t: t.update({"linear.bias": np.zeros(6, np.float32)}), r"must have shape \(5,\)"),
        (lambda t: t["linear.weight"].fill(np.nan), "'2_Dense/linear.weight' in .* finite"),
    ],
    ids=["missing", "unexpected", "shape", "nan"],
)
def test_the_weights_of_a_dense_module_are_checked(change, message, tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "Model")
    add_files(folder, make_modules("Transformer", "Pooling", "Dense"))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps(DENSE))
    with pytest.raises(FileNotFoundError, match="must hold 2_Dense/model.safetensors.* Pickled"):
        lmzoo.load(folder)
    tensors = {
        "linear.weight": np.ones((5, 48), np.float32),
        "linear.bias": np.zeros(5, np.float32),
    }
    change(tensors)
    safetensors.numpy.save_file(tensors, folder / "2_Dense" / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)
    # Another task leaves it out.
    with pytest.warns(UserWarning, match="has no weights for head"):
        lmzoo.load(folder, task="TokenClassifier", labels=["a", "b"])


def test_a_description_names_the_embedder(tmp_path):
    folder = write_folder(tmp_path / "a", "roberta", "Model", architectures=["RobertaForMaskedLM"])
    add_files(folder, make_modules("Transformer", "Pooling"))
    report = lmzoo.hub.verify(folder)
    assert report["passed"] and report["task"] == "TextEmbedder"
    assert lmzoo.hub.describe(folder)["task"] == "TextEmbedder"
