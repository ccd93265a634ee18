"""Answers out of contexts of any length."""

import json
import math
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows, read_squad
from lmzoo.metrics import squad_scores
from lmzoo.tasks import AnswerLoss, QuestionAnswerer
from tests.encoder_tasks import TEXT, make_backbone, randomise, train_tokenizer

PAIRS = [
    ("who wrote?", "Peter Blackburn wrote to Ada Lovelace in Paris", "Peter Blackburn"),
    ("to whom?", "Peter Blackburn wrote to Ada Lovelace in Paris", "Ada Lovelace"),
    ("where?", "Peter Blackburn wrote to Ada Lovelace in Paris", "Paris"),
    ("who rejects?", "EU rejects German call to boycott British lamb.", "EU"),
    ("what?", "EU rejects German call to boycott British lamb.", "German call"),
    ("who read it?", "(nobody) read it.", "nobody"),
    ("said what?", "The naïve café said: don't!", "don't"),
    ("what do I do?", "我喜欢编程。", "编程"),
]
QUESTIONS, CONTEXTS, ANSWERS = map(list, zip(*PAIRS, strict=True))
PLACED = [(text, context.find(text)) for _, context, text in PAIRS]
SOME = [None if index % 3 == 0 else answer for index, answer in enumerate(PLACED)]
SHORT = {"sequence_length": 24, "stride": 5, "max_question_tokens": 6, "max_answer_tokens": 4}

# Some questions here are longer than what is kept of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*were truncated")


@pytest.fixture(scope="module")
def text_tokenizer():
    return train_tokenizer("word_piece")


def make_answerer(tokenizer, **options):
    """An answerer of random weights."""
    return randomise(QuestionAnswerer(make_backbone(tokenizer), tokenizer, **options))


@pytest.fixture(scope="module")
def answerer(text_tokenizer):
    return make_answerer(text_tokenizer, no_answer=True, **SHORT)


def draw_contexts(count, longest=60):
    generator = random.Random(0)
    words = [*TEXT.split(), "  ", "\u200b", "🙂", "e\u0301"]
    return [
        " ".join(generator.choices(words, k=generator.randrange(longest))) for _ in range(count)
    ]


@pytest.mark.slow
def test_eight_answers_are_learned():
    keras.utils.set_random_seed(0)
    # Whose pieces begin and end where the answers do.
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer, scale=0, hidden_dim=32, intermediate_dim=64)
    answerer = QuestionAnswerer(backbone, tokenizer)
    answerer.compile(optimizer=keras.optimizers.Adam(1e-2))
    texts = {"question": tf.constant(QUESTIONS), "context": tf.constant(CONTEXTS)}
    places = {"answer": tf.constant(ANSWERS), "start": tf.constant([s for _, s in PLACED])}
    example = answerer.encode({**texts, **places}, 0)
    batch = tf.data.Dataset.from_tensors((example.inputs, example.labels))
    assert answerer.evaluate(batch, verbose=0)[0] > 1.0
    answerer.fit(batch.repeat(100), verbose=0)
    assert answerer.evaluate(batch, verbose=0)[0] < 0.05
    found = answerer.answer(QUESTIONS, CONTEXTS)
    assert [each["answer"] for each in found] == ANSWERS
    assert [each["start"] for each in found] == [c.find(a) for _, c, a in PAIRS]
    assert all(each["score"] > 0.8 for each in found)
    scores = answerer.evaluate((QUESTIONS, CONTEXTS), ANSWERS, return_dict=True, verbose=0)
    assert (scores["exact_match"], scores["f1"]) == (100.0, 100.0)


def search_all(answerer, question, context):
    """The best answer, its probability and that of none, from every window's logits in NumPy."""
    one = tf.constant([question]), tf.constant([context])
    inputs, places, _ = answerer._make_windows().make(*one)
    logits, places = np.array(answerer(inputs), np.float64), places.numpy()
    scores, bounds = [], []
    for window, place in zip(logits, places, strict=True):
        solid = np.flatnonzero(place[:, 1] > place[:, 0])
        for i in solid:
            for j in solid:
                if i <= j < i + answerer.max_answer_tokens:
                    scores.append(window[i, 0] + window[j, 1])
                    bounds.append((int(place[i, 0]), int(place[j, 1])))
    nothing = logits[:, 0].sum(axis=-1).min()
    total = np.log(np.exp(scores).sum() + np.exp(nothing))
    if not scores or nothing - max(scores) > answerer.no_answer_threshold:
        return (-1, -1), np.exp(nothing - total), np.exp(nothing - total), len(logits)
    best = int(np.argmax(scores))
    return bounds[best], np.exp(scores[best] - total), np.exp(nothing - total), len(logits)


