"""What is too long is counted and said once by whoever cuts it."""

import functools
import warnings

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import QuestionAnswerer, TextEmbedder, TokenClassifier
from lmzoo.tasks.discriminative.inference import make_text_function
from lmzoo.tasks.discriminative.text_batches import TruncationReport
from tests.tasks.small_encoders import make_encoder, word_pieces

LONG = "good bad cat dog " * 12
CONTEXT = "the cat sat on a mat and the dog ran " * 4
QUESTIONS = ["cat dog mat film cat", "dog", "cat mat mat dog"]


@pytest.fixture(scope="module")
def answerer():
    options = {"sequence_length": 16, "stride": 2, "max_question_tokens": 3}
    return QuestionAnswerer(make_encoder(), word_pieces(), **options)


@functools.cache
def make(task, *arguments):
    return task(make_encoder(), word_pieces(), *arguments)


def messages_of(call, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return [str(warning.message) for warning in caught]


def test_a_batch_counts_once_however_often_it_is_read():
    report = TruncationReport(8, "rows")
    for _ in range(2):
        report.add("training", 0, [True, False, True])
        report.add("training", 1, [True])
        report.add("validation", 0, [False])
    assert messages_of(report.warn) == [
        "3 of 5 rows (60.0%) were longer than 8 tokens and were truncated."
    ]
    assert messages_of(TruncationReport(8).warn) == []


@pytest.mark.parametrize(
    ("task", "arguments", "method", "texts"),
    [
        (TextEmbedder, (), "embed", [LONG, "good", LONG]),
        (TokenClassifier, (("O", "B-X"),), "tag", [LONG, "good", LONG]),
        (TokenClassifier, (("O", "B-X"),), "tag", [LONG.split(), ["good"], LONG.split()]),
    ],
    ids=["embed", "tag", "tag words"],
)
def test_answers_say_once_what_they_cut(eagerly, task, arguments, method, texts):
    model = make(task, *arguments)
    answer = getattr(model, method)
    wanted = ["2 of 3 texts (66.7%) were longer than 32 tokens and were truncated."]
    assert messages_of(answer, texts, batch_size=2) == wanted
    assert messages_of(answer, texts[1:2]) == []


def test_questions_that_are_cut_are_counted_in_answers(eagerly, answerer):
    contexts = [CONTEXT, "a cat", CONTEXT]
    wanted = ["2 of 3 questions (66.7%) were longer than 3 tokens and were truncated."]
    assert messages_of(answerer.answer, QUESTIONS, contexts, batch_size=2) == wanted
    assert messages_of(answerer.answer, "dog cat mat", CONTEXT) == []


def test_a_question_counts_once_in_all_its_windows(answerer):
    contexts = [CONTEXT, "a cat", CONTEXT]
    num_windows = answerer._make_windows().count(tf.constant(QUESTIONS), tf.constant(contexts))
    assert num_windows.numpy().min() == 1 and num_windows.numpy().max() > 3
    columns = {"question": tf.constant(QUESTIONS), "context": tf.constant(contexts)}
    wanted = [True, False, True]
    assert answerer.encode_inputs(columns)[1].numpy().tolist() == wanted
    numbers = [range(count) for count in num_windows.numpy()]
    rows = [(row, number) for row, each in enumerate(numbers) for number in each]
    found = []
    for start in range(0, len(rows), 4):
        of_row, window = np.array(rows[start : start + 4]).T
        batch = {name: tf.gather(values, of_row) for name, values in columns.items()}
        _, is_truncated = answerer.encode_inputs({**batch, "window": tf.constant(window)})
        found += is_truncated.numpy().tolist()
    assert found == wanted


@pytest.mark.slow
def test_fit_and_evaluate_say_once_which_questions_they_cut(answerer):
    texts, answers = (QUESTIONS, [CONTEXT, "a cat", CONTEXT]), ["cat", "cat", "dog"]
    wanted = ["2 of 3 questions (66.7%) were longer than 3 tokens and were truncated."]
    fit = {"epochs": 2, "batch_size": 4, "verbose": 0}
    assert messages_of(answerer.fit, texts, answers, **fit) == wanted
    assert messages_of(answerer.evaluate, texts, answers, verbose=0) == wanted
    assert messages_of(answerer.predict, texts, verbose=0) == wanted


def test_what_is_served_reports_nothing():
    def function(text):
        return {"text": text, "is_truncated": tf.strings.length(text) > 1}

    for served, names in ((False, {"text", "is_truncated"}), (True, {"text"})):
        graph = make_text_function(function, ("question",), served)
        assert set(graph(tf.constant(["a", "bc"]))) == names
