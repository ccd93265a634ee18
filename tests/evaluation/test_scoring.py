"""Sliding windows, and likelihoods beside those that one pass over a short text gives."""

import contextlib
import math

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.evaluation import evaluate, scoring
from lmzoo.evaluation.baselines import LSTMLM, KneserNeyLM, evaluate_baselines
from lmzoo.evaluation.scoring import list_windows, score_tokens
from tests.evaluation.tiny import CODE, make_lm, train_tokenizer
from tests.tasks import tiny_t5

QUICK = {"num_resamples": 20}
TEXTS = ["def main():\n    return 1", "我喜欢编程。", "a = 1\n" * 30]


@pytest.fixture(scope="module")
def lm():
    return make_lm()


@pytest.fixture(scope="module")
def t5():
    return tiny_t5.make_lm(tiny_t5.make_tokenizer())


def score_after(lm, context, tokens):
    """Log-probabilities of tokens after a context, (T,), from the logits of one forward pass."""
    token_ids = np.array([[*context, *tokens[:-1]]])
    logits = lm({"token_ids": token_ids}).numpy()[0, -len(tokens) :].astype("float64")
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    return np.log(probabilities[np.arange(len(tokens)), tokens])


def to_ids(lm, text):
    return lm.tokenizer.tokenize(tf.constant([text])).to_list()[0]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("stride", [1, 3, 8])
def test_windows_score_each_token_once_with_what_fits_before(size, stride):
    ids, longest = list(range(100, 100 + size)), 8
    windows = list_windows(ids, 0, longest, stride)
    assert sum((scored for _, scored in windows), []) == ids
    done = 0
    for context, scored in windows:
        assert len(context) + len(scored) <= longest + 1
        assert context == ([0, *ids])[: done + 1][-len(context) :]
        if done:
            # As many as fit, and no fewer than the stride leaves.
            assert len(context) == min(longest + 1 - len(scored), done)
        done += len(scored)


def test_the_likelihood_of_a_short_text_is_that_of_its_tokens(lm):
    found = evaluate(lm, {"text": TEXTS[:2]}, **QUICK)
    nats, count = 0.0, 0
    for text in TEXTS[:2]:
        ids = to_ids(lm, text)
        nats -= score_after(lm, [lm.tokenizer.start_token_id], ids).sum()
        count += len(ids)
    assert found.scores["perplexity"].value == pytest.approx(math.exp(nats / count), rel=1e-5)
    num_bytes = sum(len(text.encode()) for text in TEXTS[:2])
    bits = found.scores["bits_per_byte"].value
    assert bits == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)
    np.testing.assert_allclose(nats, -sum(map(np.sum, lm.score(TEXTS[:2]))), rtol=1e-5)


def test_a_long_text_is_scored_with_the_context_that_a_window_has(lm):
    ids = to_ids(lm, TEXTS[2])
    longest, stride = lm.max_sequence_length, 10
    assert len(ids) > 2 * longest
    found = evaluate(lm, {"text": [TEXTS[2]]}, "perplexity", stride=stride, **QUICK)
    # The window that holds a token begins where its last scored token has a full context.
    whole, windows = [lm.tokenizer.start_token_id, *ids], {}
    for place in range(1, len(whole)):
        last = max(longest, longest + math.ceil((place - longest) / stride) * stride)
        windows.setdefault(max(0, min(last, len(ids)) - longest), []).append(place)
    nats = 0.0
    for first, places in windows.items():
        scored = whole[places[0] : places[-1] + 1]
        nats -= score_after(lm, whole[first : places[0]], scored).sum()
    wanted = math.exp(nats / len(ids))
    assert found.scores["perplexity"].value == pytest.approx(wanted, rel=1e-4)
    assert found.scores["perplexity"].unit == "windows"


def test_many_documents_are_resampled_as_documents(lm):
    found = evaluate(lm, {"text": ["a cat"] * 19 + [TEXTS[2]]}, **QUICK)
    assert (found.scores["perplexity"].num_rows, found.scores["perplexity"].unit) == (
        *(20, "documents"),
    )


