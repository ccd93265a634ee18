"""Tasks that read, served by a process that has TensorFlow alone."""

import os
import pathlib
import sys

import numpy as np
import pytest

import lmzoo
from lmzoo.export import check
from lmzoo.export.self_test import run_self_test
from lmzoo.tasks import MaskedLM, QuestionAnswerer, TextClassifier, TokenClassifier
from tests.encoder_tasks import TEXT, make_backbone, randomise, train_tokenizer
from tests.export.graph_files import read_graph
from tests.export.killed_export import export_and_die
from tests.export.serving_process import ServingError

# One of the texts is too long on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.*were truncated")
LONGEST = 24
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TASKS = {
    "classifier": lambda *parts: TextClassifier(*parts, labels=["bad", "good", "só so"]),
    "multi_label": lambda *parts: TextClassifier(*parts, num_classes=3, multi_label=True),
    "masked_lm": lambda *parts: MaskedLM(*parts),
    "tagger": lambda *parts: TokenClassifier(*parts, TAGS),
    "answerer": lambda *parts: QuestionAnswerer(*parts, no_answer=True, max_question_tokens=4),
    # Another tokenizer, and a backbone whose segments are one.
    "byte_pair_tagger": lambda *parts: TokenClassifier(*parts, TAGS),
}
TEXTS = ["EU rejects German call.", "", "naïve 猫 🙂 don't!", " \n ", "Paris " * 40, "x"]


@pytest.fixture(scope="module")
def tasks():
    """Each task, made at its first use."""
    made = {}

    def get(name):
        if name not in made:
            kind = "byte_pair" if name.startswith("byte_pair") else "word_piece"
            tokenizer = train_tokenizer(kind)
            backbone = make_backbone(tokenizer, max_sequence_length=LONGEST)
            made[name] = randomise(TASKS[name](backbone, tokenizer), scale=0.4)
        return made[name]

    return get


@pytest.fixture(scope="module")
def folder_of(tasks, tmp_path_factory):
    folders = {}

    def get(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name) / "1"
            tasks(name).export(folders[name])
        return folders[name]

    return get


# What differs from another task in its labels or its tokenizer alone takes as long as that one.
ALIKE = ("multi_label", "byte_pair_tagger")
every_task = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in TASKS]
)


def make_inputs(task, texts):
    if isinstance(task, QuestionAnswerer):
        return {"question": ["who?", "what is it that nobody"] * 99, "context": texts}
    if isinstance(task, MaskedLM):
        return {"text": [text[:30] + " [MASK] and [MASK]" for text in texts]}
    return {"text": texts}


def ask(server, folder, task, texts):
    inputs = {name: values[: len(texts)] for name, values in make_inputs(task, texts).items()}
    return inputs, server.call(folder, "serving_default", **inputs)


def as_texts(values):
    return [value.decode() for value in values]


def assert_answers_alike(task, inputs, got):
    """Holds what is served against what the task's own methods say."""
    columns = list(inputs.values())
    if isinstance(task, TextClassifier):
        wanted = task.classify(columns[0], top_k=len(task.labels))
        labels = np.reshape(as_texts(got["labels"]), got["scores"].shape)
        assert labels.tolist() == [[each["label"] for each in row] for row in wanted]
        scores = np.array([[each["score"] for each in row] for row in wanted])
        np.testing.assert_allclose(got["scores"], scores, atol=1e-5)
    elif isinstance(task, MaskedLM):
        wanted = [row if isinstance(row[0], list) else [row] for row in task.fill(columns[0])]
        tokens = np.reshape(
            [t.decode("utf-8", "replace") for t in got["tokens"]], got["scores"].shape
        )
        for row, masks in enumerate(wanted):
            for mask, words in enumerate(masks):
                assert tokens[row, mask].tolist() == [word["token"] for word in words]
                scores = [word["score"] for word in words]
                np.testing.assert_allclose(got["scores"][row, mask], scores, atol=1e-5)
            assert (tokens[row, len(masks) :] == "").all()
    elif isinstance(task, TokenClassifier):
        labels = np.reshape(as_texts(got["labels"]), got["scores"].shape)
        for row, spans in enumerate(task.tag(columns[0])):
            count = len(spans)
            bounds = [[span["start"], span["end"]] for span in spans]
            assert got["spans"][row, :count].tolist() == bounds
            assert labels[row, :count].tolist() == [span["label"] for span in spans]
            scores = [span["score"] for span in spans]
            np.testing.assert_allclose(got["scores"][row, :count], scores, atol=1e-5)
            assert (got["spans"][row, count:] == -1).all() and (labels[row, count:] == "").all()
    else:
        wanted = task.answer(*columns)
        assert as_texts(got["answer"]) == [each["answer"] for each in wanted]
        for name in ("start", "end", "score", "no_answer_score"):
            values = [each[name] for each in wanted]
            np.testing.assert_allclose(got[name], values, atol=1e-5)


