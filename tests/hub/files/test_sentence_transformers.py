"""Folders of sentence-transformers: how they pool is read from them and written to them."""

import json

import numpy as np
import pytest

import lmzoo
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
NEW_NAMES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}


def make_modules(*kinds, names=None):
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    names = names or {kind: PACKAGE + kind for kind in kinds}
    return [
        {"idx": i, "name": str(i), "path": paths[kind], "type": names[kind]}
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


@pytest.mark.parametrize(
    ("files", "length"),
    [
        ({"sentence_bert_config": {"max_seq_length": 7, "do_lower_case": False}}, 7),
        ({"sentence_bert_config": {"max_seq_length": None}}, 40),
        ({"sentence_bert_config": {"max_seq_length": 512}}, 40),
        ({"sentence_bert_config": {}, "tokenizer_config": {"model_max_length": 9}}, 9),
        ({"tokenizer_config": {"model_max_length": 10**30}}, 40),
        ({}, 40),
    ],
    ids=str,
)
def test_the_longest_text_is_read(files, length, tmp_path):
    folder = write_folder(tmp_path / "a", "distilbert", "Model")
    add_files(folder, make_modules("Transformer", "Pooling"), NEW, **files)
    longest = lmzoo.load(folder).backbone.max_sequence_length
    assert lmzoo.load(folder).sequence_length == min(length, longest)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (make_modules("Transformer"), "must list a Transformer, a Pooling"),
        (make_modules("Pooling", "Transformer"), "must list a Transformer, a Pooling"),
        (make_modules("Transformer", "Pooling", "Pooling"), "must list a Transformer"),
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
    folder = add_files(write_folder(tmp_path / "a", "bert", "Model"), modules)
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)


@pytest.mark.parametrize(
    ("pooling", "files", "message"),
    [
        ({**OLD, "pooling_mode_lasttoken": True}, {}, "`pooling_mode` must be one of cls, mean, m"),
        ({**OLD, "pooling_mode_cls_token": True}, {}, r"Received: pooling_mode=\['cls', 'mean'\]"),
        ({**OLD, "pooling_mode_cls_token": "x"}, {}, "Received: pooling_mode_cls_token='x'"),
        ({**NEW, "pooling_mode": "weightedmean"}, {}, "Received: pooling_mode='weightedmean'"),
        ({**NEW, "pooling_mode": ["cls", "max"]}, {}, r"Received: pooling_mode=\['cls', 'max'\]"),
        ({**NEW, "embedding_dimension": 47}, {}, "must be the backbone's size, 48. Received: 47"),
        ({**NEW, "embedding_dimension": -1}, {}, "Received: embedding_dimension=-1"),
        (
            NEW,
            {"sentence_bert_config": {"do_lower_case": True}},
            "`do_lower_case` must be false in sentence_bert.* Received: do_lower_case=True in ",
        ),
        (
            NEW,
            {"config_sentence_transformers": {"default_prompt_name": "query"}},
            "`default_prompt_name` must be null.* Received: default_prompt_name='query'",
        ),
    ],
    ids=str,
)
def test_what_an_embedder_cannot_do_is_refused(pooling, files, message, tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "Model")
    add_files(folder, make_modules("Transformer", "Pooling"), pooling, **files)
    with pytest.raises(ValueError, match=message):
        lmzoo.load(folder)


@pytest.mark.parametrize("form", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_small_letters_are_made_by_the_tokenizer_or_not_at_all(lowercase, form, tmp_path):
    folder = write_folder(tmp_path / "a", "bert", "Model")
    WordPieceTokenizer(WORDS, lowercase=lowercase).save(folder)
    if form == "vocab.txt":
        (folder / "tokenizer.json").unlink()
    files = {"sentence_bert_config": {"do_lower_case": True, "max_seq_length": 7}}
    add_files(folder, make_modules("Transformer", "Pooling"), NEW, **files)
    if lowercase:
        opened = lmzoo.load(folder)
        assert opened.sequence_length == 7 and opened.tokenizer.lowercase
    else:
        with pytest.raises(ValueError, match=f"do_lower_case=True in '{folder}'"):
            lmzoo.load(folder)
        problem = lmzoo.hub.verify(folder)["problems"][0]
        assert problem.startswith("the tokenizer cannot be opened: `do_lower_case` must be false")


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


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_saved_is_read_and_saved_the_same(pooling, normalize, tmp_path):
    embedder = make_embedder(pooling=pooling, normalize=normalize, sequence_length=9, scale=7.0)
    embedder.save_pretrained(tmp_path / "a")
    again = lmzoo.load(tmp_path / "a")
    for name in ("pooling", "normalize", "sequence_length", "scale"):
        assert getattr(again, name) == getattr(embedder, name)
    np.testing.assert_array_equal(again.embed(TEXTS), embedder.embed(TEXTS))
    again.save_pretrained(tmp_path / "b")
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")
    assert "modules.json" in read_files(tmp_path / "a")


@pytest.mark.filterwarnings("ignore:.* were truncated:UserWarning")
@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_sentence_transformers_opens_what_is_saved(pooling, normalize, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="it is not installed")
    embedder = make_embedder(pooling=pooling, normalize=normalize, sequence_length=5)
    embedder.save_pretrained(tmp_path / "a")
    model = library.SentenceTransformer(str(tmp_path / "a"), device="cpu")
    texts = [*TEXTS, "the good cat sat a film the bad cat", "the unknownword"]
    wanted = model.encode(texts)
    np.testing.assert_allclose(embedder.embed(texts), wanted, rtol=1e-5, atol=1e-6)
    assert model.max_seq_length == 5


def test_an_account_knows_what_the_folder_opens_as(tmp_path):
    folder = write_folder(tmp_path / "a", "roberta", "Model", architectures=["RobertaForMaskedLM"])
    add_files(folder, make_modules("Transformer", "Pooling"))
    report = lmzoo.hub.verify(folder)
    assert report["passed"] and report["task"] == "TextEmbedder"
    assert lmzoo.hub.describe(folder)["task"] == "TextEmbedder"