def test_files_are_documents_and_tables_have_texts(lm, tmp_path):
    (tmp_path / "a.txt").write_text(TEXTS[0])
    (tmp_path / "a.jsonl").write_text('{"text": "def main():\\n    return 1", "more": 1}\n')
    (tmp_path / "a.csv").write_text('body\n"def main():\n    return 1"\n')
    values = [
        evaluate(lm, tmp_path / name, "bits_per_byte", columns=columns, **QUICK)
        for name, columns in (("a.txt", None), ("a.jsonl", None), ("a.csv", {"text": "body"}))
    ]
    assert len({found.scores["bits_per_byte"].value for found in values}) == 1


def test_scores_say_which_tokens_greedy_decoding_would_choose(lm):
    start, prompt = lm.tokenizer.start_token_id, to_ids(lm, "def main")
    chosen = int(lm({"token_ids": np.array([prompt])}).numpy()[0, -1].argmax())
    windows = [(prompt, [chosen]), (prompt, [(chosen + 1) % 300]), ([start], to_ids(lm, "def"))]
    found = score_tokens(lm, windows, batch_size=2)
    assert found[0][1].tolist() == [True]
    assert found[1][1].tolist() == [False]
    np.testing.assert_allclose(found[2][0], lm.score("def"), rtol=1e-5)


def test_batches_are_smaller_where_logits_would_be_many(lm, monkeypatch):
    windows = [([0], to_ids(lm, text)) for text in ("a cat", "def main", "a", "return 1")]
    wanted = score_tokens(lm, windows)
    monkeypatch.setattr(scoring, "_MAX_LOGITS", 1)
    sizes = []

    @contextlib.contextmanager
    def watch(label, total, verbose):
        yield sizes.append

    monkeypatch.setattr(scoring, "progress_bar", watch)
    for (got, _), (log_probs, _) in zip(score_tokens(lm, windows), wanted, strict=True):
        np.testing.assert_allclose(got, log_probs, rtol=1e-5)
    assert sizes == [1] * 4
    assert score_tokens(lm, []) == []


def test_scores_that_are_not_finite_are_refused():
    broken = make_lm()
    broken.backbone.weights[0].assign(np.full(broken.backbone.weights[0].shape, np.nan))
    with pytest.raises(ValueError, match="Received: NaN or infinity"):
        evaluate(broken, {"text": ["a"]}, "perplexity")


def test_targets_are_scored_after_their_sources(lm, t5):
    rows = {"source": ["def", "a cat"], "target": [" main", " sat"]}
    found = evaluate(lm, rows, "perplexity", **QUICK).scores["perplexity"].value
    scores = np.concatenate(lm.score(rows["target"], rows["source"]))
    assert found == pytest.approx(np.exp(-scores.mean()), rel=1e-5)
    sources, targets = tiny_t5.SOURCES[:3], tiny_t5.TARGETS[:3]
    rows = {"source": sources, "target": targets}
    found = evaluate(t5, rows, "perplexity", **QUICK).scores["perplexity"].value
    scores = np.concatenate(t5.score(sources, targets))
    assert found == pytest.approx(np.exp(-scores.mean()), rel=1e-5)


def test_written_texts_are_scored_beside_references(lm, t5, tmp_path):
    options = {"generation": {"max_new_tokens": 4}, **QUICK}
    rows = {"source": ["def main", "a", "class"], "target": [["a", "(x)"], ["b", "c"], ["d", "e"]]}
    found = evaluate(lm, rows, "chrf,rougeL,distinct_1,length_ratio", **options)
    texts = lm.generate(rows["source"], max_new_tokens=4, return_prompt=False)
    values = {name: score.value for name, score in found.scores.items()}
    assert values["chrf"] == pytest.approx(lmzoo.metrics.chrf(texts, rows["target"])["chrf"])
    assert values["rougeL"] == lmzoo.metrics.rouge(texts, rows["target"])["rougeL"]["f1"]
    assert values["distinct_1"] == pytest.approx(lmzoo.metrics.distinct_n(texts, 1))
    (tmp_path / "sources.txt").write_text("one cat\ntwo cats\n")
    (tmp_path / "targets.txt").write_text("1\n2\n")
    files = tmp_path / "sources.txt", tmp_path / "targets.txt"
    found = evaluate(t5, files[0], "match_rate,bleu", references=files[1], **options)
    texts = t5.generate(["one cat", "two cats"], max_new_tokens=4)
    assert found.scores["match_rate"].value == lmzoo.metrics.match_rate(texts, ["1", "2"])
    alone = evaluate(lm, {"source": ["a", "b"]}, **options)
    assert list(alone.scores) == ["distinct_1", "distinct_2", "self_bleu", "repetition_rate_4"]


