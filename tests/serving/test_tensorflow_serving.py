"""TensorFlow Serving's REST paths."""

import numpy as np
import pytest

TEXTS = ["Peter Blackburn wrote", "boycott British lamb", "naïve café", ""]


def test_a_classifier_answers_as_the_task(server, classifier):
    status, found = server.ask("/v1/models/films:predict", {"instances": TEXTS})
    assert status == 200
    wanted = classifier.classify(TEXTS, top_k=3)
    for row, labels in zip(found["predictions"], wanted, strict=True):
        assert row["labels"] == [one["label"] for one in labels]
        np.testing.assert_allclose(row["scores"], [one["score"] for one in labels], atol=1e-5)


def test_columns_and_versions_and_objects_give_the_same(server):
    ask = "/v1/models/films:predict"
    _, rows = server.ask(ask, {"instances": TEXTS})
    _, objects = server.ask(ask, {"instances": [{"text": text} for text in TEXTS]})
    _, columns = server.ask("/v1/models/films/versions/1:predict", {"inputs": {"text": TEXTS}})
    _, bare = server.ask(ask, {"inputs": TEXTS, "signature_name": "serving_default"})
    assert rows == objects and columns == bare
    assert columns["outputs"]["labels"] == [row["labels"] for row in rows["predictions"]]


def test_classify_gives_pairs_of_label_and_score(server):
    examples = [{"text": text} for text in TEXTS]
    status, found = server.ask("/v1/models/films:classify", {"examples": examples})
    assert status == 200
    _, rows = server.ask("/v1/models/films:predict", {"instances": TEXTS})
    assert found["results"] == [
        [list(pair) for pair in zip(row["labels"], row["scores"], strict=True)]
        for row in rows["predictions"]
    ]


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("plain", "folder")]


@pytest.mark.parametrize("name", ["slots", *OTHERS])
def test_the_signature_generate_continues_texts(request, lm, name):
    server = request.getfixturevalue("server" if name == "slots" else "other_server")
    inputs = {
        "text": ["a cat", "the rat ate"],
        "max_new_tokens": 6,
        "temperature": 0.8,
        "top_k": 0,
        "top_p": 1.0,
        "seed": [3, 4],
    }
    body = {"inputs": inputs, "signature_name": "generate"}
    status, found = server.ask(f"/v1/models/{name}:predict", body)
    assert status == 200, found
    wanted = lm.generate(inputs["text"], max_new_tokens=6, temperature=0.8, seed=[3, 4])
    assert found["outputs"]["text"] == wanted


@pytest.mark.slow
def test_status_and_metadata_have_the_form_of_tensorflow_serving(other_server):
    server = other_server
    _, status = server.ask("/v1/models/vectors")
    assert status["model_version_status"] == [
        {
            "version": "3",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
    assert server.ask("/v1/models/vectors/versions/3")[0] == 200
    _, found = server.ask("/v1/models/vectors/metadata")
    assert found["model_spec"] == {"name": "vectors", "signature_name": "", "version": "3"}
    default = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert default["inputs"]["text"]["dtype"] == "DT_STRING"
    assert default["inputs"]["text"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert default["outputs"]["embedding"]["tensor_shape"]["dim"][1]["size"] == "16"


BAD = {
    "no object": (b"[1, 2]", 400, "a JSON object. Received: a list"),
    "no JSON": (b"{", 400, "must be JSON"),
    "NaN": (b'{"instances": [NaN]}', 400, "must be JSON"),
    "deep": (b'{"instances": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "must "),
    "nested": ({"instances": [[[[[[[[[[["a"]]]]]]]]]]]}, 400, "at most 8 axes"),
    "huge": ({"instances": ["a" * (1 << 20)]}, 413, "at most 1048576 bytes"),
    "long": ({"instances": ["a" * 70_000]}, 400, "at most 65536 bytes"),
    "many": ({"instances": ["a"] * 129}, 400, "at most 128 rows"),
    "number": ({"instances": [3]}, 400, "`text` must be a string. Received: a number"),
    "surrogate": (b'{"instances": ["\\ud800"]}', 400, "valid Unicode"),
    "empty": ({"instances": []}, 400, "must not be empty"),
    "both": ({"instances": ["a"], "inputs": ["a"]}, 400, "either `instances` or `inputs`"),
    "other input": ({"instances": [{"txt": "a"}]}, 400, "must have the inputs text"),
    "signature": ({"instances": ["a"], "signature_name": "x"}, 400, "Received: 'x'"),
    "rank": ({"inputs": {"text": [["a"]]}}, 400, "must have 1 axes. Received: 2"),
    "base64": ({"instances": [{"b64": "?"}]}, 400, "must have base64"),
    "ragged": (
        {
            "inputs": {"token_ids": [[1], [1, 2]], "padding_mask": [[True]]},
            "signature_name": "tokens",
        },
        400,
        "",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(server, name):
    body, wanted, words = BAD[name]
    status, found = server.ask("/v1/models/films:predict", body)
    assert status == wanted
    assert words in found["error"]


def test_a_model_or_a_path_that_is_not_there_is_not_found(server):
    assert server.ask("/v1/models/nobody:predict", {"instances": ["a"]})[0] == 404
    assert server.ask("/v1/models/nobody")[0] == 404
    assert server.ask("/v1/models/films/versions/7:predict", {"instances": ["a"]})[0] == 404
    assert server.ask("/v1/models/films:explain", {"instances": ["a"]})[0] == 404
    assert server.ask("/v2")[0] == 404
    assert server.ask("/v1/models/films:predict")[0] == 405


def test_a_prompt_beyond_the_context_is_refused_alone(server):
    body = {"inputs": {"text": ["0123456789" * 5]}}
    status, found = server.ask("/v1/models/slots:predict", body)
    assert status == 400
    assert "must not be longer than the context of 32 tokens" in found["error"]
    body = {"inputs": {"text": ["a"], "max_new_tokens": 10**6}, "signature_name": "generate"}
    assert server.ask("/v1/models/slots:predict", body)[0] == 400