@every_task
def test_text_is_answered_as_by_the_task_itself(server, tasks, folder_of, name):
    task, folder = tasks(name), folder_of(name)
    for texts in (TEXTS, TEXTS[:1], TEXTS[:3], (TEXTS * 2)[:8]):
        assert_answers_alike(task, *ask(server, folder, task, texts))
    assert server.ask("imported") == []


@every_task
@pytest.mark.parametrize("length", [0, 1, 15, 17, LONGEST - 2, LONGEST - 1])
def test_every_length_of_text_is_served(server, tasks, folder_of, name, length):
    """Of letters that are a token each: the last but one just fits, and the last is cut."""
    task = tasks(name)
    letters = "ACG"
    text = " ".join(letters[index % 3] for index in range(length))
    assert_answers_alike(task, *ask(server, folder_of(name), task, [text]))


def test_each_export_traces_each_signature_once(tasks, tmp_path, monkeypatch):
    """TensorFlow traces the tf.functions that it saves once more, in a context of their own."""
    task, calls = tasks("classifier"), []
    call = type(task).call
    monkeypatch.setattr(
        type(task), "call", lambda self, *rest, **more: calls.append(0) or call(self, *rest, **more)
    )
    before = task.classify(TEXTS)
    del calls[:]
    for folder in (tmp_path / "1", tmp_path / "2"):
        task.export(folder)
        signatures = read_graph(folder).signature_def
        # The self-test asks one of the others.
        assert {"serving_default", "pairs", "tokens", "self_test"} <= set(signatures)
        assert len(calls) == 3
        del calls[:]
    # The tables of the first export, which are gone, are in nothing that came after it.
    assert run_self_test(tmp_path / "2") is True
    assert task.classify(TEXTS) == before and not calls


@pytest.mark.parametrize(
    "name", ["classifier", pytest.param("multi_label", marks=pytest.mark.slow)]
)
def test_pairs_are_served_beside_single_texts(server, tasks, folder_of, name):
    got = server.call(folder_of(name), "pairs", text=TEXTS, pair=TEXTS[::-1])
    wanted = tasks(name).classify(TEXTS, TEXTS[::-1], top_k=3)
    labels = np.reshape(as_texts(got["labels"]), got["scores"].shape)
    assert labels.tolist() == [[each["label"] for each in row] for row in wanted]
    scores = [[each["score"] for each in row] for row in wanted]
    np.testing.assert_allclose(got["scores"], scores, atol=1e-5)


ONE, TWO, THREE = [None], [None, None], [None, None, None]
TEXT_IN = {"text": ["string", ONE]}
SIGNATURES = {
    "classifier": [TEXT_IN, {"labels": ["string", [None, 3]], "scores": ["float32", [None, 3]]}],
    "masked_lm": [
        TEXT_IN,
        {"tokens": ["string", THREE], "scores": ["float32", [None, None, 5]]},
    ],
    "tagger": [
        TEXT_IN,
        {
            "spans": ["int32", [None, None, 2]],
            "labels": ["string", TWO],
            "scores": ["float32", TWO],
        },
    ],
    "answerer": [
        {"question": ["string", ONE], "context": ["string", ONE]},
        {
            "answer": ["string", ONE],
            "start": ["int32", ONE],
            "end": ["int32", ONE],
            "score": ["float32", ONE],
            "no_answer_score": ["float32", ONE],
        },
    ],
}
LOGITS = {"classifier": 3, "masked_lm": None, "tagger": 5, "answerer": 2, "byte_pair_tagger": 5}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in LOGITS]
)
def test_signatures_are_as_documented(server, tasks, folder_of, name):
    got = server.ask("describe", folder=str(folder_of(name)))
    wanted = {"tokens", "serving_default", "self_test"} | (
        {"pairs"} if name == "classifier" else set()
    )
    assert set(got) == wanted
    ids = {"token_ids": ["int32", TWO], "padding_mask": ["bool", TWO]}
    if name != "byte_pair_tagger":
        ids["segment_ids"] = ["int32", TWO]
    assert got["tokens"][0] == ids
    assert set(got["tokens"][1]) == {"logits"} and got["tokens"][1]["logits"][0] == "float32"
    served = SIGNATURES.get(name.removeprefix("byte_pair_"))
    assert got["serving_default"][0] == served[0]
    outputs = got["serving_default"][1]
    assert {key: value[0] for key, value in outputs.items()} == {
        key: value[0] for key, value in served[1].items()
    }
    for key, (_, shape) in served[1].items():
        assert len(outputs[key][1]) == len(shape)


