"""The signatures that score texts: what they give, and what they refuse."""

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.export.scoring import make_scoring_signatures
from tests.export.tiny_lm import CONTEXT, TEXT, make_task
from tests.tasks import tiny_t5


@pytest.fixture(scope="module")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    return make_task(tokenizer)


@pytest.fixture(scope="module")
def signatures(lm):
    return make_scoring_signatures(lm)


def pad(rows, side="right"):
    width = max(1, *map(len, rows))
    ids, mask = np.zeros([len(rows), width], "int32"), np.zeros([len(rows), width], bool)
    for index, row in enumerate(rows):
        part = slice(None, len(row)) if side == "right" else slice(width - len(row), None)
        ids[index, part], mask[index, part] = row, True
    return tf.constant(ids), tf.constant(mask)


def call(signatures, prompts, texts, side="right"):
    (prompt_ids, prompt_mask), (token_ids, mask) = pad(prompts, side), pad(texts, side)
    found = signatures["score"](prompt_ids, prompt_mask, token_ids, mask)
    return {name: value.numpy() for name, value in found.items()}


@pytest.mark.parametrize("side", ["left", "right"])
def test_tokens_have_the_scores_of_the_task(lm, signatures, side):
    texts = ["a cat sat", "the rat", "on the mat and that hat"]
    found = {name: x.numpy() for name, x in signatures["tokenize"](tf.constant(texts)).items()}
    pairs = zip(found["token_ids"], found["padding_mask"], strict=True)
    ids = [row[mask].tolist() for row, mask in pairs]
    assert ids == lm.tokenizer.tokenize(texts).to_list()
    assert found["max_sequence_length"] == CONTEXT and not found["is_encoder_decoder"]
    start = int(found["start_token_id"])
    outputs = call(signatures, [[start]] * 3, ids, side)
    for row, best, wanted in zip(
        outputs["log_probs"], outputs["is_greedy"], lm.score(texts), strict=True
    ):
        np.testing.assert_allclose(row[: len(wanted)], wanted, rtol=1e-5)
        assert not row[len(wanted) :].any() and not best[len(wanted) :].any()


def test_a_target_is_scored_after_its_source():
    t5 = tiny_t5.make_lm(tiny_t5.make_tokenizer(), prefix="to digits: ")
    signatures = make_scoring_signatures(t5)
    about = signatures["tokenize"](tf.constant(["to digits: one cat", "1"]))
    source, target = (
        row[mask].tolist()
        for row, mask in zip(about["token_ids"].numpy(), about["padding_mask"].numpy(), strict=True)
    )
    assert about["prefix"].numpy().decode() == "to digits: "
    assert about["start_token_id"] == t5.start_token_id and about["is_encoder_decoder"]
    found = call(signatures, [source], [target])["log_probs"][0]
    np.testing.assert_allclose(found, t5.score("one cat", "1")[:-1], rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 23 tokens, a target 24"):
        call(signatures, [[3] * 24], [[4]])


def test_requests_that_do_not_fit_are_refused(signatures):
    refused = tf.errors.InvalidArgumentError
    assert call(signatures, [[3] * CONTEXT], [[4]])["log_probs"].shape == (1, 1)
    with pytest.raises(refused, match=f"at most {CONTEXT + 1} tokens"):
        call(signatures, [[3] * CONTEXT], [[4, 5]])
    with pytest.raises(refused, match="`prompt_mask` must have a True"):
        call(signatures, [[3], []], [[4], [5]])
    with pytest.raises(refused, match="same number of rows"):
        call(signatures, [[3]], [[4], [5]])
    with pytest.raises(refused, match="`token_ids` must be from 0 to 284"):
        call(signatures, [[3]], [[285]])
    with pytest.raises(refused, match="`prompt_ids` must be from 0 to 284"):
        call(signatures, [[-1]], [[2]])


def test_a_task_on_ids_has_no_texts_to_score(lm):
    with pytest.raises(ValueError, match="tokenizer=None"):
        make_scoring_signatures(lmzoo.tasks.CausalLM(lm.backbone))
