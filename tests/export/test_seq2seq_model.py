"""A Seq2SeqLM as one SavedModel, run where there is TensorFlow alone."""

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.export.generative_signatures import _count_fixed, _truncate_left
from tests.tasks.tiny_t5 import make_lm as make_t5
from tests.tasks.tiny_t5 import make_tokenizer

# An export with text takes as long as all the rest here.
slow = pytest.mark.slow
SOURCES = ["a cat", "", "the rat ate", "naïve 猫 🙂", "that hat on"]
SAMPLED = {"temperature": 0.8, "top_k": 20, "top_p": 0.95}
SPECIAL = ["<pad>", "</s>"]


@pytest.fixture(scope="module")
def seq2seq(tokenizer):
    vocabulary = {tokenizer.id_to_token(n): n + 1 for n in range(1, tokenizer.vocabulary_size)}
    vocabulary |= {name: index for index, name in enumerate(SPECIAL)}
    tokenizer = lmzoo.tokenizers.BytePairTokenizer(
        vocabulary, tokenizer._vocabulary.merges, SPECIAL, "</s>", pad_token="<pad>"
    )
    return lmzoo.tasks.Seq2SeqLM(make_backbone(286), tokenizer, prefix="on: ")


def make_backbone(vocabulary_size, seed=0):
    """A small one, with weights that make every answer another one."""
    backbone = lmzoo.models.T5Backbone(
        vocabulary_size, 1, 1, 2, 16, 6, 24, 32, num_buckets=8, max_distance=16, dropout=0.0
    )
    generator = np.random.default_rng(seed)
    for variable in backbone.weights:
        shift = 1.0 if variable.path.endswith("scale") else 0.0
        variable.assign(shift + 0.4 * generator.normal(size=variable.shape))
    return backbone


@pytest.fixture(scope="module")
def bare(seq2seq):
    return lmzoo.tasks.Seq2SeqLM(seq2seq.backbone)


