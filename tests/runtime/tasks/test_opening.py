"""Files that do not hold what their task needs, and models that LiteRT does not run."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from lmzoo import runtime, tasks
from lmzoo.runtime.batch_engine import BatchEngine
from lmzoo.runtime.engine import Engine
from lmzoo.runtime.tasks.causal_lm import CausalLM
from lmzoo.runtime.tasks.masked_lm import MaskedLM
from lmzoo.runtime.tasks.question_answerer import QuestionAnswerer
from lmzoo.runtime.tasks.seq2seq_lm import Seq2SeqLM
from lmzoo.runtime.tasks.text_classifier import TextClassifier
from lmzoo.runtime.tasks.zero_shot_classifier import ZeroShotClassifier
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer

ENTAILMENT = ["contradiction", "neutral", "entailment"]
TEXTS = ["Peter Blackburn wrote", "", "British lamb " * 40]
LABELS = ["call", "Paris", "a b c"]


@pytest.fixture(scope="module")
def nli():
    """A classifier of entailment."""
    tokenizer = train_tokenizer("word_piece")
    task = tasks.TextClassifier(make_backbone(tokenizer), tokenizer, labels=ENTAILMENT)
    return randomise(task)


@pytest.fixture(scope="module")
def nli_file(nli, export):
    return export(nli).file


def change(file, **changes):
    """The file with another manifest."""
    names = {field.name for field in dataclasses.fields(file.manifest)}
    task = changes.get("task", file.manifest.task)
    options = {name: changes.pop(name) for name in list(changes) if name not in names}
    kept = runtime.manifest.TASKS[task]
    given = {**file.manifest.task_options, **options}
    given = {name: given[name] for name in kept}
    manifest = dataclasses.replace(file.manifest, **changes, task_options=given)
    return dataclasses.replace(file, manifest=manifest)


ZERO_SHOT = {
    "task": "ZeroShotClassifier",
    "template": "It is {}.",
    "entailment": 2,
    "contradiction": 0,
}


@pytest.mark.parametrize("contradiction", [0, None])
def test_zero_shot_labels_are_those_of_the_task(nli, nli_file, contradiction):
    model = ZeroShotClassifier(change(nli_file, **{**ZERO_SHOT, "contradiction": contradiction}))
    task = tasks.ZeroShotClassifier(nli, template="It is {}.")
    calls = [({}, LABELS), ({"top_k": 3, "batch_size": 2}, LABELS)]
    if contradiction is not None:
        calls += [({"multi_label": True, "threshold": 0.2}, LABELS), ({}, LABELS[:1])]
    for options, labels in calls:
        with pytest.warns(UserWarning, match="1 of 3 texts"):
            found = model.classify(TEXTS, labels, **options)
        with pytest.warns(UserWarning, match="1 of 3 texts"):
            wanted = task.classify(TEXTS, labels, **options)
        for mine, theirs in zip(found, wanted, strict=True):
            pairs = zip(*(x if isinstance(x, list) else [x] for x in (mine, theirs)), strict=True)
            for one, other in pairs:
                assert one["label"] == other["label"]
                assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ("a", {}, TypeError, "labels='a'"),
        ([], {}, ValueError, r"labels=\[\]"),
        (["a", ""], {}, ValueError, r"labels=\['a', ''\]"),
        (["a", "a"], {}, ValueError, r"labels=\['a', 'a'\]"),
        (["a " * 60], {}, ValueError, r"Received: \d+ tokens"),
        (["a"], {"multi_label": True}, ValueError, "multi_label=True"),
        (["a"], {"top_k": -1}, ValueError, "top_k=-1"),
    ],
)
def test_wrong_zero_shot_calls_are_refused(nli_file, labels, options, error, message):
    model = ZeroShotClassifier(change(nli_file, **{**ZERO_SHOT, "contradiction": None}))
    with pytest.raises(error, match=message):
        model.classify("x", labels, **options)


QA = {
    "task": "QuestionAnswerer", "no_answer": False, "no_answer_threshold": 0.0,
    "max_question_tokens": 8, "max_answer_tokens": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (ZeroShotClassifier, {**ZERO_SHOT, "template": "x"}, "template='x'"),
        (ZeroShotClassifier, {**ZERO_SHOT, "entailment": 3}, "Received: 3"),
        (QuestionAnswerer, {**QA, "stride": 60}, "stride=60"),
        (TextClassifier, {"vocabulary_size": 100}, "tokens for 100 ids"),
        (
            Seq2SeqLM,
            {"task": "Seq2SeqLM", "prefix": "", "start_token_id": 9999},
            "start_token_id=9999",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_its_model_is_refused(nli_file, kind, changes, message):
    with pytest.raises(ValueError, match=message):
        kind(change(nli_file, **changes))


@pytest.mark.parametrize(
    ("texts", "top_k", "message"),
    [
        ("no mask", 5, r"hold \[MASK\]. Received: 'no mask'"),
        ("[MASK]", 0, "top_k=0"),
        ("[MASK]", 10**6, "top_k=1000000"),
    ],
)
def test_wrong_masks_are_refused(nli_file, texts, top_k, message):
    with pytest.raises(ValueError, match=message):
        MaskedLM(change(nli_file, task="MaskedLM")).fill(texts, top_k)


def test_a_mask_token_is_needed_to_fill(nli_file):
    spec = dataclasses.replace(nli_file.manifest.tokenizer, mask_token_id=None)
    with pytest.raises(ValueError, match="Received: its id is None"):
        MaskedLM(change(nli_file, task="MaskedLM", tokenizer=spec)).fill("x")


def test_a_file_of_another_kind_of_model_is_refused(nli_file, model):
    other = dataclasses.replace(nli_file, signatures={"other": ({}, {})})
    with pytest.raises(ValueError, match="signature 'tokens'. Received: signatures other"):
        TextClassifier(other)
    with pytest.raises(ValueError, match="Received: signatures tokens"):
        CausalLM(change(nli_file, task="CausalLM"))
    with pytest.raises(ValueError, match="hold 99 tokens. Received: 40 slots"):
        CausalLM(change(model.file, max_sequence_length=99))


def test_a_model_with_another_width_is_refused(nli_file):
    with pytest.raises(ValueError, match=r"give 2 numbers. Received: results of shape \(1, 3\)"):
        TextClassifier(change(nli_file, labels=["a", "b"])).classify("x")


def test_questions_and_contexts_are_as_many(nli_file):
    model = QuestionAnswerer(change(nli_file, **{**QA, "stride": 4}))
    with pytest.raises(ValueError, match="2 contexts, 1 questions"):
        model.answer(["a"], ["b", "c"])


@pytest.mark.parametrize("kind", [Engine, BatchEngine])
def test_engines_refuse_what_litert_cannot_run(kind, model, tmp_path):
    for threads, error in (
        ("2", TypeError),
        (True, TypeError),
        (0, ValueError),
        (9999, ValueError),
    ):
        with pytest.raises(error, match=f"num_threads={threads!r}"):
            kind(model.file, threads)
    path = tmp_path / "broken.tflite"
    path.write_bytes(model.file.path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="broken.tflite', and LiteRT says: "):
        kind(dataclasses.replace(model.file, path=path))
    content = memoryview(model.file.path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="and LiteRT says: "):
        kind(dataclasses.replace(model.file, kind="litertlm", model=content))


@pytest.mark.parametrize("kind", [Engine, BatchEngine])
def test_a_missing_package_is_named(kind, model, monkeypatch):
    name = "compiled_model" if kind is Engine else "interpreter"
    monkeypatch.setitem(sys.modules, f"ai_edge_litert.{name}", None)
    with pytest.raises(ImportError, match=f"Received: no package ai_edge_litert.{name}"):
        kind(model.file)


def test_wrong_inputs_are_refused_in_words(nli_file, model):
    engine = BatchEngine(nli_file)
    names = ("token_ids", "segment_ids", "padding_mask")
    inputs = {name: np.ones([1, 4], "int32") for name in names}
    with pytest.raises(ValueError, match=r"`token_ids` must be of shape .*Received: \(4,\)"):
        engine.run("tokens", {**inputs, "token_ids": np.ones([4], "int32")})
    with pytest.raises(ValueError, match="LiteRT's error in 'tokens': .*bounds"):
        engine.run("tokens", {**inputs, "token_ids": np.full([1, 4], 10**6, "int32")})
    session = Engine(model.file).open_session("decode")
    session.write("tokens", np.array([[10**6]]))
    with pytest.raises(ValueError, match="LiteRT's error in 'decode'"):
        session.run()


def test_a_signature_that_cannot_be_prepared_is_refused(model):
    engine = Engine(model.file)
    engine._numbers["none"] = 99
    with pytest.raises(ValueError, match="Received: 'none', and LiteRT says"):
        engine.open_session("none")


DAMAGE = """
import sys
import numpy as np
from lmzoo import runtime
path, out = sys.argv[1:]
content, generator = open(path, "rb").read(), np.random.default_rng(0)
for _ in range(60):
    changed = bytearray(content)
    for place in generator.integers(20_000, size=generator.integers(1, 4)):
        changed[place % len(changed)] = generator.choice([0, 1, 127, 255])
    open(out, "wb").write(changed)
    try:
        runtime.load(out, 1).generate("a", max_new_tokens=2)
    except ValueError as error:
        pass
print("alive")
"""


def test_damaged_models_are_refused_and_the_process_lives(model, tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(model.file.path), str(tmp_path / "damaged.tflite")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0 and "alive" in child.stdout, child.stderr[-2000:]
