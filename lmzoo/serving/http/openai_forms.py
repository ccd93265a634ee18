"""What a request on OpenAI's paths asks for, and the form of its answer.

Reference: https://platform.openai.com/docs/api-reference
"""

import json
import secrets
import time

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.http.requests import check_text, take

__all__ = ["CompletionForm", "CompletionRequest"]

_MOST_CHOICES, _MOST_STOPS = 16, 4
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Fields that would change the answer and have no meaning here, with the values that change nothing.
_UNSUPPORTED = {
    "frequency_penalty": (0, None),
    "logit_bias": ({}, None),
    "logprobs": (False, None),
    "top_logprobs": (None,),
    "suffix": ("", None),
    "best_of": (1, None),
    "tools": ([], None),
    "functions": ([], None),
    "response_format": ({"type": "text"}, None),
}


class CompletionRequest:
    """What a request asks for: `requests`, one for each choice, as a worker takes them.

    Args:
        body: dict, the JSON of the request.
        is_chat: bool. Whether it has messages, and not prompts.
        options: ServeOptions.
    Raises:
        RefusalError: if a field is wrong or not supported.
    """

    def __init__(self, body, is_chat, options):
        _check_supported(body)
        limit = options.max_new_tokens
        default = min(limit, 256 if is_chat else 16)
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        seed = take(body, "seed", int, None, -(2**63), 2**63)
        seed = secrets.randbits(31) if seed is None else seed % 2**31
        if take(body, "echo", bool, False):
            raise RefusalError(400, "`echo` must be false.", "echo")
        count = take(body, "n", int, 1, 1, _MOST_CHOICES)
        top_p = take(body, "top_p", float, 1.0, 0, 1)
        numbers = {
            "max_new_tokens": take(body, name, int, default, 0, limit),
            "temperature": float(take(body, "temperature", float, 1.0, 0, 100)),
            # As small as it may be: the likeliest token.
            "top_p": max(float(top_p), 1e-6),
            "top_k": take(body, "top_k", int, 0, 0, 2**31 - 1),
            "min_p": float(take(body, "min_p", float, 0.0, 0, 1)),
            "presence_penalty": float(take(body, "presence_penalty", float, 0.0, -2, 2)),
            "repetition_penalty": float(take(body, "repetition_penalty", float, 1.0, 0.01, 100)),
        }
        prompts = [_read_messages(body, options)] if is_chat else _read_prompts(body, options)
        if len(prompts) * count > options.max_rows:
            raise RefusalError(400, f"A request must have at most {options.max_rows} choices.", "n")
        common = {"stop": _read_stops(body), "streams": body.get("stream") is True}
        self.requests = [
            {**prompt, **common, "options": {**numbers, "seed": (seed + index) % 2**31}}
            for prompt in prompts
            for index in range(count)
        ]


def _check_supported(body):
    for name, without_effect in _UNSUPPORTED.items():
        if name in body and body[name] not in without_effect:
            raise RefusalError(400, f"`{name}` is not supported: leave it out.", name)


def _read_prompts(body, options):
    prompt = body.get("prompt", "")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not 0 < len(prompts) <= options.max_rows:
        raise RefusalError(
            400,
            f"`prompt` must be a string or a list of 1 to {options.max_rows} strings.",
            "prompt",
        )
    return [{"prompt": check_text(text, "prompt", options)} for text in prompts]


def _read_messages(body, options):
    messages = take(body, "messages", list, [])
    if not 0 < len(messages) <= options.max_rows:
        raise RefusalError(
            400, f"`messages` must be a list of 1 to {options.max_rows} objects.", "messages"
        )
    found = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            roles = ", ".join(_ROLES)
            raise RefusalError(400, f"`messages` must have a `role` of {roles} each.", "messages")
        content = message.get("content")
        if isinstance(content, list):
            content = _join_parts(content)
        found.append({"role": _ROLES[role], "content": check_text(content, "content", options)})
    check_text("".join(one["content"] for one in found), "messages", options)
    return {"messages": found}


def _join_parts(parts):
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise RefusalError(400, "`content` must have parts of the type text alone.", "messages")
    return "".join(texts)


def _read_stops(body):
    stops = body.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    fits = isinstance(stops, list) and len(stops) <= _MOST_STOPS
    if not fits or not all(isinstance(one, str) and 0 < len(one) <= 512 for one in stops):
        raise RefusalError(
            400, f"`stop` must be a string or at most {_MOST_STOPS} of 512 characters each.", "stop"
        )
    return stops


class CompletionForm:
    """The JSON of answers and events.

    Args:
        model: str. Its name.
        is_chat: bool.
    """

    def __init__(self, model, is_chat):
        prefix = "chatcmpl" if is_chat else "cmpl"
        self.is_chat = is_chat
        self.object = "chat.completion" if is_chat else "text_completion"
        self.head = {
            "id": f"{prefix}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, results):
        choices = []
        for index, result in enumerate(results):
            text = {"text": result["text"]}
            if self.is_chat:
                text = {"message": {"role": "assistant", "content": result["text"]}}
            choices.append({"index": index, **text, "finish_reason": result["reason"]})
        usage = None
        if all(result["new_tokens"] is not None for result in results):
            usage = _usage(
                results[0]["prompt_tokens"], sum(result["new_tokens"] for result in results)
            )
        for choice in choices:
            choice["logprobs"] = None
        return {**self.head, "object": self.object, "choices": choices, "usage": usage}

    def opening(self, index):
        return self._event(index, {"delta": {"role": "assistant", "content": ""}}, None)

    def piece(self, index, text, reason):
        words = {"delta": {"content": text}} if self.is_chat else {"text": text}
        return self._event(index, words, reason)

    def _event(self, index, words, reason):
        choice = {"index": index, **words, "finish_reason": reason, "logprobs": None}
        return self._line({"choices": [choice]})

    def usage(self, prompt_tokens, new_tokens):
        return self._line({"choices": [], "usage": _usage(prompt_tokens, new_tokens)})

    def error(self, refusal):
        content = {"message": refusal.message, "type": "server_error", "code": refusal.status}
        return f"data: {json.dumps({'error': content})}\n\n"

    def _line(self, content):
        kind = "chat.completion.chunk" if self.is_chat else self.object
        return f"data: {json.dumps({**self.head, 'object': kind, **content})}\n\n"


def _usage(prompt_tokens, new_tokens):
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": new_tokens,
        "total_tokens": prompt_tokens + new_tokens,
    }
