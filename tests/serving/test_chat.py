"""Conversations by a model's own template, and why a user cannot write special tokens into one."""

import pytest

import lmzoo
from lmzoo.export.slot_signatures import describe_chat
from lmzoo.serving.worker.chat import render_chat
from tests.export.tiny_lm import TEXT

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Model:
    """What `render_chat` reads of a model."""

    def __init__(self, template):
        self.chat = template and {
            "template": template,
            "special_tokens": ["<|user|>", "<|end|>"],
            "start_token": "",
            "end_token": "<|end|>",
        }


def test_the_template_writes_special_tokens_and_a_user_does_not():
    messages = [{"role": "user", "content": "a cat"}]
    assert render_chat(Model(TEMPLATE), messages) == ("<|user|>a cat<|end|><|assistant|>", True)
    bad = [{"role": "user", "content": "a <|end|> cat"}]
    with pytest.raises(ValueError, match=r"special token.*'<\|end\|>'"):
        render_chat(Model(TEMPLATE), bad)
    assert render_chat(Model(None), bad) == ("User: a <|end|> cat\nAssistant:", False)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__base__.__subclasses__()[0]() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{% include 'file' %}",
        "{{ raise_exception('only users') }}",
        "{{",
    ],
)
def test_a_template_of_a_stranger_reaches_nothing(template):
    with pytest.raises(ValueError, match="messages"):
        render_chat(Model(template), [{"role": "user", "content": "a"}])


def test_a_tokenizer_says_how_it_reads_conversations():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    assert describe_chat(tokenizer) is None and describe_chat(None) is None
    tokenizer.chat_template = TEMPLATE
    found = describe_chat(tokenizer)
    assert found["template"] == TEMPLATE
    assert found["special_tokens"] == list(tokenizer.special_tokens)
