"""The tokenizers of MPNet, ELECTRA, ModernBERT and Qwen3 as transformers writes them."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from lmzoo.tokenizers import BytePairTokenizer, WordPieceTokenizer

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

WORDS = "hello world ' s cafe 1 ##2 ##3 , unite ! \u4f60 a b c e don t do < > mask".split()
TEXTS = [
    *(
        "Hello world's caf\u00e9 123, \u00fcn\u00eft\u00e9! \u4f60\u597d",
        "",
        " a  b\n c",
        "a   b      c",
    ),
    *("e\u0301 [MASK] <mask>", "don't\t\tdo 1234567", "<think>a</think> |||IP_ADDRESS|||"),
]


def make_mpnet(_):
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *WORDS, "<mask>"]
    return transformers.MPNetTokenizer(vocab={token: i for i, token in enumerate(tokens)})


def make_electra(_):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return transformers.ElectraTokenizer(vocab={token: i for i, token in enumerate(tokens)})


def make_qwen3(model):
    special = ["<|im_start|>", "<|im_end|>"]
    merges = [tuple(pair) for pair in model["merges"]]
    made = transformers.Qwen2Tokenizer(model["vocab"], merges, extra_special_tokens=special)
    added = (AddedToken(t, special=False, normalized=False) for t in ("<think>", "</think>"))
    made.add_tokens([*added, "caf\u00e9"])
    return made


def make_modernbert(model):
    made = Tokenizer(models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]]))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    mask = AddedToken("[MASK]", lstrip=True, special=True)
    made.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", mask])
    made.add_tokens(["   ", "      ", "|||IP_ADDRESS|||"])
    made.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("cls", "sep", "pad", "mask", "unk")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **roles)


FAMILIES = {
    "mpnet": (make_mpnet, WordPieceTokenizer, ("<s>", "</s>", "<pad>", "<mask>")),
    "electra": (make_electra, WordPieceTokenizer, ("[CLS]", "[SEP]", "[PAD]", "[MASK]")),
    "modernbert": (make_modernbert, BytePairTokenizer, ("[CLS]", "[SEP]", "[PAD]", "[MASK]")),
    "qwen3": (make_qwen3, BytePairTokenizer, (None, "<|endoftext|>", "<|endoftext|>", None)),
}


@pytest.fixture(scope="module")
def model():
    trained = BytePairTokenizer.train(iter(["hello world cafe don't a b c 123 " * 9]), 320)
    parts = trained._vocabulary
    return {"vocab": parts.ids, "merges": parts.merges}


@pytest.fixture(scope="module", params=FAMILIES)
def opened(request, model, tmp_path_factory):
    """transformers' tokenizer as it is opened from a folder, ours, and the expected roles."""
    folder = tmp_path_factory.mktemp(request.param)
    make, kind, roles = FAMILIES[request.param]
    make(model).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": request.param}))
    return transformers.AutoTokenizer.from_pretrained(folder), kind.load(folder), roles


def assert_same(reference, tokenizer, texts):
    ids = tokenizer.tokenize(texts, allow_special=True).to_list()
    start, end = tokenizer.start_token_id, tokenizer.end_token_id
    if tokenizer.add_bos_and_eos:
        ids = [[start, *row, end] for row in ids]
        pair = reference("a", "b").input_ids
        assert pair.count(end) == 1 + tokenizer.num_separators
    assert reference(texts).input_ids == ids


def test_the_ids_are_those_of_transformers(opened, nasty_texts, draw_texts):
    reference, tokenizer, roles = opened
    assert len(reference) == tokenizer.vocabulary_size
    assert_same(reference, tokenizer, [*TEXTS, *nasty_texts, *draw_texts(50, 500)])
    names = ("start_token", "end_token", "pad_token", "mask_token")
    assert tuple(getattr(tokenizer, name) for name in names) == roles


def test_transformers_reads_what_is_saved(opened, nasty_texts, tmp_path):
    reference, tokenizer, _ = opened
    tokenizer.save(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == reference.get_vocab()
    assert again("a", "b").input_ids == reference("a", "b").input_ids
    assert_same(again, type(tokenizer).load(tmp_path), [*TEXTS, *nasty_texts])


def test_mpnet_opens_from_its_vocabulary_alone(tmp_path):
    tokens = make_mpnet(None).get_vocab()
    lines = sorted(tokens, key=tokens.get)
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "mpnet"}')
    tokenizer = WordPieceTokenizer.load(tmp_path)
    assert tokenizer.start_token == "<s>" and tokenizer.num_separators == 2
    assert_same(transformers.AutoTokenizer.from_pretrained(tmp_path), tokenizer, TEXTS)


@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "BertweetTokenizer", "MyTokenizer"])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_a_vocabulary_of_another_class_is_refused_by_name(tmp_path, name, file):
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    (tmp_path / file).write_text(json.dumps({"tokenizer_class": name}))
    with pytest.raises(ValueError, match=f"must be for BertTokenizer.* Received: '{name}'"):
        WordPieceTokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["BertTokenizer", "ElectraTokenizerFast", "DistilBertTokenizer"])
def test_a_vocabulary_of_a_class_that_splits_as_bert_does_opens(tmp_path, name):
    (tmp_path / "vocab.txt").write_text("[UNK]\na\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    assert WordPieceTokenizer.load(tmp_path).tokenize("A").numpy().tolist() == [1]


@pytest.mark.parametrize("name", ["CTRLTokenizer", "CLIPTokenizer", "PreTrainedTokenizerFast"])
def test_pairs_of_another_class_are_refused_by_name(tmp_path, name):
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    with pytest.raises(ValueError, match=f"for GPT2Tokenizer.* Received: '{name}'.*writes tok"):
        BytePairTokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_a_class_for_every_tokenizer_json_takes_it_as_it_is(tmp_path, name):
    roles = dict.fromkeys(("start_token", "end_token", "pad_token", "mask_token"))
    tokens = ["[UNK]", "A", "a"]
    WordPieceTokenizer(tokens, lowercase=False, special_tokens=["[UNK]"], **roles).save(tmp_path)
    config = {"tokenizer_class": name, "do_lower_case": True, "unk_token": "[UNK]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "vocab.txt").unlink()
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = WordPieceTokenizer.load(tmp_path).tokenize("A a").numpy().tolist()
    assert reference("A a").input_ids == ids == [1, 2]
