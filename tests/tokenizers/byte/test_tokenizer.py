"""ByT5's bytes: the ids of transformers, in every mode, and its files both ways."""

import json

import pytest
import tensorflow as tf

from lmzoo.hub.files.tokenizers import load_tokenizer
from lmzoo.tokenizers import ByteTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return ByteTokenizer()


@pytest.fixture(scope="module")
def reference():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    return transformers.ByT5Tokenizer()


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_ids_are_those_of_transformers(tokenizer, reference, nasty_texts, draw_texts, count):
    assert tokenizer.vocabulary_size == len(reference) == 384
    sentinels = [f"<extra_id_{index}>" for index in range(125)]
    assert tokenizer.sentinel_ids.tolist() == reference.convert_tokens_to_ids(sentinels)
    drawn = draw_texts(61, count)
    texts = [*nasty_texts, *drawn, *(f"{text}<extra_id_{len(text)}> x" for text in drawn)]
    # Those three also take the white space around them away there.
    texts = [text for text in texts if not any(token in text for token in ("<pad>", "</s>"))]
    theirs = [row[:-1] for row in reference(texts).input_ids]
    ours = tokenizer.tokenize(texts, allow_special=True).to_list()
    assert ours == theirs
    decoded = tokenizer.detokenize(ours).numpy()
    wanted = reference.batch_decode(theirs, skip_special_tokens=True)
    assert [text.decode() for text in decoded] == wanted
    named = tokenizer.detokenize(ours[:50], skip_special=False).numpy()
    assert [text.decode() for text in named] == reference.batch_decode(theirs[:50])


def test_text_is_only_text(tokenizer):
    text = "a</s><extra_id_0>"
    assert tokenizer.tokenize(text).numpy().tolist() == [byte + 3 for byte in text.encode()]


def test_bytes_that_are_not_text_are_read_and_left_out(tokenizer):
    assert tokenizer.tokenize(b"a\xffb").numpy().tolist() == [100, 242, 194, 192, 101]
    assert tokenizer.detokenize([100, 258, 101, 198]).numpy() == b"ab"
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 383"):
        tokenizer.detokenize([384])


def test_offsets_are_characters(tokenizer):
    ids, starts, ends = tokenizer.tokenize_with_offsets(["é 我", "", "a"])
    assert starts.to_list() == [[0, 0, 1, 2, 2, 2], [], [0]]
    assert ends.to_list() == [[1, 1, 2, 3, 3, 3], [], [1]]
    assert ids.to_list() == tokenizer.tokenize(["é 我", "", "a"]).to_list()


def test_a_folder_of_transformers_opens_and_is_written_back(tokenizer, reference, tmp_path):
    reference.save_pretrained(tmp_path / "theirs")
    again = load_tokenizer(tmp_path / "theirs", 384)
    assert type(again) is ByteTokenizer
    assert again._vocabulary == tokenizer._vocabulary
    again.save(tmp_path / "ours")
    assert ByteTokenizer.load(tmp_path / "ours")._vocabulary == tokenizer._vocabulary
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert type(theirs).__name__ == "ByT5Tokenizer" and len(theirs) == 384
    text = "é <extra_id_3> x"
    assert theirs(text).input_ids[:-1] == tokenizer.tokenize(text, True).numpy().tolist()
    again.save(tmp_path / "ours_again")
    name = "tokenizer_config.json"
    assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "ours_again" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer_class": "T5Tokenizer"}, "'ByT5Tokenizer' as `tokenizer_class`.*'T5Tokenizer'"),
        ({"pad_token": "x"}, "'<pad>' as `pad_token`.* Received: 'x'"),
        ({"added_tokens_decoder": {"259": {"content": "<x>"}}}, "ByT5's tokens .*{'259': '<x>'}"),
        ({"added_tokens_decoder": {"300": {"content": []}}}, "a `content` and .*'content': .."),
        ({"extra_ids": 10**9}, "from 0 to 10000. Received: 1000000000"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, change, message):
    content = {"tokenizer_class": "ByT5Tokenizer", **change}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        ByteTokenizer.load(tmp_path)


def test_it_is_kept_in_a_graph(tokenizer, tmp_path):
    module = tf.Module()
    module.tokenizer = tokenizer
    module.encode = tf.function(
        tokenizer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path))
    texts = ["é 我", "", "a"]
    found = tf.saved_model.load(str(tmp_path)).encode(tf.constant(texts))
    assert found.to_list() == tokenizer.tokenize(texts).to_list()
