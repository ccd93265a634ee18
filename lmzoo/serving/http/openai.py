"""OpenAI's paths: completions, chat completions, embeddings and the list of models.

Reference: https://platform.openai.com/docs/api-reference
"""

import asyncio
import base64
import contextlib
import json
import secrets
import struct
import time

from starlette.responses import JSONResponse, StreamingResponse

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.http.requests import check_text, read_body, run_while_connected, take
from lmzoo.serving.http.tensorflow_serving import describe_for_openai

__all__ = ["OpenAI"]

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


class OpenAI:
    """The handlers.

    Args:
        manager: ModelManager.
        options: ServeOptions.
        telemetry: Telemetry.
    """

    def __init__(self, manager, options, telemetry):
        self.manager = manager
        self.options = options
        self.telemetry = telemetry

    async def list_models(self, request):
        """GET /v1/models."""
        request.scope["lmzoo"]["path"] = "/v1/models"
        models = [model for model in self.manager.models.values() if model.versions]
        entries = [
            {
                **describe_for_openai(model),
                "kind": (model.info or {}).get("kind"),
                "has_attention": (model.info or {}).get("has_attention", False),
            }
            for model in models
        ]
        return JSONResponse({"object": "list", "data": entries})

    async def complete(self, request):
        """POST /v1/completions."""
        return await self._answer(request, is_chat=False)

    async def chat(self, request):
        """POST /v1/chat/completions."""
        return await self._answer(request, is_chat=True)

    async def embed(self, request):
        """POST /v1/embeddings."""
        body, model = await self._read(request, "/v1/embeddings")
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not 0 < len(texts) <= self.options.max_rows:
            raise RefusalError(
                400,
                f"`input` must be a string or a list of 1 to {self.options.max_rows} strings.",
                "input",
            )
        for text in texts:
            check_text(text, "input", self.options)
        encoding = take(body, "encoding_format", str, "float")
        if encoding not in ("float", "base64"):
            raise RefusalError(400, "`encoding_format` must be float or base64.", "encoding_format")
        coroutine = self._embed(model, texts)
        vectors = await run_while_connected(request, coroutine, self.options.timeout_seconds)
        if encoding == "base64":
            vectors = [
                base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode() for row in vectors
            ]
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return JSONResponse({"object": "list", "data": data, "model": model.name, "usage": usage})

    async def _embed(self, model, texts):
        async with model.use() as (worker, batcher):
            _check_kind(model, worker, "embed", "embeddings")
            outputs = await batcher.submit("serving_default", {"text": texts}, len(texts))
        return outputs["embedding"]

    async def _read(self, request, path):
        facts = request.scope["lmzoo"]
        facts["path"] = path
        body = await read_body(request, self.options)
        if not isinstance(body.get("model"), str):
            raise RefusalError(400, "`model` must be the name of a model.", "model")
        model = self.manager.find(body["model"])
        facts["model"] = model.name
        return body, model

    async def _answer(self, request, is_chat):
        path = "/v1/chat/completions" if is_chat else "/v1/completions"
        body, model = await self._read(request, path)
        asked = _Asked(body, is_chat, self.options)
        form = _Form(model.name, is_chat)
        if take(body, "stream", bool, False):
            return await self._stream(request, model, asked, form, body)
        coroutine = self._collect(model, asked)
        results = await run_while_connected(request, coroutine, self.options.timeout_seconds)
        return JSONResponse(form.whole(results))

    async def _collect(self, model, asked):
        """All choices, each a dict of `text`, `reason`, `prompt_tokens` and `new_tokens`."""
        async with contextlib.AsyncExitStack() as stack:
            worker, batcher = await stack.enter_async_context(model.use())
            _check_kind(model, worker, "generate", "completions")
            if not worker.info["has_slots"]:
                return await asyncio.gather(
                    *(_generate_whole(batcher, request) for request in asked.requests)
                )
            generations = [
                await stack.enter_async_context(worker.generate(request))
                for request in asked.requests
            ]
            results = await asyncio.gather(*(_read_whole(one) for one in generations))
        for result in results:
            self.telemetry.count_tokens(model.name, result["new_tokens"])
        return results

    async def _stream(self, request, model, asked, form, body):
        options = take(body, "stream_options", dict, {})
        with_usage = take(options, "include_usage", bool, False)
        events = self._list_events(model, asked)
        # The first event comes before the status: what is refused at once gets its own.
        first = await run_while_connected(request, anext(events), self.options.timeout_seconds)

        async def lines():
            deadline = asyncio.get_running_loop().time() + self.options.timeout_seconds
            prompt_tokens = new_tokens = 0
            try:
                async with asyncio.timeout_at(deadline):
                    for index in range(len(asked.requests)) if form.is_chat else ():
                        yield form.opening(index)
                    index, event = first
                    while True:
                        yield form.piece(index, event["text"], event.get("reason"))
                        new_tokens += event.get("new_tokens") or 0
                        prompt_tokens += event.get("prompt_tokens") or 0
                        following = await anext(events, None)
                        if following is None:
                            break
                        index, event = following
                    if with_usage:
                        yield form.usage(prompt_tokens, new_tokens)
            except TimeoutError:
                yield form.error(RefusalError(504, "The model did not answer in time."))
            except RefusalError as refusal:
                yield form.error(refusal)
            finally:
                await events.aclose()
                self.telemetry.count_tokens(model.name, new_tokens)
            yield "data: [DONE]\n\n"

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(lines(), media_type="text/event-stream", headers=headers)

    async def _list_events(self, model, asked):
        """(index of the choice, event) as they come."""
        async with contextlib.AsyncExitStack() as stack:
            worker, batcher = await stack.enter_async_context(model.use())
            _check_kind(model, worker, "generate", "completions")
            if not worker.info["has_slots"]:
                for index, request in enumerate(asked.requests):
                    yield index, await _generate_whole(batcher, request)
                return
            queue = asyncio.Queue()
            tasks = []
            for index, request in enumerate(asked.requests):
                generation = await stack.enter_async_context(worker.generate(request))
                tasks.append(asyncio.create_task(_forward(index, generation, queue)))
            try:
                left = len(tasks)
                while left:
                    index, event = await queue.get()
                    if isinstance(event, RefusalError):
                        raise event
                    left -= "reason" in event
                    yield index, event
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(index, generation, queue):
    try:
        async for event in generation:
            queue.put_nowait((index, event))
    except RefusalError as refusal:
        queue.put_nowait((index, refusal))


async def _read_whole(generation):
    pieces = []
    async for event in generation:
        pieces.append(event["text"])
    return {**event, "text": "".join(pieces)}


async def _generate_whole(batcher, request):
    """The text of a model without slots, by its signature `generate`."""
    options = request["options"]
    prompt = request["prompt"]
    if "messages" in request or options["presence_penalty"]:
        raise RefusalError(400, "The model must be exported with continuous batching for that.")
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "seed")
    inputs = {"text": [prompt], **{name: [options[name]] for name in names}}
    outputs = await batcher.submit("generate", inputs, 1)
    text = outputs["text"][0].removeprefix(prompt)
    ends = [text.find(stop) for stop in request["stop"]]
    end = min((end for end in ends if end >= 0), default=None)
    return {"text": text[:end], "reason": "stop", "prompt_tokens": None, "new_tokens": None}


def _check_kind(model, worker, kind, path):
    if worker.info["kind"] != kind:
        raise RefusalError(
            400,
            f"`model` must be one for {path}. Received: {model.name!r}, which is none.",
            "model",
        )


class _Asked:
    """What a request asks for: `requests`, one for each choice, as a worker takes them."""

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


class _Form:
    """The JSON of answers and events."""

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
