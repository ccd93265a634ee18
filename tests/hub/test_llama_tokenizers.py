"""Folders of Llama 3, Qwen2 and Mistral with their tokenizers, as transformers writes them."""

import json
import shutil

import pytest

import lmzoo
from lmzoo.hub import describe
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer
from tests.hub.golden_t5 import GOLDEN, write_folder

FAMILIES = ("llama3", "qwen2", "mistral")
OWN = ("expected.json", "weights.npz", "config.json")
every_family = pytest.mark.parametrize("family", FAMILIES)


def read_expected(family):
    return json.loads((GOLDEN / f"{family}_text" / "expected.json").read_text(encoding="utf-8"))


def copy_folder(folder, family, without=()):
    write_folder(folder, f"{family}_text")
    for path in (GOLDEN / f"{family}_text").iterdir():
        if path.name not in (*OWN, *without):
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    return {family: copy_folder(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def opened(folders):
    return {family: lmzoo.load(folders[family]) for family in FAMILIES}


def tokenize(tokenizer, texts):
    """What the tokenizer of transformers gives when it is called."""
    ids = tokenizer.tokenize(texts, allow_special=True).to_list()
    start = [tokenizer.start_token_id] if tokenizer.add_start_token else []
    return [start + row for row in ids]


@pytest.mark.quick("llama3", "mistral")
@every_family
def test_ids_are_those_of_transformers(opened, family):
    expected, tokenizer = read_expected(family), opened[family].tokenizer
    assert tokenize(tokenizer, expected["texts"]) == expected["ids"]
    # None but the last text has a special token in it.
    texts = expected["texts"][:-1]
    ids = tokenizer.tokenize_prompts([text or "a" for text in texts]).to_list()
    wanted = [row for text, row in zip(texts, expected["ids"], strict=False) if text]
    assert [row for text, row in zip(texts, ids, strict=True) if text] == wanted
    decoded = tokenizer.detokenize(expected["ids"][-1:]).numpy()
    assert [text.decode() for text in decoded] == expected["decoded"]


@pytest.mark.quick("qwen2")
@every_family
def test_greedy_text_is_that_of_transformers(opened, family):
    lm = opened[family]
    cases, texts = read_expected(family)["continued"], []
    assert len(cases) >= 3
    for case in cases:
        prompt = lm.tokenizer.tokenize_prompts([case["prompt"]]).to_list()[0]
        assert case["ids"][: len(prompt)] == prompt
        text = lm.generate(case["prompt"], max_new_tokens=12, temperature=0.0)
        # A text of its own loses the space at the start, what is continued does not.
        wanted = lm.tokenizer.detokenize(case["ids"]).numpy().decode()
        assert text.removeprefix("" if case["prompt"] else " ") == wanted
        # Of a row of bytes of which some are no text, transformers' Mistral replaces each one.
        if family != "mistral":
            assert wanted == case["text"]
        texts.append(text)
    prompts = [case["prompt"] for case in cases]
    assert lm.generate(prompts, max_new_tokens=12, temperature=0.0) == texts


def test_the_kinds_and_their_settings(opened):
    llama3, qwen2, mistral = (opened[family].tokenizer for family in FAMILIES)
    assert type(llama3) is type(qwen2) is BytePairTokenizer
    assert type(mistral) is SentencePieceTokenizer
    assert (llama3.pattern, llama3.ignore_merges, llama3.normalize_nfc) == ("llama3", True, False)
    assert (qwen2.pattern, qwen2.ignore_merges, qwen2.normalize_nfc) == ("qwen2", False, True)
    assert qwen2.added_tokens == ("<tool_call>",)
    added = [one.add_start_token for one in (llama3, qwen2, mistral)]
    assert added == [True, False, True]
    assert llama3.pad_token_id == llama3.end_token_id != llama3.start_token_id


@pytest.mark.quick("llama3", "mistral")
@every_family
def test_what_is_saved_opens_again_and_is_saved_the_same(opened, family, tmp_path):
    lm, first, second = opened[family], tmp_path / "first", tmp_path / "second"
    lm.save_pretrained(first)
    again = lmzoo.load(first)
    again.save_pretrained(second)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    texts = read_expected(family)["texts"]
    assert tokenize(again.tokenizer, texts) == tokenize(lm.tokenizer, texts)


@every_family
def test_transformers_opens_what_is_saved(opened, family, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    opened[family].save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = [*read_expected(family)["texts"], "  two spaces", " one"]
    assert tokenizer(texts).input_ids == tokenize(opened[family].tokenizer, texts)
    assert len(tokenizer) == opened[family].tokenizer.vocabulary_size
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    prompt = tokenizer("The model", return_tensors="pt", return_token_type_ids=False)
    ids = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0]
    text = opened[family].generate("The model", max_new_tokens=12, temperature=0.0)
    assert opened[family].tokenizer.detokenize(ids.tolist()).numpy().decode() == text


@pytest.mark.parametrize("gone", ["tokenizer.json", "tokenizer.model"])
def test_mistral_needs_one_of_its_two_files(opened, tmp_path, gone):
    folder = copy_folder(tmp_path / "folder", "mistral", without=[gone])
    texts = read_expected("mistral")["texts"]
    assert tokenize(lmzoo.load(folder).tokenizer, texts) == tokenize(
        opened["mistral"].tokenizer, texts
    )


@every_family
def test_the_folder_is_described(folders, family, opened):
    told = describe(folders[family])["tokenizer"]
    assert told == {"kind": "BPE", "vocabulary_size": opened[family].tokenizer.vocabulary_size}


def test_an_unknown_pattern_is_refused_by_name(tmp_path):
    folder = copy_folder(tmp_path / "folder", "llama3")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    split = content["pre_tokenizer"]["pretokenizers"][0]
    split["pattern"] = {"Regex": r"(a+)+$"}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"pattern.Regex`.* Received: '\(a\+\)\+\$'"):
        lmzoo.load(folder)
