"""What tasks read of raw text: which special tokens, and in which form."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.models import BertBackbone
from lmzoo.tasks import MaskedLM, QuestionAnswerer, TextClassifier, TextEmbedder, TokenClassifier
from lmzoo.tokenizers import WordPieceTokenizer

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] bob works [ ] / e ##1 [E1] [/E1]".split()
MARKERS = ["[E1]", "[/E1]"]
TEXT, READ = "[E1] Bob [/E1] works", "[CLS] [E1] bob [/E1] works [SEP]".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markers")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "additional_special_tokens": MARKERS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    return WordPieceTokenizer.load(folder)


@pytest.fixture(scope="module")
def backbone():
    return BertBackbone(len(VOCABULARY), 1, 2, 8, max_sequence_length=32, dropout=0.0)


def read_tokens(task, inputs, row=0):
    ids = np.asarray(inputs["token_ids"])[row][np.asarray(inputs["padding_mask"])[row]]
    return [task.tokenizer.id_to_token(int(token_id)) for token_id in ids]


def make(kind, backbone, tokenizer, **options):
    if kind is TokenClassifier:
        return kind(backbone, tokenizer, ["O", "B-X"], **options)
    if kind is TextClassifier:
        return kind(backbone, tokenizer, 2, **options)
    return kind(backbone, tokenizer, **options)


KINDS = [MaskedLM, QuestionAnswerer, TextClassifier, TextEmbedder, TokenClassifier]


@pytest.mark.parametrize("kind", KINDS)
def test_allowed_marker_tokens_are_read_in_every_task_and_no_others(kind, backbone, tokenizer):
    columns = {"text": tf.constant([TEXT])}
    if kind is QuestionAnswerer:
        columns = {"question": tf.constant(["bob"]), "context": tf.constant([TEXT])}
    task = make(kind, backbone, tokenizer, allow_special=MARKERS)
    found = read_tokens(task, task.encode_inputs(columns)[0])
    assert found[-len(READ) + 1 :] == READ[1:]
    assert make(kind, backbone, tokenizer).unread_special_tokens == MARKERS
    half = make(kind, backbone, tokenizer, allow_special=MARKERS[:1])
    found = read_tokens(half, half.encode_inputs(columns)[0])
    assert "[E1]" in found and "[/E1]" not in found
    text = make(kind, backbone, tokenizer)
    assert not set(MARKERS) & set(read_tokens(text, text.encode_inputs(columns)[0]))


def test_words_may_be_marker_tokens_too(backbone, tokenizer):
    task = make(TokenClassifier, backbone, tokenizer, allow_special=MARKERS)
    words = tf.ragged.constant([TEXT.split()])
    tags = tf.ragged.constant([["O", "B-X", "O", "O"]])
    inputs = task.encode({"words": words, "tags": tags}, 0).inputs
    assert read_tokens(task, inputs) == READ
    np.testing.assert_array_equal(inputs["word_positions"], [[1, 2, 3, 4]])


def test_answers_lie_behind_marker_tokens_where_the_context_has_them(backbone, tokenizer):
    task = QuestionAnswerer(backbone, tokenizer, allow_special=MARKERS)
    starts = [TEXT.index("works")]
    columns = {
        "question": tf.constant(["bob"]),
        "context": tf.constant([TEXT]),
        "answer": tf.constant(["works"]),
        "start": tf.constant(starts),
    }
    example = task.encode(columns, 0)
    ids = example.inputs["token_ids"][0].numpy()
    first, last = example.labels[0].numpy()
    assert first == last and tokenizer.id_to_token(int(ids[first])) == "works"


def test_a_change_of_the_choice_reaches_traced_functions(backbone, tokenizer):
    task = TextEmbedder(backbone, tokenizer)
    plain = task.embed(TEXT)
    task.allow_special = MARKERS
    assert not np.allclose(task.embed(TEXT), plain, atol=1e-4)
    served = task.serving_functions()["serving_default"](tf.constant([TEXT]))
    np.testing.assert_allclose(served["embedding"][0], task.embed(TEXT), atol=1e-6)


def test_the_choice_is_saved_and_a_folder_with_unread_markers_warns(backbone, tokenizer, tmp_path):
    task = TextClassifier(backbone, tokenizer, 2, allow_special=MARKERS)
    task.save_pretrained(tmp_path / "chosen")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = lmzoo.load(tmp_path / "chosen")
    assert loaded.allow_special == tuple(MARKERS)
    assert loaded.classify(TEXT) == pytest.approx(task.classify(TEXT))
    task.allow_special = ()
    task.save_pretrained(tmp_path / "plain")
    with pytest.warns(UserWarning, match=r"special tokens \[E1\], \[/E1\], which TextClassifier"):
        lmzoo.load(tmp_path / "plain")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("[E1]", TypeError, "`allow_special` must be a list of special tokens"),
        (True, TypeError, "`allow_special` must be a list"),
        (["[E2]"], ValueError, r"Received: \[E2\], which it does not have"),
    ],
)
def test_what_is_no_special_token_cannot_be_allowed(given, error, message, backbone, tokenizer):
    with pytest.raises(error, match=message):
        TextEmbedder(backbone, tokenizer, allow_special=given)
