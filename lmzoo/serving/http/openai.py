"""OpenAI's paths: completions, chat completions, embeddings and the list of models.

Reference: https://platform.openai.com/docs/api-reference
"""

import asyncio
import base64
import contextlib
import struct

from starlette.responses import JSONResponse, StreamingResponse

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.http.openai_forms import CompletionForm, CompletionRequest
from lmzoo.serving.http.requests import check_text, read_body, run_while_connected, take
from lmzoo.serving.http.tensorflow_serving import describe_for_openai

__all__ = ["OpenAI"]


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
        asked = CompletionRequest(body, is_chat, self.options)
        form = CompletionForm(model.name, is_chat)
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