def test_the_answer_is_the_best_of_all_places_in_all_windows(answerer):
    contexts = [*draw_contexts(25), "", "\u200b"]
    questions = ["who wrote?", "", "what is it that nobody read in Paris?"] * 9
    num_windows = num_none = 0
    found = answerer.answer(questions, contexts)
    for question, context, answer in zip(questions, contexts, found, strict=True):
        bounds, score, no_answer_score, windows = search_all(answerer, question, context)
        assert (answer["start"], answer["end"]) == bounds
        assert answer["answer"] == (context[slice(*bounds)] if bounds[0] >= 0 else "")
        assert answer["score"] == pytest.approx(score, abs=1e-5)
        assert answer["no_answer_score"] == pytest.approx(no_answer_score, abs=1e-5)
        num_windows, num_none = num_windows + windows, num_none + (bounds[0] < 0)
    assert num_windows > 60 and 2 <= num_none < 20


def test_all_answers_and_none_together_are_certain(answerer):
    """With one place to answer from, the two scores are all there is."""
    found = answerer.answer("who?", "EU")
    both = found["score"] if found["answer"] else 1 - found["no_answer_score"]
    assert both + found["no_answer_score"] == pytest.approx(1.0, abs=1e-6)
    empty = answerer.answer("who?", "")
    assert (empty["answer"], empty["start"], empty["end"]) == ("", -1, -1)
    assert empty["score"] == empty["no_answer_score"] == pytest.approx(1.0)


@pytest.mark.slow
def test_the_threshold_moves_answers_to_none_and_back(text_tokenizer, answerer):
    contexts = draw_contexts(12)[1:]
    questions = ["who?"] * len(contexts)
    answers = {}
    for threshold in (-1e4, 0.0, 1e4):
        other = QuestionAnswerer(
            answerer.backbone,
            text_tokenizer,
            no_answer=True,
            no_answer_threshold=threshold,
            **SHORT,
        )
        other.head.set_weights(answerer.head.get_weights())
        answers[threshold] = [each["answer"] for each in other.answer(questions, contexts)]
    assert set(answers[-1e4]) == {""} and "" not in answers[1e4]
    assert answers[0.0] == [each["answer"] for each in answerer.answer(questions, contexts)]
    sure = QuestionAnswerer(answerer.backbone, text_tokenizer, **SHORT)
    sure.head.set_weights(answerer.head.get_weights())
    assert [each["answer"] for each in sure.answer(questions, contexts)] == answers[1e4]


def test_a_context_of_many_windows_is_read_a_few_at_a_time(answerer):
    context = " ".join([TEXT] * 70)
    windows = answerer._make_windows().count(tf.constant(["who?"]), tf.constant([context]))
    assert windows[0] > 200
    bounds, score, _, _ = search_all(answerer, "who?", context)
    found = answerer.answer("who?", context)
    # Equal windows tie up to rounding, so that the score tells, and not the place.
    assert found["score"] == pytest.approx(score, abs=1e-5)
    loop = [
        op
        for op in answerer._get_answer().get_concrete_function().graph.get_operations()
        if op.type in ("While", "StatelessWhile")
    ]
    assert any(op.get_attr("parallel_iterations") == 1 for op in loop)


def squad_file(path, answers):
    questions = [
        {
            "id": str(index),
            "question": question,
            "is_impossible": not found,
            "answers": [{"text": text, "answer_start": start} for text, start in found],
        }
        for index, (question, found) in enumerate(zip(QUESTIONS, answers, strict=True))
    ]
    paragraphs = [
        {"context": context, "qas": [question]}
        for context, question in zip(CONTEXTS, questions, strict=True)
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return read_squad(path)


@pytest.mark.slow
def test_every_way_in_gives_the_same_loss(answerer, tmp_path):
    rows = squad_file(tmp_path / "dev.json", [[each] if each else [] for each in SOME])
    wanted = answerer.evaluate((QUESTIONS, CONTEXTS), SOME, return_dict=True, verbose=0)
    assert answerer.evaluate(rows, return_dict=True, verbose=0) == pytest.approx(wanted)
    texts = [each and each[0] for each in SOME]
    found = answerer.evaluate((QUESTIONS, CONTEXTS), texts, return_dict=True, verbose=0)
    assert found == pytest.approx(wanted)
    strings = [tf.constant(QUESTIONS), tf.constant(CONTEXTS)]
    pair = (
        tf.constant([text or "" for text in texts]),
        tf.constant([each[1] if each else -1 for each in SOME]),
    )
    named = dict(zip(("question", "context", "answer", "start"), (*strings, *pair), strict=True))
    example = answerer.encode(named, 0)
    datasets = tf.data.Dataset.from_tensors
    ways = [
        datasets((tuple(strings), pair)),
        datasets(named),
        rows.dataset(8, shuffle=False),
        datasets((example.inputs, example.labels)),
    ]
    for way in ways:
        found = answerer.evaluate(way, return_dict=True, verbose=0)
        assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)


