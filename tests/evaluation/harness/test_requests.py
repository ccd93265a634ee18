"""What the harness asks, of a task and of its SavedModel, without the harness."""

import types

import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.evaluation.harness import harness_model
from lmzoo.evaluation.harness.backends import SavedModelBackend, TaskBackend, open_backend
from lmzoo.evaluation.harness.requests import HarnessRequests, cut_at, encode_pairs, read_options
from lmzoo.export.scoring import make_scoring_signatures
from tests.evaluation.tiny import make_lm
from tests.tasks import tiny_t5
from tests.tasks.small_encoders import make_encoder, word_pieces

PAIRS = [
    ("def main", "(argument):"),
    ("a cat ", "sat"),
    ("", "The quick"),
    ("The quick brown fox. " * 20, "def"),
    ("我喜欢", "编程。"),
]
TASKS = ("decoder", "encoder_decoder")


class Hook:
    """What the harness keeps of results."""

    def __init__(self):
        self.kept = []

    def add_partial(self, *entry):
        self.kept.append(entry)


class Requests(HarnessRequests):
    def __init__(self, backend):
        self.backend, self.batch_size, self.cache_hook = backend, 2, Hook()


def ask(*rows):
    return [types.SimpleNamespace(args=row) for row in rows]


@pytest.fixture(scope="module")
def tasks():
    t5 = tiny_t5.make_lm(tiny_t5.make_tokenizer(), prefix="to digits: ")
    return {"decoder": make_lm(), "encoder_decoder": t5}


def compute_log_probs(task, before, scored):
    """The sum of the log-probabilities of tokens, from one forward pass, and if all are the best.

    Attention is causal, so those of a place depend on no later token; see
    `tests/layers/attention/test_masks.py`.
    """
    if task.is_encoder_decoder:
        inputs = {
            "encoder_token_ids": np.array([[*before, task.tokenizer.end_token_id]]),
            "decoder_token_ids": np.array([[task.start_token_id, *scored[:-1]]]),
        }
    else:
        inputs = {"token_ids": np.array([[*before, *scored[:-1]]])}
    logits = task(inputs).numpy()[0, -len(scored) :].astype("float64")
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    chosen = probabilities[np.arange(len(scored)), scored]
    return np.log(chosen).sum(), (logits.argmax(-1) == scored).all()


@pytest.mark.quick("decoder")
@pytest.mark.parametrize("name", TASKS)
def test_continuations_have_the_probability_of_their_tokens(tasks, name):
    pairs = PAIRS if name == "decoder" else [("one cat", "1"), ("two cats ", "2"), ("", "猫")]
    model = Requests(TaskBackend(tasks[name], "tiny"))
    found = model.loglikelihood(ask(*pairs), disable_tqdm=True)
    for (before, scored), result in zip(encode_pairs(model.backend, pairs), found, strict=True):
        wanted = compute_log_probs(tasks[name], before, scored)
        assert result[0] == pytest.approx(wanted[0], rel=1e-4)
        assert result[1] == wanted[1]
    assert model.cache_hook.kept[0] == ("loglikelihood", pairs[0], found[0])


def test_what_greedy_decoding_writes_is_greedy(tasks):
    model = Requests(TaskBackend(tasks["decoder"], "tiny"))
    text = tasks["decoder"].generate("def main", max_new_tokens=4, return_prompt=False)
    windows = encode_pairs(model.backend, [("def main", text)])
    before, scored = windows[0]
    # What was written may have other tokens when it is read.
    if tasks["decoder"].tokenizer.detokenize([scored]).numpy()[0].decode() == text:
        ((_, is_greedy),) = model._score(windows, False)
        assert is_greedy == compute_log_probs(tasks["decoder"], before, scored)[1]
    ((_, other),) = model.loglikelihood(ask(("def main", "我")), True)
    assert not other


def test_contexts_keep_their_end_and_spaces_belong_to_what_follows(tasks):
    backend = TaskBackend(tasks["decoder"], "tiny")
    windows = encode_pairs(backend, PAIRS)
    (start,), (spaced,) = backend.encode([""]), backend.encode([" sat"])
    assert windows[2][0] == start
    assert windows[1] == (backend.encode(["a cat"])[0], spaced)
    long = backend.encode([PAIRS[3][0].rstrip()])[0]
    before, scored = windows[3]
    assert len(before) + len(scored) == backend.longest + 1
    assert before == long[-len(before) :]
    with pytest.raises(ValueError, match="0 in request 0"):
        encode_pairs(backend, [("a", "")])
    with pytest.raises(ValueError, match=r"from 1 to 32 tokens. Received: \d+ in request 1"):
        encode_pairs(backend, [("a", "b"), ("a", "x9" * 40)])


@pytest.mark.parametrize("name", TASKS)
def test_whole_texts_are_scored_in_windows(tasks, name):
    task = tasks[name]
    text = "The quick brown fox. " * 5 if name == "decoder" else "three cats and a hat " * 5
    model = Requests(TaskBackend(task, "tiny"))
    found = model.loglikelihood_rolling(ask((text,), ("",)), disable_tqdm=True)
    ids = task.tokenizer.tokenize([text]).to_list()[0]
    longest, start, wanted = model.backend.longest, model.backend.start_token_id, 0.0
    assert len(ids) > longest
    # The harness's rule: the first window, then whole ones after one token, then the rest after
    # as much as fits.
    whole = [start, *ids]
    for done in range(0, len(ids), longest):
        scored = ids[done : done + longest]
        first = max(0, done + len(scored) - longest)
        wanted += compute_log_probs(task, whole[first : done + 1], scored)[0]
    assert found == [pytest.approx(wanted, rel=1e-4), 0.0]
    assert model.cache_hook.kept[1] == ("loglikelihood_rolling", ("",), 0.0)


