"""Conversations as one prompt."""

__all__ = ["render_chat"]

# For a model without a template of its own: as a transcript, which any language model continues.
_NAMES = {"system": "System", "user": "User", "assistant": "Assistant"}


def render_chat(model, messages):
    """A conversation as a prompt, and whether special tokens in it are meant.

    Args:
        model: OpenModel.
        messages: list of dicts with `role` and `content`, str.
    Returns:
        (str, bool).
    Raises:
        ValueError: if a message has a special token in it, or the template refuses them.
    """
    if model.chat is None:
        lines = [f"{_NAMES[message['role']]}: {message['content']}\n" for message in messages]
        return "".join(lines) + "Assistant:", False
    for message in messages:
        for token in model.chat["special_tokens"]:
            if token in message["content"]:
                raise ValueError(
                    "`content` must not have a special token of the model in it. Received: "
                    f"{token!r}."
                )
    return _render(model, messages), True


def _render(model, messages):
    import jinja2
    import jinja2.sandbox

    def refuse(words):
        raise ValueError(f"`messages` must be what the model's template takes. It says: {words}")

    # The template comes with the model, from a stranger perhaps: it must not reach Python.
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(model.chat["template"]).render(
            messages=messages,
            add_generation_prompt=True,
            bos_token=model.chat["start_token"],
            eos_token=model.chat["end_token"],
        )
    except (jinja2.TemplateError, TypeError, ArithmeticError) as error:
        raise ValueError(f"`messages` do not fit the model's template: {error!s:.200}") from error
