"""POST /v1/models/NAME:attention: what the playground asks to show where a model looks."""

import pytest

import lmzoo
from lmzoo.serving.worker import model as worker_model

ASK = "/v1/models/{}:attention"
TEXT = "Peter Blackburn wrote"


@pytest.fixture(scope="module")
def opened(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attention") / "films"
    classifier.save_pretrained(folder)
    return worker_model.open_model("model_folder", str(folder))


def run(opened, **inputs):
    return opened.run("attention", {"pair": None, "target": None, "layer": None, **inputs})


def test_a_model_folder_gives_what_the_library_gives(opened, classifier):
    assert opened.describe()["has_attention"] is True
    # It is no signature, so that `:predict` does not reach it.
    assert "attention" not in opened.describe()["signatures"]
    wanted = lmzoo.explain.attention(classifier, TEXT, "a pair").to_dict()
    assert wanted.pop("target_tokens") is None
    assert run(opened, text=TEXT, pair="a pair") == wanted
    assert run(opened, text=TEXT, layer=-1)["kinds"][0]["shape"][0] == 1


def test_a_text_that_is_too_long_for_a_picture_is_refused(opened, monkeypatch):
    with pytest.raises(ValueError, match="at most 64 tokens. Received: 103"):
        run(opened, text=" ".join("a" * 101))
    monkeypatch.setattr(worker_model, "_MOST_WEIGHTS", 10)
    with pytest.raises(ValueError, match="at most 10 weights. Received: a text with "):
        run(opened, text=TEXT)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`text` must be a string. Received: a null"),
        ({"text": "x" * 70_000}, "`text` must have at most 65536 bytes"),
        ({"text": "a", "pair": 3}, "`pair` must be a string"),
        ({"text": "a", "layer": "1"}, "`layer` must be an integer"),
        ({"text": "a"}, "served from a model folder"),
    ],
)
def test_a_bad_request_and_an_export_are_refused(server, body, words):
    status, found = server.ask(ASK.format("films"), body)
    assert status == 400 and words in str(found)


def test_the_list_says_which_models_show_it(server):
    _, found = server.ask("/v1/models")
    assert {one["id"]: one["has_attention"] for one in found["data"]} == {
        **{"films": False, "slots": False}
    }
    assert server.ask(ASK.format("films"))[0] == 405


@pytest.mark.slow
def test_a_served_folder_answers_as_the_library(other_server, lm):
    status, found = other_server.ask(ASK.format("folder"), {"text": "a cat", "target": " ate"})
    wanted = lmzoo.explain.attention(lm, "a cat", target=" ate").to_dict()
    assert status == 200 and found["kinds"] == wanted["kinds"]
    assert [token[0] for token in found["tokens"]] == [token[0] for token in wanted["tokens"]]
    status, found = other_server.ask(ASK.format("folder"), {"text": "a cat " * 30})
    assert status == 400 and "at most 32 tokens" in str(found)
    _, listed = other_server.ask("/v1/models")
    assert {one["id"]: one["has_attention"] for one in listed["data"]}["folder"] is True
