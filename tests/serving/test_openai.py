"""OpenAI's paths, asked by OpenAI's own client."""

import base64
import concurrent.futures

import numpy as np
import openai
import pytest

PROMPTS = ["a cat", "the rat ate", "naïve 猫 🙂", "that hat on", "x", "", "and then", "mat"]


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("plain", "folder")]


@pytest.fixture(scope="module")
def clients(request):
    """A function of a model's name to a client of its server."""
    made = {}

    def find(name):
        fixture = "server" if name in ("slots", "films") else "other_server"
        if fixture not in made:
            url = request.getfixturevalue(fixture).url
            made[fixture] = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        return made[fixture]

    yield find
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def client(clients):
    return clients("slots")


def complete(client, model, prompt, **options):
    options = {"max_tokens": 8, "temperature": 0.0, **options}
    return client.completions.create(model=model, prompt=prompt, **options)


@pytest.mark.parametrize("model", ["slots", *OTHERS])
def test_a_completion_is_that_of_the_task(clients, lm, model):
    client = clients(model)
    for prompt in PROMPTS:
        found = complete(client, model, prompt)
        wanted = lm.generate(prompt, max_new_tokens=8, return_prompt=False)
        assert found.choices[0].text == wanted


@pytest.mark.parametrize("model", ["slots", OTHERS[1]])
def test_many_clients_get_what_each_gets_alone_whole_or_streamed(clients, lm, model):
    client = clients(model)

    def ask(index):
        options = {"max_tokens": 2 + index, "temperature": 0.9, "seed": index, "top_p": 0.9}
        found = complete(client, model, PROMPTS[index], stream=index % 2 == 0, **options)
        if index % 2:
            return found.choices[0].text
        return "".join(event.choices[0].text for event in found)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(len(PROMPTS))))
    for index, text in enumerate(found):
        wanted = lm.generate(
            [PROMPTS[index]],
            max_new_tokens=2 + index,
            temperature=0.9,
            top_p=0.9,
            seed=[index],
            return_prompt=False,
        )
        assert text == wanted[0]


def test_several_prompts_and_choices_are_counted(client, lm):
    found = complete(client, "slots", PROMPTS[:2], n=2, temperature=1.0, seed=5, max_tokens=4)
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]
    wanted = [
        lm.generate([prompt], max_new_tokens=4, temperature=1.0, seed=[seed], return_prompt=False)[
            0
        ]
        for prompt in PROMPTS[:2]
        for seed in (5, 6)
    ]
    assert [choice.text for choice in found.choices] == wanted
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert 0 < found.usage.completion_tokens <= 16


def test_a_stop_string_ends_a_text_before_it(client, lm):
    whole = lm.generate("a cat", max_new_tokens=20, return_prompt=False)
    stop = whole[5:8]
    for stream in (False, True):
        found = complete(client, "slots", "a cat", max_tokens=20, stop=stop, stream=stream)
        events = list(found) if stream else [found]
        assert "".join(event.choices[0].text for event in events) == whole[: whole.index(stop)]
        assert events[-1].choices[0].finish_reason == "stop"
    assert complete(client, "slots", "a cat", max_tokens=2).choices[0].finish_reason == "length"


def test_a_chat_is_a_transcript_where_the_model_has_no_template(client, lm):
    messages = [{"role": "system", "content": "Be"}, {"role": "user", "content": "a cat"}]
    options = {"model": "slots", "messages": messages, "temperature": 0, "max_tokens": 6}
    found = client.chat.completions.create(**options)
    prompt = "System: Be\nUser: a cat\nAssistant:"
    assert found.choices[0].message.role == "assistant"
    assert found.choices[0].message.content == lm.generate(
        prompt, max_new_tokens=6, return_prompt=False
    )
    events = list(
        client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == found.choices[0].message.content
    assert events[-1].usage.completion_tokens == found.usage.completion_tokens


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_are_those_of_the_task(clients, embedder, encoding):
    client = clients("vectors")
    texts = ["British lamb", "Paris"]
    found = client.embeddings.create(model="vectors", input=texts, encoding_format=encoding)
    got = [one.embedding for one in found.data]
    if encoding == "base64":
        got = [np.frombuffer(base64.b64decode(text), "<f4") for text in got]
    np.testing.assert_allclose(got, embedder.embed(texts), atol=1e-5)
    alone = client.embeddings.create(model="vectors", input="Paris")
    np.testing.assert_allclose(alone.data[0].embedding, got[1], atol=1e-5)


def test_the_list_of_models_is_what_is_served(client):
    found = {model.id for model in client.models.list()}
    assert found == {"films", "slots"}
    assert client.models.retrieve("films").id == "films"


BAD = {
    "top_p": ({"top_p": 7}, "`top_p` must be from 0 to 1. Received: 7"),
    "temperature": ({"temperature": -1}, "Received: -1"),
    "max_tokens": ({"max_tokens": 10**9}, "from 0 to 1024. Received: 1000000000"),
    "n": ({"n": 0}, "`n` must be from 1 to 16"),
    "logprobs": ({"logprobs": 5}, "`logprobs` is not supported"),
    "stop": ({"stop": [""]}, "`stop` must be"),
    "prompt": ({"prompt": [1, 2]}, "`prompt` must be a string. Received: a number"),
    "long": ({"prompt": "a" * 70_000}, "at most 65536 bytes"),
    "context": ({"prompt": "0123456789" * 5}, "context of 32 tokens"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_bad_request_of_the_client(client, name, stream):
    options, words = BAD[name]
    options = {"model": "slots", "prompt": "a", **options}
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(**options, stream=stream)
    assert words in raised.value.body["message"]


def test_a_model_of_another_kind_or_none_is_refused(client):
    with pytest.raises(openai.NotFoundError, match="'nobody'"):
        complete(client, "nobody", "a")
    with pytest.raises(openai.BadRequestError, match="'films'"):
        complete(client, "films", "a")
    with pytest.raises(openai.BadRequestError, match="'slots'"):
        client.embeddings.create(model="slots", input="a")