@every_task
def test_tokens_give_the_logits_of_the_task(server, tasks, folder_of, name):
    task = tasks(name)
    generator = np.random.default_rng(0)
    for size, length in ((1, 1), (3, 7), (8, LONGEST)):
        shape = (size, length)
        inputs = {
            "token_ids": generator.integers(0, task.backbone.vocabulary_size, shape, np.int32),
            "padding_mask": np.arange(length) < generator.integers(1, length + 1, (size, 1)),
        }
        if task.backbone.num_segments > 1:
            inputs["segment_ids"] = generator.integers(0, 2, shape, np.int32)
        got = server.call(folder_of(name), "tokens", **inputs)
        np.testing.assert_allclose(got["logits"], np.array(task(inputs)), rtol=1e-4, atol=1e-5)


@every_task
def test_a_bad_request_is_an_error_and_the_next_one_is_answered(server, tasks, folder_of, name):
    task, folder = tasks(name), folder_of(name)
    good = {"token_ids": np.ones((1, 3), np.int32), "padding_mask": np.ones((1, 3), bool)}
    if task.backbone.num_segments > 1:
        good["segment_ids"] = np.zeros((1, 3), np.int32)
    size = task.backbone.vocabulary_size
    for wrong in (
        {"token_ids": np.array([[1, -1, 1]], np.int32)},
        {"token_ids": np.array([[1, size, 1]], np.int32)},
    ):
        with pytest.raises(ServingError, match=f"`token_ids` must be from 0 to {size - 1}"):
            server.call(folder, "tokens", **{**good, **wrong})
    if "segment_ids" in good:
        for wrong in (-1, 2):
            with pytest.raises(ServingError, match="`segment_ids` must be from 0 to 1"):
                segments = np.array([[0, wrong, 0]], np.int32)
                server.call(folder, "tokens", **{**good, "segment_ids": segments})
    for shape in ((1, 2), (1, 1), (3, 3)):
        with pytest.raises(ServingError, match="`padding_mask` must have the shape of `token_ids`"):
            server.call(folder, "tokens", **{**good, "padding_mask": np.ones(shape, bool)})
    too_long = {key: np.repeat(value[:, :1], LONGEST + 1, 1) for key, value in good.items()}
    for wrong in (
        {"token_ids": np.ones((1, 3), np.float32)},
        {"token_ids": np.ones(3, np.int32)},
    ):
        with pytest.raises(ServingError, match="Error"):
            server.call(folder, "tokens", **{**good, **wrong})
    said = f"`token_ids` must have at most {LONGEST} tokens a row. Received: {LONGEST + 1} tokens"
    with pytest.raises(ServingError, match=said):
        server.call(folder, "tokens", **{**good, **too_long})
    texts = make_inputs(task, TEXTS[:2])
    first = next(iter(texts))
    with pytest.raises(ServingError, match=rf"Shape of tensor {first} \[2,1\] is not compatible"):
        server.call(folder, "serving_default", **{**texts, first: [["a"], ["b"]]})
    if len(texts) > 1:
        with pytest.raises(ServingError, match="same number of rows. Received: 0 and 1 rows"):
            server.call(folder, "serving_default", **dict(zip(texts, ([], ["a"]), strict=True)))
    for wrong in (np.array([1, 2]), np.array([[1], [2]])):
        inputs = {**make_inputs(task, TEXTS[:2]), first: wrong}
        with pytest.raises(ServingError, match="Error"):
            server.call(folder, "serving_default", **inputs)
    assert np.isfinite(server.call(folder, "tokens", **good)["logits"]).all()