def test_evaluate_scores_what_answer_gives(answerer):
    found = answerer.evaluate((QUESTIONS, CONTEXTS), SOME, batch_size=3, verbose=0)
    answers = [each["answer"] for each in answerer.answer(QUESTIONS, CONTEXTS)]
    scores = squad_scores(answers, [[each[0]] if each else [] for each in SOME])
    assert found[1:] == [scores["exact"], scores["f1"]]


@pytest.mark.parametrize(("no_answer", "f1"), [(False, 0.0), (True, 100.0)])
def test_answers_are_scored_as_their_version_of_squad_does(
    text_tokenizer, answerer, monkeypatch, no_answer, f1
):
    task = QuestionAnswerer(answerer.backbone, text_tokenizer, no_answer=no_answer, **SHORT)
    monkeypatch.setattr(
        "lmzoo.tasks.question_answerer.run_in_batches", lambda *_, **__: [{"answer": b"A"}]
    )
    rows = make_rows(question=["who?"], context=["A. The"], answers=[["The"]])
    assert task._score_rows(rows, None) == {"exact_match": 100.0, "f1": f1}


def test_the_loss_is_the_mean_of_two_cross_entropies(answerer):
    strings = {"question": tf.constant(QUESTIONS), "context": tf.constant(CONTEXTS)}
    answers = {"answer": tf.constant(ANSWERS), "start": tf.constant([s for _, s in PLACED])}
    example = answerer.encode({**strings, **answers}, 0)
    logits = np.array(answerer(example.inputs), np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows, labels = np.arange(len(logits)), example.labels.numpy()
    picked = log_probs[rows, labels[:, 0], 0] + log_probs[rows, labels[:, 1], 1]
    loss = AnswerLoss()(example.labels, logits.astype(np.float32))
    assert float(loss) == pytest.approx(-picked.mean() / 2, rel=1e-5)


@pytest.mark.slow
def test_weights_follow_their_question_into_its_windows(answerer):
    contexts = [context + " " + TEXT for context in CONTEXTS]
    weights = [1.0] * 4 + [0.0] * 4
    weighed = answerer.encode(
        {
            "question": tf.constant(QUESTIONS),
            "context": tf.constant(contexts),
            "answer": tf.constant(ANSWERS),
            "start": tf.constant([start for _, start in PLACED]),
            "weight": tf.constant(weights),
        },
        0,
    )
    counts = answerer._make_windows().count(tf.constant(QUESTIONS), tf.constant(contexts))
    np.testing.assert_array_equal(weighed.weights, np.repeat(weights, counts))
    loss = answerer.evaluate(
        (QUESTIONS, contexts), ANSWERS, sample_weight=weights, return_dict=True, verbose=0
    )["loss"]
    logits = answerer(weighed.inputs)
    wanted = AnswerLoss()(weighed.labels, logits, sample_weight=weighed.weights)
    assert loss == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.slow
def test_fit_validates_on_other_questions_and_takes_weights(text_tokenizer, monkeypatch):
    answerer = make_answerer(text_tokenizer, **SHORT)
    seen, held_out, logs = [], [], []
    to_batches = QuestionAnswerer._to_batches

    def record(self, rows, *args, **kwargs):
        seen.append({row["context"] for row in rows})
        held_out.extend(rows if kwargs.get("part") == "validation" else [])
        return to_batches(self, rows, *args, **kwargs)

    def answer(graph, columns, batch_size, verbose):
        """The first one right, the others with a word too many."""
        found = [ANSWERS[QUESTIONS.index(question)] for question in columns[0]]
        texts = [text + " boycott" * (n > 0) for n, text in enumerate(found)]
        return [{"answer": text.encode()} for text in texts]

    monkeypatch.setattr(QuestionAnswerer, "_to_batches", record)
    monkeypatch.setattr("lmzoo.tasks.question_answerer.run_in_batches", answer)
    contexts = [f"{context} {TEXT * 2}" for context in CONTEXTS[2:]]
    history = answerer.fit(
        (QUESTIONS[2:], contexts),
        ANSWERS[2:],
        sample_weight=[1.0] * 6,
        validation_split=0.34,
        batch_size=16,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, found: logs.append(found))
        ],
        verbose=0,
    )
    assert np.isfinite(history.history["val_loss"]).all()
    assert len(seen) == 2 and all(seen)
    assert not [c for c in seen[0] if c in seen[1] and contexts.count(c) == 1]
    # Callbacks see the scores that the answers to these questions have now.
    found = answer(None, [[row["question"] for row in held_out]], None)
    texts = [each["answer"].decode() for each in found]
    scores = squad_scores(texts, [row["answers"] for row in held_out])
    assert len(held_out) == 2 and set(history.history) == set(logs[0])
    assert logs[0]["val_exact_match"] == history.history["val_exact_match"][0] == 50.0
    assert logs[0]["val_f1"] == history.history["val_f1"][0] == scores["f1"] > 50.0


