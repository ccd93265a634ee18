"""The harness itself, on tasks that are made here and need no network."""

import json
import types

import numpy as np
import pytest

import lmzoo
from tests.evaluation.tiny import make_lm
from tests.tasks import tiny_t5

pytestmark = pytest.mark.slow

ROWS = [
    {"question": "def main", "choices": ["(argument)", "(fox)", "quick"], "answer": 0},
    {"question": "The quick", "choices": [" brown fox", " argument", "1"], "answer": 0},
    {"question": "return argument +", "choices": [" fox", " 1"], "answer": 1},
    {"question": "我喜欢", "choices": ["main", "编程。"], "answer": 1},
]


@pytest.fixture(scope="module")
def lm_eval(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("HF_DATASETS_OFFLINE", "1")
    yield pytest.importorskip("lm_eval", reason="the harness is the extra lm-eval")
    patch.undo()


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
    }
    return {
        "choose": {
            **shared,
            "task": "choose",
            "output_type": "multiple_choice",
            "doc_to_choice": "choices",
            "doc_to_target": "answer",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        },
        "roll": {
            **shared,
            "task": "roll",
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{question}} and more of it",
            "metric_list": [{"metric": "bits_per_byte"}, {"metric": "word_perplexity"}],
        },
        "write": {
            **shared,
            "task": "write",
            "output_type": "generate_until",
            "doc_to_target": "{{choices[answer]}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
            "metric_list": [{"metric": "exact_match"}],
        },
    }


@pytest.fixture(scope="module", params=["task", "folder", "saved_model", "t5"])
def model(request, lm_eval, tmp_path_factory):
    """A model as the harness sees it, and the task that it is."""
    folder = tmp_path_factory.mktemp("model")
    if request.param == "t5":
        task = tiny_t5.make_lm(tiny_t5.make_tokenizer())
        return lmzoo.evaluation.harness_model(task, batch_size=2), task
    task = make_lm()
    if request.param == "folder":
        task.save_pretrained(folder / "model")
        return lmzoo.evaluation.harness_model(str(folder / "model"), 3), task
    if request.param == "saved_model":
        task.export(folder / "1", scoring=True)
        return lmzoo.evaluation.harness_model(folder / "1"), task
    return lmzoo.evaluation.harness_model(task), task


@pytest.fixture(scope="module")
def found(lm_eval, model, configs):
    """What the harness finds, of all tasks at once."""
    return lm_eval.simple_evaluate(
        model[0], tasks=list(configs.values()), bootstrap_iters=0, log_samples=True
    )


def score(task, question, choice):
    if task.is_encoder_decoder:
        # The harness scores a continuation without an end token.
        return task.score(question, choice)[:-1].sum()
    return task.score(choice, question).sum()


def test_choices_are_made_by_the_likelihoods_of_the_task(model, found):
    _, task = model
    chosen = []
    for row, sample in zip(ROWS, found["samples"]["choose"], strict=True):
        likelihoods = [float(response[0][0]) for response in sample["resps"]]
        wanted = [score(task, row["question"], choice) for choice in row["choices"]]
        # In the others tokens of question and choice join.
        if row is ROWS[0] or task.is_encoder_decoder:
            np.testing.assert_allclose(likelihoods, wanted, rtol=1e-4)
        chosen.append(int(np.argmax(likelihoods)) == row["answer"])
    assert found["results"]["choose"]["acc,none"] == pytest.approx(np.mean(chosen))


def test_bits_per_byte_are_those_of_the_room(model, found):
    _, task = model
    bits = found["results"]["roll"]["bits_per_byte,none"]
    texts = [f"{row['question']} and more of it" for row in ROWS]
    if task.is_encoder_decoder:
        # Its encoder sees what is before each window, as the harness has it for T5.
        assert bits > 0
        return
    own = lmzoo.evaluate(task, {"text": texts}, "bits_per_byte", num_resamples=2)
    assert bits == pytest.approx(own.scores["bits_per_byte"].value, rel=1e-4)


def test_texts_are_those_of_generate(model, found):
    _, task = model
    questions = [row["question"] for row in ROWS]
    wanted = task.generate(questions, max_new_tokens=4, stop_strings=["\n"], return_prompt=False)
    assert [sample["resps"][0][0] for sample in found["samples"]["write"]] == wanted


def test_the_command_line_knows_the_model_by_name(lm_eval, configs, tmp_path):
    from lm_eval.api.registry import get_model

    from lmzoo.evaluation.harness import register

    make_lm().save_pretrained(tmp_path / "model")
    register()
    register()
    opened = get_model("lmzoo").create_from_arg_string(
        f"source={tmp_path / 'model'}", {"batch_size": "2", "device": None}
    )
    assert opened.batch_size == 2
    assert opened.tokenizer_name == str(tmp_path / "model")
    with pytest.raises(ValueError, match="batch_size='auto'"):
        get_model("lmzoo").create_from_arg_string(
            f"source={tmp_path / 'model'}", {"batch_size": "auto"}
        )


def test_likelihoods_are_those_of_the_harnesss_own_model(lm_eval, tmp_path):
    """The same weights in transformers, asked by the harness's own class."""
    hub = pytest.importorskip("lm_eval.models.huggingface", reason="it needs accelerate and peft")
    task = make_lm(max_sequence_length=16)
    task.save_pretrained(tmp_path / "model")
    theirs = hub.HFLM(str(tmp_path / "model"), device="cpu", dtype="float32", batch_size=1)
    ours = lmzoo.evaluation.harness_model(task)
    text = "The quick brown fox. 我喜欢编程。 def main(argument):"
    pairs = [(row["question"], choice) for row in ROWS for choice in row["choices"]]
    pairs += [("", "def main"), ("a cat ", "sat"), (text, " fox")]

    def ask(method, arguments):
        asked = [types.SimpleNamespace(args=each, task_name="x") for each in arguments]
        return [getattr(model, method)(asked, disable_tqdm=True) for model in (ours, theirs)]

    got, wanted = ask("loglikelihood", pairs)
    np.testing.assert_allclose([x for x, _ in got], [x for x, _ in wanted], rtol=1e-4)
    assert [x for _, x in got] == [x for _, x in wanted]
    np.testing.assert_allclose(*ask("loglikelihood_rolling", [(text,), (text * 3,)]), rtol=1e-4)
    options = {"until": ["fox"], "max_gen_toks": 5, "do_sample": False}
    got, wanted = ask("generate_until", [(row["question"], options) for row in ROWS])
    assert got == wanted
