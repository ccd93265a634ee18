"""A conversation with a `CausalLM`: its turn format, its history, and the end of an answer."""

from _helpers.completions import generate_greedily

MAX_NEW_TOKENS = 64


class Chat:
    """Conversations with a model.

    Args:
        lm: `CausalLM` whose tokenizer has a chat template.
        remembers: bool. Whether the turns before the last question are read.
    """

    def __init__(self, lm, remembers=True):
        import jinja2.sandbox

        self.lm, self.remembers = lm, remembers
        # The template comes with the model, maybe from a stranger: it must not reach Python.
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True)
        self.template = environment.from_string(lm.tokenizer.chat_template)

    def write_prompt(self, messages):
        """Messages in the turn format, without the oldest ones where they are too many."""
        messages = list(messages if self.remembers else messages[-1:])
        while True:
            text = self.template.render(messages=messages, add_generation_prompt=True)
            length = len(self.lm.tokenizer.tokenize(text, allow_special=True))
            if length <= self.lm.max_sequence_length - MAX_NEW_TOKENS or len(messages) < 3:
                return text
            messages = messages[2:]

    def answer(self, conversations):
        """An answer to the last message of each: list of str."""
        prompts = [self.write_prompt(messages) for messages in conversations]
        return generate_greedily(
            self.lm, prompts, max_new_tokens=MAX_NEW_TOKENS, allow_special=True
        )

    def stream(self, messages):
        """Yields the answer in pieces; it ends where the model ends its turn."""
        for message in messages:
            for token in self.lm.tokenizer.special_tokens:
                # In the text of a user it could end a turn, and begin one of the model.
                if token in message["content"]:
                    raise ValueError(f"`content` must not hold a special token. Received: {token}")
        yield from self.lm.stream(
            self.write_prompt(messages),
            max_new_tokens=MAX_NEW_TOKENS,
            temperature=0.0,
            allow_special=True,
        )


def say(role, content):
    return {"role": role, "content": content}
