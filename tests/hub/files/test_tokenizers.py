import json
import pathlib
import shutil
import types

import pytest
from tokenizers import Tokenizer

from lmzoo.data.corpus.packing import pack
from lmzoo.hub.checkpoint_spec import make_spec
from lmzoo.hub.files.tokenizers import load_tokenizer, open_tokenizer, save_tokenizer
from lmzoo.models import BertBackbone
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

MT5 = pathlib.Path(__file__).parents[2] / "golden" / "mt5_text"
TEXTS = ["a cat sat on the mat", "that hat"] * 9


@pytest.fixture(
    scope="module", params=[BytePairTokenizer, WordPieceTokenizer, SentencePieceTokenizer]
)
def tokenizer(request):
    if request.param is SentencePieceTokenizer:
        return SentencePieceTokenizer.train(iter(TEXTS), 40, num_sentinels=5)
    return request.param.train(iter(TEXTS), 262 if request.param is BytePairTokenizer else 60)


def test_the_kind_is_found_in_a_folder(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path, 999)
    assert type(loaded) is type(tokenizer)
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    # An old folder has no tokenizer.json.
    (tmp_path / "tokenizer.json").unlink()
    assert type(load_tokenizer(tmp_path, 999)) is type(tokenizer)


@pytest.mark.parametrize("kind", [BytePairTokenizer, WordPieceTokenizer])
def test_the_kind_of_an_old_file_without_a_type_is_found(tmp_path, kind):
    kind.train(iter(TEXTS), 262).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    del content["model"]["type"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert type(load_tokenizer(tmp_path, 999)) is kind


def test_a_folder_without_one_has_none(tmp_path):
    assert load_tokenizer(tmp_path, 999) is None


def test_more_words_than_the_model_has_are_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    count = tokenizer.vocabulary_size
    with pytest.raises(ValueError, match=f"Received: {count} words in .*says {count - 1}"):
        load_tokenizer(tmp_path, count - 1)


def test_far_too_large_files_are_refused_before_they_are_read(tmp_path):
    spec = types.SimpleNamespace(task="MaskedLM", arguments={"vocabulary_size": 7})
    assert open_tokenizer(tmp_path, spec) is None
    (tmp_path / "tokenizer.json").write_bytes(b"[" * 70_000)
    with pytest.raises(ValueError, match="lists, objects and commas for the 7 tokens"):
        open_tokenizer(tmp_path, spec)


@pytest.mark.parametrize("model", [{"type": "WordLevel"}, {"type": ["BPE"]}, {"type": 3}])
def test_a_kind_that_is_not_read_is_refused(model, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ValueError) as caught:
        load_tokenizer(tmp_path, 999)
    assert "must hold a model of type BPE or WordPiece or Unigram" in str(caught.value)
    assert f"with {model['type']!r}." in str(caught.value)


@pytest.mark.parametrize("model", [None, "CharBPE", []])
def test_a_file_without_a_model_is_refused(model, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ValueError) as caught:
        load_tokenizer(tmp_path, 999)
    assert f"with {model!r}." in str(caught.value)


@pytest.fixture(scope="module")
def encoder():
    sizes = {"vocabulary_size": 9, "num_layers": 1, "num_heads": 1, "hidden_dim": 2}
    return BertBackbone(**sizes, intermediate_dim=2, max_sequence_length=8)


def save_for(backbone, tokenizer, folder):
    task = types.SimpleNamespace(tokenizer=tokenizer, is_generative=backbone is None)
    save_tokenizer(folder, task)


def test_an_encoders_files_give_a_text_the_ids_that_the_task_gives_it(tokenizer, encoder, tmp_path):
    if type(tokenizer) is SentencePieceTokenizer:
        arguments = {"end_token": "</s>", "start_token": "<pad>"}
        tokenizer = SentencePieceTokenizer(tokenizer._vocabulary.data, 5, **arguments)
    was = tokenizer.add_bos_and_eos
    save_for(encoder, tokenizer, tmp_path / "first")
    assert tokenizer.add_bos_and_eos is was
    reference = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    for text in TEXTS[:2]:
        ids = pack([tokenizer.tokenize([text])], tokenizer, 64)[0]
        real = ids["token_ids"][ids["padding_mask"]].numpy().tolist()
        assert reference.encode(text).ids == real
        assert real[0] == tokenizer.start_token_id and real[-1] == tokenizer.end_token_id
    # Whoever opens it and saves it without a task writes the same bytes.
    again = load_tokenizer(tmp_path / "first", 999, "TextEmbedder")
    again.save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_decoders_files_give_a_text_its_ids(tokenizer, tmp_path):
    save_for(None, tokenizer, tmp_path)
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    start, end = {
        BytePairTokenizer: ([], []),
        SentencePieceTokenizer: ([], [1]),
        WordPieceTokenizer: ([2], [3]),
    }[type(tokenizer)]
    for text in TEXTS[:2]:
        assert reference.encode(text).ids == [*start, *tokenizer.tokenize(text).numpy(), *end]


def test_a_task_without_a_tokenizer_writes_no_files(encoder, tmp_path):
    save_for(encoder, None, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_text_that_ends_is_refused_where_it_is_to_go_on(tokenizer, encoder, tmp_path):
    if type(tokenizer) is WordPieceTokenizer:
        pytest.skip("its files always say so")
    save_for(encoder, tokenizer, tmp_path)
    with pytest.raises(ValueError, match="for CausalLM. Received: .* '<.*>' stands behind"):
        load_tokenizer(tmp_path, 999, "CausalLM")
    assert load_tokenizer(tmp_path, 999, "TextClassifier").add_bos_and_eos


MINIMAL = [None, {"model_max_length": 512}, {"do_lower_case": True, "model_max_length": 512}]


@pytest.mark.parametrize("config", MINIMAL)
def test_a_folder_opens_with_the_small_files_of_old_publications(tokenizer, tmp_path, config):
    tokenizer.save(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    if config:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    again = load_tokenizer(tmp_path, 999)
    roles = ("start_token_id", "end_token_id", "pad_token_id", "special_tokens")
    assert [getattr(again, role) for role in roles] == [getattr(tokenizer, role) for role in roles]


def read_mt5(name):
    return json.loads((MT5 / name).read_text(encoding="utf-8"))


def load_mt5():
    spec = make_spec(read_mt5("config.json"))
    return load_tokenizer(MT5, spec.arguments["vocabulary_size"], spec.task)


def test_mt5_gives_the_ids_of_transformers_and_keeps_them_when_saved(tmp_path):
    expected, first = read_mt5("expected.json"), load_mt5()
    first.save(tmp_path / "first")
    again = load_tokenizer(tmp_path / "first", 999)
    again.save(tmp_path / "second")
    for tokenizer in (first, again):
        rows = tokenizer.tokenize(expected["texts"], allow_special=True).to_list()
        assert [[*row, tokenizer.end_token_id] for row in rows] == expected["ids"]
        assert tokenizer.vocabulary_size == expected["length"]
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name


def test_transformers_keeps_mt5s_ids_in_what_is_saved(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    load_mt5().save(tmp_path)
    shutil.copy(MT5 / "config.json", tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    expected = read_mt5("expected.json")
    assert len(tokenizer) == expected["length"]
    assert tokenizer(expected["texts"]).input_ids == expected["ids"]


def test_transformers_gives_an_encoders_ids(tokenizer, encoder, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    save_for(encoder, tokenizer, tmp_path)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(reference) == tokenizer.vocabulary_size
    start, end = tokenizer.start_token_id, tokenizer.end_token_id
    ids = tokenizer.tokenize(TEXTS[:2]).to_list()
    assert reference(TEXTS[:2]).input_ids == [[start, *row, end] for row in ids]