ONE = (["who?"], ["Ada wrote"])


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (ONE, ["Bob"], ValueError, "index 0: .*Received: 'Bob' which is not in 'Ada wrote'"),
        (
            ONE,
            [("Ada", 2)],
            ValueError,
            "index 0: .*Received: 'Ada' at 2, where the context has 'a wrote'",
        ),
        (ONE, [""], ValueError, "index 0: .*Received: '' at 0"),
        (ONE, [None], ValueError, "index 0: .*`no_answer` is False. Received: 'who\\?' without"),
        (ONE, ["Ada", "Ada"], ValueError, "one length. Received: .*'answers': 2"),
        ((["who?", "a?"], ["Ada"]), ["Ada"], ValueError, "one length. Received: {'question': 2"),
        (ONE, "Ada", TypeError, "`y` must be a list of answers. Received: y='Ada'"),
        (ONE, [5], TypeError, "Received: 5 at index 0"),
        (ONE, [("Ada", 0, 1)], TypeError, r"Received: \('Ada', 0, 1\) at index 0"),
        (ONE, None, ValueError, "columns question, context, without `answers`"),
        (("who?", "Ada"), ["Ada"], TypeError, "`question` must be a list.*question='who\\?'"),
    ],
)
def test_answers_that_do_not_fit_are_refused_with_their_place(
    text_tokenizer, answerer, x, y, error, message
):
    sure = QuestionAnswerer(answerer.backbone, text_tokenizer, **SHORT)
    with pytest.raises(error, match=message):
        sure.fit(x, y, verbose=0)


def test_rows_whose_answers_and_starts_differ_are_refused(answerer):
    columns = {"question": ["who?"], "context": ["Ada"], "answers": [["Ada"]]}
    with pytest.raises(ValueError, match=r"index 0: .*answers=\['Ada'\], answer_starts=\[0, 1\]"):
        answerer.fit(make_rows(**columns, answer_starts=[[0, 1]]), verbose=0)
    with pytest.raises(ValueError, match="question, context, answers, without `answer_starts`"):
        answerer.fit(make_rows(**columns), verbose=0)


@pytest.mark.slow
def test_batches_of_a_dataset_that_do_not_fit_are_refused(text_tokenizer, answerer):
    def evaluate(y, task=answerer):
        data = tf.data.Dataset.from_tensors(((["who?"], ["Ada wrote"]), y))
        task.evaluate(data, verbose=0)

    for text, start in (("Bob", 0), ("wrote", 99), ("", 0), ("Ada", -1)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be in its context"):
            evaluate(([text], [start]))
    sure = QuestionAnswerer(answerer.backbone, text_tokenizer, **SHORT)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be in its context"):
        evaluate(([""], [-1]), sure)
    with pytest.raises(TypeError, match="pairs of texts and starts. Received: string"):
        evaluate(["Ada"])
    nothing = tf.data.Dataset.from_tensors({"question": ["who?"], "context": ["Ada"]})
    with pytest.raises(ValueError, match="Received: batches of question, context"):
        answerer.evaluate(nothing, verbose=0)


@pytest.mark.slow
def test_questions_of_a_test_set_are_predicted_and_not_evaluated(answerer, tmp_path):
    contexts = [{"context": "Ada wrote", "qas": [{"id": 1, "question": "who?"}]}]
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"data": [{"paragraphs": contexts}]}))
    rows = read_squad(path)
    inputs, _ = answerer.encode_inputs(
        {"question": tf.constant(["who?"]), "context": tf.constant(["Ada wrote"])}
    )
    np.testing.assert_allclose(answerer.predict(rows, verbose=0), answerer(inputs), atol=1e-5)
    with pytest.raises(ValueError, match="columns id, question, context, without `answers`"):
        answerer.evaluate(rows, verbose=0)