def test_references_of_another_length_are_refused(lm, tmp_path):
    (tmp_path / "sources.txt").write_text("one\ntwo\n")
    (tmp_path / "targets.txt").write_text("1\n2\n3\n")
    with pytest.raises(ValueError, match="Received: 3 references, 2 rows"):
        evaluate(lm, tmp_path / "sources.txt", references=tmp_path / "targets.txt")
    with pytest.raises(TypeError, match="Received: a int"):
        evaluate(lm, {"source": ["a"]}, references=3)


def test_a_stride_beyond_the_context_is_refused(lm):
    for stride in (0, 65):
        with pytest.raises(ValueError, match=f"stride={stride}"):
            evaluate(lm, {"text": ["a"]}, stride=stride)
    with pytest.raises(ValueError, match="texts without a token"):
        evaluate(lm, {"text": [""]})
    with pytest.raises(ValueError, match="tokenizer=None"):
        evaluate(lmzoo.tasks.CausalLM(lm.backbone), {"text": ["a"]})


def test_baselines_stand_beside_a_model_on_the_same_windows(lm):
    data = {"text": [CODE * 4, "The quick brown fox. " * 9]}
    own = evaluate(lm, data, **QUICK)
    others = evaluate_baselines(lm, data, list(own.scores), {"text": [CODE] * 20}, **QUICK)
    assert [one.name for one in others] == ["KneserNeyLM", "LSTMLM"]
    # Random weights know less than counts do.
    assert others[0].scores["perplexity"].value < own.scores["perplexity"].value
    compared = lmzoo.evaluation.compare(own, *others)
    assert compared.differences[0]["bits_per_byte"].value > 0
    with pytest.raises(ValueError, match="to fit KneserNeyLM, LSTMLM. Received: train=None"):
        evaluate_baselines(lm, data, ["perplexity"])
    with pytest.raises(ValueError, match="chrf for a CausalLM"):
        evaluate_baselines(lm, data, ["chrf"], data)


def test_a_task_without_baselines_is_refused(t5):
    with pytest.raises(ValueError, match="Received: a Seq2SeqLM"):
        evaluate_baselines(t5, {"source": ["a"], "target": ["b"]}, ["chrf"])


def test_an_lstm_learns_what_it_is_shown_and_scores_windows_alike():
    baseline = LSTMLM(train_tokenizer(), hidden_dim=32, max_sequence_length=16, seed=1)
    text = "a = 1\nb = 2\n"
    before = evaluate(baseline, {"text": [text]}, "perplexity", **QUICK).scores["perplexity"].value
    baseline.fit([text] * 40, epochs=30, batch_size=8, learning_rate=2e-2)
    after = evaluate(baseline, {"text": [text]}, "perplexity", **QUICK).scores["perplexity"].value
    assert after < 2 < before / 50
    ids = baseline.tokenizer.tokenize(text).numpy().tolist()
    windows = [([0], ids[:4]), ([0, *ids[:2]], ids[2:4]), ([0], ids[:2])]
    whole, tail, head = baseline.score_windows(windows)
    np.testing.assert_allclose(np.concatenate([head, tail]), whole, atol=1e-5)


def test_a_model_of_counts_is_compared_on_windows_of_its_own():
    baseline = KneserNeyLM(train_tokenizer()).fit([CODE])
    found = evaluate(baseline, {"text": [CODE, CODE]}, "perplexity", **QUICK)
    assert found.scores["perplexity"].num_rows == 2
