"""Each task that reads texts, exported, gives what the task itself gives."""

import warnings

import numpy as np
import pytest

from lmzoo import tasks
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer

TEXTS = [
    "EU rejects German call", "", "Ada Lovelace in Paris; (nobody) read it.", "我喜欢编程。 don't!",
    "x", "British lamb " * 40, "The naïve café said: [MASK] <mask>",
]  # fmt: skip
PAIRS = [text[::-1] for text in TEXTS[:-2]] + ["Peter", "a b c " * 20]
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.fixture(scope="module")
def word_piece():
    return train_tokenizer("word_piece")


@pytest.fixture(scope="module")
def byte_pair():
    return train_tokenizer("byte_pair")


@pytest.fixture(scope="module")
def both(export):
    """A task with all weights drawn, and its exported form: `both(task, **options)`."""

    def both(task, **options):
        randomise(task)
        return task, export(task, **options)

    return both


def agree(found, wanted):
    """Equal but for floats, which differ by rounding."""
    if isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for mine, theirs in zip(found, wanted, strict=True):
            agree(mine, theirs)
    elif isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            agree(found[key], value)
    elif isinstance(wanted, float | np.ndarray | np.floating):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    else:
        assert found == wanted


def quiet(call, *args, **kwargs):
    """The result of a call and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args, **kwargs)
    return result, [str(each.message) for each in caught if "truncated" in str(each.message)]


def same(name, task, model, *args, **kwargs):
    """Both give the same results and warn of the same truncated texts."""
    found, wanted = (quiet(getattr(each, name), *args, **kwargs) for each in (model, task))
    agree(found[0], wanted[0])
    assert found[1] == wanted[1]
    return found[0]


@pytest.fixture(scope="module")
def classifier(both, word_piece):
    return both(tasks.TextClassifier(make_backbone(word_piece), word_piece, labels=["a", "é", "c"]))


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"batch_size": 3}, {"top_k": 9}])
def test_labels_are_those_of_the_classifier(classifier, options):
    same("classify", *classifier, TEXTS, **options)
    same("classify", *classifier, TEXTS, PAIRS, **options)
    same("classify", *classifier, TEXTS[0], **options)
    same("classify", *classifier, TEXTS[0], "pair", **options)
    same("classify", *classifier, [], **options)


def test_several_labels_are_those_of_the_classifier(both, byte_pair):
    backbone = make_backbone(byte_pair)
    task, model = both(
        tasks.TextClassifier(backbone, byte_pair, 4, multi_label=True, allow_special=["<mask>"])
    )
    for threshold in (0.5, 0.0, 1.0):
        same("classify", task, model, TEXTS, threshold=threshold)
    same("classify", task, model, TEXTS, PAIRS, top_k=1)


@pytest.mark.quick("sizes0")
@pytest.mark.parametrize("sizes", [{"batch_size": 4}, {"batch_size": 1, "sequence_length": 48}])
def test_a_file_of_one_shape_gives_the_same(both, word_piece, sizes):
    task, model = both(tasks.TextClassifier(make_backbone(word_piece), word_piece, 2), **sizes)
    texts = TEXTS[:5]
    agree(quiet(model.classify, texts)[0], quiet(task.classify, texts)[0])


@pytest.mark.parametrize("num_targets", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_scores_are_those_of_the_regressor(both, word_piece, num_targets):
    task, model = both(tasks.TextRegressor(make_backbone(word_piece), word_piece, num_targets))
    for texts in (TEXTS, TEXTS[0], []):
        found = same("score", task, model, texts)
        assert type(found) is type(quiet(task.score, texts)[0])
    same("score", task, model, TEXTS, PAIRS)


def test_vectors_are_those_of_the_embedder(both, byte_pair):
    task = tasks.TextEmbedder(make_backbone(byte_pair), byte_pair, projection_dim=5)
    task, model = both(task)
    assert model.embedding_dim == 5
    for texts in (TEXTS, TEXTS[0], []):
        found = same("embed", task, model, texts)
        assert found.shape[-1] == 5 and found.dtype == np.float32


@pytest.mark.parametrize("kind", ["word_piece", pytest.param("byte_pair", marks=pytest.mark.slow)])
def test_tokens_are_those_of_the_masked_lm(both, request, kind):
    tokenizer = request.getfixturevalue(kind)
    task, model = both(tasks.MaskedLM(make_backbone(tokenizer), tokenizer))
    mask = tokenizer.mask_token
    same("fill", task, model, f"the {mask} café")
    same("fill", task, model, [f"{mask} and {mask}", f"a {mask}"], top_k=3)
    with pytest.raises(ValueError, match="which has one later"):
        quiet(model.fill, "x " * 80 + mask)


@pytest.mark.parametrize("kind", [pytest.param("word_piece", marks=pytest.mark.slow), "byte_pair"])
def test_spans_and_tags_are_those_of_the_tagger(both, request, kind):
    tokenizer = request.getfixturevalue(kind)
    task, model = both(tasks.TokenClassifier(make_backbone(tokenizer), tokenizer, TAGS))
    same("tag", task, model, TEXTS)
    same("tag", task, model, TEXTS[2])
    assert any(model.tag(TEXTS[2:4]))
    words = [["Ada", "Lovelace", "wrote", "", "我喜欢"], [], ["café"] * 80]
    same("tag", task, model, words)
    same("tag", task, model, TEXTS[:1])


@pytest.mark.parametrize("no_answer", [pytest.param(False, marks=pytest.mark.slow), True])
def test_answers_are_those_of_the_answerer(both, word_piece, no_answer):
    task, model = both(
        tasks.QuestionAnswerer(
            make_backbone(word_piece),
            word_piece,
            no_answer=no_answer,
            no_answer_threshold=0.3,
            sequence_length=40,
            stride=6,
            max_question_tokens=8,
            max_answer_tokens=5,
        )
    )
    questions = ["who?", "Where is Ada Lovelace and who wrote all of it?", "x", "who?"]
    contexts = [TEXTS[2] * 9, TEXTS[3] * 4, "", "EU"]
    same("answer", task, model, questions, contexts)
    same("answer", task, model, "who?", TEXTS[2])
    same("answer", task, model, [], [])


def test_tokens_give_the_logits_of_the_task(classifier):
    task, model = classifier
    token_ids = np.random.default_rng(0).integers(0, 100, (3, 9))
    mask = np.arange(9) < np.array([[9], [4], [1]])
    segments = ((np.arange(9) > 3) & mask).astype("int32")
    inputs = {"token_ids": token_ids, "padding_mask": mask, "segment_ids": segments}
    wanted = task(inputs).numpy()
    np.testing.assert_allclose(model.predict_tokens(**inputs), wanted, rtol=1e-4, atol=1e-5)
    wanted = task({"token_ids": token_ids}).numpy()
    np.testing.assert_allclose(model.predict_tokens(token_ids), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"token_ids": [1, 2]}, r"Received: \(2,\)"),
        ({"token_ids": [[1.0]]}, "dtype=float64"),
        ({"token_ids": [[1, -1]]}, "Received: -1"),
        ({"token_ids": [[10**6]]}, "Received: 1000000"),
        ({"token_ids": [[1] * 65]}, "Received: 65"),
        ({"token_ids": [[1]], "padding_mask": [[True, True]]}, r"Received: \(1, 2\)"),
    ],
)
def test_wrong_tokens_are_refused(classifier, inputs, message):
    with pytest.raises(ValueError, match=message):
        classifier[1].predict_tokens(**inputs)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((5,), {}, TypeError, "texts=5"),
        ((["a", None],), {}, TypeError, "None at index 1"),
        ((["a"], ["b", "c"]), {}, ValueError, "2 pairs, 1 texts"),
        (("a", ["b"]), {}, ValueError, "1 pairs, a str"),
        (("a",), {"top_k": 0}, ValueError, "top_k=0"),
        (("a",), {"threshold": 2}, ValueError, "threshold=2"),
        (("a",), {"batch_size": 0}, ValueError, "batch_size=0"),
        (("a",), {"batch_size": 1.5}, TypeError, "batch_size=1.5"),
    ],
)
def test_wrong_calls_are_refused(classifier, arguments, options, error, message):
    with pytest.raises(error, match=message):
        classifier[1].classify(*arguments, **options)


def test_a_file_without_tokenizer_takes_tokens_alone(both, word_piece):
    backbone = make_backbone(word_piece)
    task, model = both(tasks.TextClassifier(backbone, None, 2), sequence_length=8)
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        model.classify("a")
    wanted = task({"token_ids": np.array([[3] * 8])}).numpy()
    np.testing.assert_allclose(model.predict_tokens([[3] * 8]), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"lengths \[8\]. Received: 3"):
        model.predict_tokens([[3] * 3])
