"""MaskedLM: what it hides, learns, fills in and keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows, masked_lm
from lmzoo.tasks import MaskedLM
from tests.tasks.small_encoders import TEXTS, byte_pairs, draw_weights, make_encoder, word_pieces


def make_masked_lm(tokenizer=None, **options):
    tokenizer = tokenizer or word_pieces()
    return draw_weights(MaskedLM(make_encoder(tokenizer), tokenizer, **options))


@pytest.fixture(scope="module")
def lm():
    model = make_masked_lm()
    model.compile(keras.optimizers.SGD(0.0))
    return model


def score_words(lm, text):
    """For each mask of a text its words, best first, and their probabilities, in NumPy."""
    tokenizer = lm.tokenizer
    ids = tokenizer.tokenize(text, allow_special=[tokenizer.mask_token]).numpy()
    ids = np.r_[tokenizer.start_token_id, ids, tokenizer.end_token_id].astype("int32")
    logits = lm({"token_ids": ids[None]}).numpy()[0].astype("float64")
    logits -= logits.max(-1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    special = [tokenizer.token_to_id(token) for token in tokenizer.special_tokens]
    probabilities[:, special] = 0
    found = []
    for row in probabilities[ids == tokenizer.mask_token_id]:
        order = np.argsort(-row)
        words = [tokenizer.detokenize([int(index)]).numpy().decode() for index in order[:4]]
        found.append((words, row[order[:4]]))
    return found


@pytest.mark.quick("word_pieces")
@pytest.mark.parametrize("make", [word_pieces, byte_pairs])
def test_masks_are_filled_with_the_likeliest_words(make):
    lm, mask = make_masked_lm(make()), make().mask_token
    texts = [f"a {mask} film", f"{mask} good{mask} cat {mask}", f"the cat sat on a {mask}"]
    answers = lm.fill(texts, top_k=3, batch_size=2)
    alone = lm.fill(texts[0], top_k=3)
    assert [each["token"] for each in alone] == [each["token"] for each in answers[0]]
    for text, answer in zip(texts, answers, strict=True):
        wanted = score_words(lm, text)
        masks = [answer] if text.count(mask) == 1 else answer
        assert len(masks) == len(wanted) == text.count(mask)
        for found, (words, scores) in zip(masks, wanted, strict=True):
            assert [each["token"] for each in found] == words[:3]
            assert [each["score"] for each in found] == pytest.approx(scores[:3], rel=1e-4)


def test_white_space_before_a_stripping_mask_is_no_token():
    lm = make_masked_lm(byte_pairs())
    first, second = lm.fill(["a good <mask>", "a good<mask>"])
    assert [each["token"] for each in first] == [each["token"] for each in second]


def test_other_special_tokens_in_a_text_stay_text(lm):
    answer = lm.fill("[CLS] a [MASK] [SEP]", top_k=1)
    (words, scores), *rest = score_words(lm, "[CLS] a [MASK] [SEP]")
    assert not rest and answer[0]["token"] == words[0]
    assert answer[0]["score"] == pytest.approx(scores[0], rel=1e-4)
    ids = lm.tokenizer.tokenize("[CLS] a [MASK]", allow_special=["[MASK]"]).numpy().tolist()
    assert lm.tokenizer.start_token_id not in ids and lm.tokenizer.mask_token_id in ids


def test_a_second_call_traces_nothing():
    lm, calls = make_masked_lm(), []
    fill = lm._fill
    lm._fill = lambda text, top_k: (calls.append(top_k), fill(text, top_k))[1]
    lm.fill("a [MASK]")
    lm.fill(["the [MASK] sat on [MASK]", "[MASK]"])
    assert len(calls) == 1


def test_the_loss_is_the_mean_over_hidden_tokens(lm):
    """Of rows that have one or two hidden tokens, or none at all."""
    texts = ["good film cat dog mat sat ran on and", "", "a cat"]
    inputs, labels, weights = lm.encode({"text": tf.constant(texts)}, tf.constant(0, tf.int64))[:3]
    labels, weights = labels.numpy(), weights.numpy()
    assert weights.sum(1).tolist() == [1, 0, 1]
    logits = lm(inputs).numpy().astype("float64")
    logits -= logits.max(-1, keepdims=True)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_probs, labels[..., None], -1)[..., 0]
    is_right = logits.argmax(-1) == labels
    wanted = (
        -(picked * weights).sum() / weights.sum(),
        (is_right * weights).sum() / weights.sum(),
    )
    assert lm.evaluate(texts, verbose=0) == pytest.approx(wanted, rel=1e-5)
    rows = make_rows(text=texts, weight=[1.0, 5.0, 0.0])
    assert lm.evaluate(rows, verbose=0)[0] == pytest.approx(-picked[0, 0], rel=1e-5)


def test_texts_without_a_word_weigh_nothing(lm):
    history = lm.fit(["", ""], verbose=0).history
    assert history["loss"] == [0.0]


@pytest.mark.slow
def test_each_epoch_hides_other_tokens_and_validation_the_same(lm):
    history = lm.fit(TEXTS, epochs=3, shuffle=False, validation_data=(TEXTS,), verbose=0).history
    assert len(set(history["loss"])) == 3
    assert len(set(history["val_loss"])) == 1
    again = lm.fit(TEXTS, epochs=3, initial_epoch=1, shuffle=False, verbose=0).history
    assert again["loss"] == history["loss"][1:]


@pytest.mark.slow
def test_eight_sentences_are_learned():
    keras.utils.set_random_seed(0)
    lm = MaskedLM(make_encoder(hidden_dim=32), word_pieces(), mask_rate=0.2)
    lm.compile(keras.optimizers.Adam(0.01))
    pairs = ["cat dog", "good bad", "mat film", "a the", "sat ran", "on and", "not very", "x y"]
    texts = [f"{pair} {pair}" for pair in pairs]
    losses = lm.fit(texts, batch_size=8, epochs=120, verbose=0).history["loss"]
    assert np.mean(losses[-10:]) < 0.25 * losses[0]
    assert lm.fill("cat [MASK] cat dog")[0]["token"] == "dog"


@pytest.mark.slow
def test_batches_out_of_files_train(lm, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS * 4))
    data = masked_lm(
        path, word_pieces(), sequence_length=10, batch_size=4, cache_dir=tmp_path, verbose=False
    )
    history = lm.fit(data, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_a_keras_file_brings_back_what_it_fills(tmp_path):
    lm = make_masked_lm(mask_rate=0.3, whole_word=True, sequence_length=12)
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    assert again.fill("a [MASK] film") == lm.fill("a [MASK] film")
    assert (again.mask_rate, again.whole_word, again.sequence_length) == (0.3, True, 12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": "a film"}, ValueError, r"must hold \[MASK\]. Received: 'a film' at index 0"),
        ({"texts": ["[MASK]", "[mask]"]}, ValueError, r"Received: '\[mask\]' at index 1"),
        ({"texts": "a " * 40 + "[MASK]"}, ValueError, "within 32 tokens. Received: 'a a"),
        ({"texts": "[MASK] " + "a " * 40 + "[MASK]"}, ValueError, r"Received: '\[MASK\] a a"),
        ({"texts": 3}, TypeError, "Received: texts=3"),
        ({"top_k": 0}, ValueError, "Received: top_k=0"),
        ({"top_k": 10**6}, ValueError, "Received: top_k=1000000"),
        ({"top_k": "5"}, ValueError, "Received: top_k='5'"),
    ],
)
@pytest.mark.filterwarnings("ignore:1 of 1 texts")
def test_wrong_questions_are_refused(lm, options, error, message):
    with pytest.raises(error, match=message):
        lm.fill(**{"texts": "[MASK]", **options})


def test_labels_of_the_callers_are_refused(lm):
    with pytest.raises(ValueError, match=r"`y` must be None: .* Received: a list\."):
        lm.fit(["the cat"], ["sat"], verbose=0)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="Received: mask_rate=0"):
        MaskedLM(make_encoder(), word_pieces(), mask_rate=0)
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        MaskedLM(make_encoder()).fill("[MASK]")