@pytest.fixture(scope="module")
def bare_folder(bare, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare") / "1"
    bare.export(folder, max_new_tokens=8)
    return folder


@pytest.fixture(scope="module")
def folder(seq2seq, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seq2seq") / "1"
    seq2seq.export(folder, max_new_tokens=8)
    return folder


def to_text(texts):
    return [text.decode("utf-8", "replace") for text in texts]


@slow
def test_a_process_with_tensorflow_alone_answers_text(server, seq2seq, folder):
    wanted, scores = seq2seq.generate(SOURCES, max_new_tokens=8, return_scores=True)
    assert len(set(wanted)) > 3
    got = server.call(folder, "serving_default", text=SOURCES)
    assert to_text(got["text"]) == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-5, atol=1e-5)
    assert set(server.ask("describe", folder=str(folder))) == {
        *("serving_default", "generate", "tokens", "self_test")
    }
    # A longer source beside it pads it, and changes nothing.
    for index, source in enumerate(SOURCES[:2]):
        alone = server.call(folder, "serving_default", text=[source])
        assert to_text(alone["text"]) == wanted[index : index + 1]


@slow
def test_a_request_may_choose_how_it_is_answered(server, seq2seq, folder):
    chosen = {"max_new_tokens": np.int32(5), "seed": np.int32(3)}
    chosen |= {
        name: np.asarray(value, "int32" if name == "top_k" else "float32")
        for name, value in SAMPLED.items()
    }
    got = server.call(folder, "generate", text=SOURCES, **chosen)
    wanted = seq2seq.generate(SOURCES, max_new_tokens=5, seed=3, **SAMPLED)
    assert to_text(got["text"]) == wanted


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_of_the_source_changes_no_token(server, bare, bare_folder, side):
    rows = [[5, 9, 30, 1], [7, 1], [40, 41, 42, 43, 44, 1]]
    ids, mask = np.zeros((3, 9), "int32"), np.zeros((3, 9), bool)
    for index, row in enumerate(rows):
        place = slice(len(row)) if side == "right" else slice(9 - len(row), None)
        ids[index, place], mask[index, place] = row, True
    got = server.call(bare_folder, "tokens", token_ids=ids, padding_mask=mask)
    for index, row in enumerate(rows if side == "left" else ()):
        alone = {"token_ids": np.array([row]), "padding_mask": np.ones([1, len(row)], bool)}
        alone["token_ids"] = alone["token_ids"].astype("int32")
        alone = server.call(bare_folder, "tokens", **alone)
        np.testing.assert_array_equal(got["token_ids"][index], alone["token_ids"][0])
    tf.config.run_functions_eagerly(True)
    try:
        wanted = bare.generate(rows, max_new_tokens=8)
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_array_equal(got["token_ids"], wanted)


@slow
def test_stop_strings_and_bad_words_hold_in_the_exported_model(server, seq2seq, tmp_path):
    plain = seq2seq.generate(SOURCES, max_new_tokens=8)
    stop, word = plain[0][3:5], plain[2][:1]
    options = {"max_new_tokens": 8, "stop_strings": [stop], "bad_words": [word]}
    seq2seq.export(tmp_path / "1", **options)
    wanted = seq2seq.generate(SOURCES, **options)
    assert wanted != plain and not any(stop in text for text in wanted)
    got = server.call(tmp_path / "1", "serving_default", text=SOURCES)
    assert to_text(got["text"]) == wanted


@slow
def test_beams_of_sentence_pieces_need_tensorflow_and_its_text_ops_alone(text_server, tmp_path):
    pieces = lmzoo.tokenizers.SentencePieceTokenizer.train(
        iter([*SOURCES, "the cat sat on that mat"] * 9), 90, num_sentinels=5
    )
    backbone = make_backbone(pieces.vocabulary_size, seed=7)
    lm = lmzoo.tasks.Seq2SeqLM(backbone, pieces, prefix="on: ")
    options = {"max_new_tokens": 8, "num_beams": 3}
    wanted, scores = lm.generate(SOURCES, return_scores=True, **options)
    assert len(set(wanted)) > 2 and any(" " in text for text in wanted)
    lm.export(tmp_path / "1", **options)
    got = text_server.call(tmp_path / "1", "serving_default", text=SOURCES)
    assert to_text(got["text"]) == wanted
    assert text_server.ask("imported") == []
    ids = [[*row, pieces.end_token_id] for row in pieces.tokenize(["on: a cat"]).to_list()]
    named = {"token_ids": np.array(ids, "int32"), "padding_mask": np.ones_like(ids, bool)}
    tokens = text_server.call(tmp_path / "1", "tokens", **named)
    np.testing.assert_allclose(tokens["log_prob"], got["log_prob"][:1], rtol=1e-5)
    # Beams are ranked by the log-probability over the length, here to the power of one.
    lengths = tokens["padding_mask"].sum(axis=1)
    np.testing.assert_allclose(got["log_prob"][:1] / lengths, scores[:1], rtol=1e-5)


def test_an_overlong_source_keeps_its_prefix_and_its_end():
    tokenizer = make_tokenizer()
    lm = make_t5(tokenizer)
    lm.prefix = "a hat: "
    texts = ["one cat", "two cats and a hat " * 4 + "three"]
    token_ids, mask = lm.encode_prompts(tf.constant(texts))
    fixed = _count_fixed(lm)
    assert fixed == len(tokenizer.tokenize("a hat: ").numpy())
    cut_ids, cut_mask = _truncate_left(lm, token_ids, mask, tf.constant([9, 9]), fixed)
    rows = [row[real].tolist() for row, real in zip(token_ids.numpy(), mask.numpy(), strict=True)]
    found = [row[real] for row, real in zip(cut_ids.numpy(), cut_mask.numpy(), strict=True)]
    longest = lm.max_sequence_length
    assert len(rows[1]) > longest and rows[1][-1] == tokenizer.end_token_id
    assert found[0].tolist() == rows[0]
    assert found[1].tolist() == rows[1][:fixed] + rows[1][fixed - longest :]