@every_task
def test_a_batch_of_nothing_is_answered_with_nothing(server, tasks, folder_of, name):
    inputs, got = ask(server, folder_of(name), tasks(name), [])
    assert all(values == [] for values in inputs.values())
    assert all(np.shape(values)[0] == 0 for values in got.values())
    ids = {"token_ids": np.zeros((0, 3), np.int32), "padding_mask": np.zeros((0, 3), bool)}
    if tasks(name).backbone.num_segments > 1:
        ids["segment_ids"] = np.zeros((0, 3), np.int32)
    assert server.call(folder_of(name), "tokens", **ids)["logits"].shape[0] == 0


@every_task
def test_text_that_is_not_utf8_is_read_with_replacements(server, tasks, folder_of, name):
    task = tasks(name)
    end = b" [MASK]" if name == "masked_lm" else b""
    broken = [text + end for text in (b"\xff\xfe EU\x80", b"\xc3 Paris", b"a\xed\xa0\x80 \xe7\x8c")]
    inputs = {key: values[:3] for key, values in make_inputs(task, TEXTS).items()}
    key = "context" if "context" in inputs else "text"
    got = server.call(folder_of(name), "serving_default", **{**inputs, key: broken})
    mended = [text.decode("utf-8", "replace") for text in broken]
    assert_answers_alike(task, {**inputs, key: mended}, got)


@every_task
def test_what_is_written_tells_nothing_and_needs_no_compiler(folder_of, name):
    folder = folder_of(name)
    root = pathlib.Path(lmzoo.__file__).parents[1]
    secrets = [str(root), str(pathlib.Path.home()), sys.prefix, str(folder), TEXT[:24], ".py"]
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found = [secret for secret in secrets if secret != "/" and secret.encode() in content]
        assert found == [], path.name
    library = read_graph(folder).graph_def.library
    assert not [f for f in library.function if f.attr["_XlaMustCompile"].b]
    ops = {node.op for function in library.function for node in function.node_def}
    assert not [op for op in ops if "PyFunc" in op or op.startswith("Random")]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "answerer")) for n in TASKS]
)
def test_every_artefact_passes_its_check_and_another_ones_fails(tasks, folder_of, name, capsys):
    task = tasks(name)
    report = check(folder_of(name), task)
    assert report["passed"] and report["different_texts"] == []
    assert report["largest_difference"] < 1e-5
    assert "6 of 6 texts are equal" in capsys.readouterr().out
    # A bias of the last layer would shift all logits of an answerer alike and change nothing.
    embeddings = task.backbone.weights[0]
    before = embeddings.numpy()
    try:
        # Backwards, since a little more or less of each changes no choice that a threshold makes.
        embeddings.assign(before[::-1])
        assert not check(folder_of(name), task, verbose=False)["passed"]
        embeddings.assign(np.full(before.shape, np.nan))
    finally:
        embeddings.assign(before)
    assert capsys.readouterr().out == ""


def test_what_cannot_be_exported_or_checked_is_refused(tasks, folder_of, tmp_path):
    task, folder = tasks("classifier"), folder_of("classifier")
    with pytest.raises(TypeError, match="TextClassifier does not generate.*Received: temperature"):
        task.export(tmp_path / "new", temperature=1.0)
    with pytest.raises(TypeError, match="without options. Received: jit_compile"):
        task.export(tmp_path / "new", jit_compile=True)
    with pytest.raises(TypeError, match="without options. Received: num_beams"):
        check(folder, task, num_beams=3)
    with pytest.raises(TypeError, match="without options. Received: max_new_tokens"):
        check(folder, task, max_new_tokens=3)
    with pytest.raises(FileExistsError, match="must be new or empty. Received"):
        task.export(folder)
    bare = TextClassifier(task.backbone, num_classes=2)
    bare.export(tmp_path / "bare")
    with pytest.raises(ValueError, match="a signature `serving_default`.*with tokens"):
        check(tmp_path / "bare", bare)
    assert os.listdir(tmp_path) == ["bare"]


KILLED = """
import os, signal, sys
import tensorflow as tf
import lmzoo

save = tf.saved_model.save

def save_and_die(module, folder, **kwargs):
    save(module, folder, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

tf.saved_model.save = save_and_die
backbone = lmzoo.models.BertBackbone(9, num_layers=1, num_heads=1, hidden_dim=2)
lmzoo.tasks.TextClassifier(backbone, num_classes=2).export(sys.argv[1], overwrite=True)
"""


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_the_old_one_whole(tmp_path):
    export_and_die(KILLED, tmp_path / "1")