def test_what_is_no_question_is_refused(answerer):
    with pytest.raises(ValueError, match="Received: 1 contexts, 2 questions"):
        answerer.answer(["a", "b"], ["c"])
    with pytest.raises(TypeError, match="`contexts` must be .*Received: 5 at index 1"):
        answerer.answer(["a", "b"], ["c", 5])
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        QuestionAnswerer(answerer.backbone).answer("a", "b")
    assert answerer.answer([], []) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 60}, ValueError, "Received: stride=60"),
        ({"stride": "5"}, TypeError, "`stride` must be an int. Received: stride='5'"),
        ({"max_question_tokens": 0}, ValueError, "Received: max_question_tokens=0"),
        ({"max_answer_tokens": 0}, ValueError, "Received: max_answer_tokens=0"),
        ({"no_answer_threshold": "x"}, ValueError, "Received: no_answer_threshold='x'"),
        ({"no_answer_threshold": None}, ValueError, "Received: no_answer_threshold=None"),
        ({"no_answer_threshold": math.nan}, ValueError, "Received: no_answer_threshold=nan"),
        ({"no_answer_threshold": math.inf}, ValueError, "Received: no_answer_threshold=inf"),
        ({"sequence_length": 65}, ValueError, "Received: sequence_length=65"),
        ({"sequence_length": 0}, ValueError, "Received: sequence_length=0"),
    ],
)
def test_an_answerer_that_cannot_be_is_refused(answerer, options, error, message):
    with pytest.raises(error, match=message):
        QuestionAnswerer(answerer.backbone, answerer.tokenizer, **options)


def test_batches_their_order_and_their_company_change_nothing(answerer):
    contexts = draw_contexts(20)
    questions = [f"who {context[:5]}" for context in contexts]
    wanted = [answerer.answer(*pair) for pair in zip(questions, contexts, strict=True)]
    for batch_size, order in ((7, -1), (64, 1)):
        found = answerer.answer(questions[::order], contexts[::order], batch_size)[::order]
        for answer, other in zip(found, wanted, strict=True):
            assert answer["answer"] == other["answer"] and answer["start"] == other["start"]
            assert answer["score"] == pytest.approx(other["score"], abs=1e-5)
    count = answerer._get_answer().experimental_get_tracing_count()
    assert count == 1


@pytest.mark.slow
def test_bfloat16_stays_finite(text_tokenizer):
    backbone = make_backbone(text_tokenizer, scale=3.0, dtype="mixed_bfloat16")
    answerer = QuestionAnswerer(backbone, text_tokenizer, **SHORT)
    history = answerer.fit((QUESTIONS, CONTEXTS), ANSWERS, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(each["score"]) for each in answerer.answer(QUESTIONS, CONTEXTS))


def test_a_keras_file_gives_the_same_answerer(text_tokenizer, tmp_path, eagerly):
    answerer = make_answerer(text_tokenizer, no_answer=True, no_answer_threshold=-2.0, **SHORT)
    answerer.save(tmp_path / "answerer.keras")
    again = keras.saving.load_model(tmp_path / "answerer.keras")
    assert again.get_config() == answerer.get_config()
    assert again.answer(QUESTIONS, CONTEXTS) == answerer.answer(QUESTIONS, CONTEXTS)


def test_logits_stand_at_tokens_and_not_at_padding(answerer):
    mask = np.array([[True, True, True, False]])
    logits = np.array(answerer({"token_ids": np.ones((1, 4), "int32"), "padding_mask": mask}))
    assert logits.shape == answerer.compute_output_shape({"token_ids": (1, 4)}) == (1, 4, 2)
    assert (logits[:, 3] == -65504).all() and (np.abs(logits[:, :3]) < 100).all()
    bare = np.array(answerer({"token_ids": np.ones((1, 3), "int32")}))
    np.testing.assert_allclose(logits[:, :3], bare, atol=1e-5)