@pytest.mark.parametrize("name", TASKS)
def test_signatures_score_as_the_task_does(tasks, monkeypatch, name):
    # As they are when a SavedModel was written and opened, which takes longer.
    signatures = {**make_scoring_signatures(tasks[name]), "generate": None}
    module = types.SimpleNamespace(signatures=signatures)
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: module)
    exported, own = Requests(SavedModelBackend("folder")), Requests(TaskBackend(tasks[name], ""))
    pairs = ask(*PAIRS[:3]) if name == "decoder" else ask(("one cat", "1"), ("", "2"))
    found = [model.loglikelihood(pairs, True) for model in (exported, own)]
    for got, wanted in zip(*found, strict=True):
        assert got == (pytest.approx(wanted[0], rel=1e-4), wanted[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_saved_model_answers_as_the_task_does(tasks, tmp_path, name):
    task, folder = tasks[name], tmp_path / "1"
    task.export(folder, scoring=True)
    exported = Requests(open_backend(folder))
    own = Requests(TaskBackend(task, "tiny"))
    assert isinstance(exported.backend, SavedModelBackend)
    for about in ("is_encoder_decoder", "longest", "start_token_id", "prefix"):
        assert getattr(exported.backend, about) == getattr(own.backend, about)
    pairs = ask(*PAIRS[:3]) if name == "decoder" else ask(("one cat", "1"), ("", "2"))
    found = [model.loglikelihood(pairs, True) for model in (exported, own)]
    for got, wanted in zip(*found, strict=True):
        assert got == (pytest.approx(wanted[0], rel=1e-4), wanted[1])
    text = ask(("The quick brown fox. " * 3,))
    got = exported.loglikelihood_rolling(text, True)
    assert got == [pytest.approx(own.loglikelihood_rolling(text, True)[0], rel=1e-4)]
    options = {"until": ["\n", "argument"], "max_gen_toks": 6}
    asked = ask(("def main", options), ("a cat", options), ("one", {**options, "until": "7"}))
    assert exported.generate_until(asked, True) == own.generate_until(asked, True)


def test_generation_ends_before_a_stop_string_and_keeps_the_end_of_a_context(tasks):
    model = Requests(TaskBackend(tasks["decoder"], "tiny"))
    whole = tasks["decoder"].generate("def", max_new_tokens=8, return_prompt=False)
    stop = whole[2:4]
    asked = ask(
        ("def", {"until": [stop], "max_new_tokens": 8, "do_sample": False, "temperature": 0.7}),
        ("The quick brown fox. " * 20, {"max_gen_toks": 4}),
        ("def", {"max_gen_toks": 8, "do_sample": True, "top_k": 3, "seed": 1}),
    )
    found = model.generate_until(asked, disable_tqdm=True)
    assert found[0] == whole.partition(stop)[0]
    assert len(model.cache_hook.kept) == 3
    again = model.generate_until(asked[2:], disable_tqdm=True)
    assert again == found[2:]


def test_options_of_the_harness_become_those_of_generation():
    assert read_options({"until": "a"}, 64) == {
        "max_new_tokens": 32,
        "temperature": 0.0,
        "stop_strings": ("a",),
    }
    options = {"until": ["a", ""], "max_tokens": 5, "do_sample": True, "top_p": 0.9}
    assert read_options(options, 64) == {
        "max_new_tokens": 5,
        "temperature": 1.0,
        "stop_strings": ("a",),
        "top_p": 0.9,
    }
    assert read_options({}, 10_000)["max_new_tokens"] == 256
    assert read_options({"do_sample": False, "temperature": 0.5}, 64)["temperature"] == 0.0
    with pytest.raises(ValueError, match="context of 64 tokens. Received: max_gen_toks=64"):
        read_options({"max_gen_toks": 64}, 64)
    assert cut_at("a b c d", ("d", "b")) == "a "


def test_a_model_that_cannot_answer_is_refused(tasks, tmp_path):
    classifier = lmzoo.tasks.TextClassifier(make_encoder(), word_pieces(), num_classes=2)
    with pytest.raises(TypeError, match="Received: a TextClassifier"):
        open_backend(classifier)
    with pytest.raises(ValueError, match="tokenizer=None"):
        open_backend(lmzoo.tasks.CausalLM(tasks["decoder"].backbone))
    with pytest.raises(FileNotFoundError, match="none"):
        open_backend(str(tmp_path / "none"))


@pytest.mark.slow
def test_a_saved_model_without_scores_generates_alone(tasks, tmp_path):
    tasks["decoder"].export(tmp_path / "plain", return_prompt=False)
    plain = Requests(open_backend(tmp_path / "plain"))
    options = {"max_gen_toks": 4}
    own = Requests(TaskBackend(tasks["decoder"], "tiny"))
    asked = ask(("def", options))
    assert plain.generate_until(asked, True) == own.generate_until(asked, True)
    with pytest.raises(ValueError, match="`tokenize`: a SavedModel that .*`scoring=True`"):
        plain.loglikelihood(ask(("a", "b")), True)
    with pytest.raises(ValueError, match="Received: num_beams"):
        plain.generate_until(ask(("a", {**options, "num_beams": 2})), True)


def test_the_harness_that_is_missing_is_named(tasks, monkeypatch):
    from lmzoo.evaluation.harness import model

    model._get_class.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "lm_eval.api.model", None)
    with pytest.raises(ImportError, match=r"lmzoo\[lm-eval\]"):
        harness_model(tasks["decoder"])
