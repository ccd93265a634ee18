"""The ASGI application: every path, and what stands before them."""

import contextlib

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.http.gate import Gate, make_error
from lmzoo.serving.http.openai import OpenAI
from lmzoo.serving.http.page import Page
from lmzoo.serving.http.tensorflow_serving import TensorFlowServing
from lmzoo.serving.models.manager import ModelManager
from lmzoo.serving.telemetry import Telemetry

__all__ = ["make_app"]


def make_app(options):
    """The application; it opens the models when it starts and ends their processes when it ends.

    Args:
        options: ServeOptions.
    Returns:
        An ASGI application with the attribute `manager`, a ModelManager.
    """
    telemetry = Telemetry(
        lambda: {name: model.num_waiting for name, model in manager.models.items()}
    )
    manager = ModelManager(options, telemetry.report)
    openai = OpenAI(manager, options, telemetry)

    async def health(request):
        request.scope["lmzoo"]["path"] = "/healthz"
        return JSONResponse({"status": "ok"})

    async def ready(request):
        request.scope["lmzoo"]["path"] = "/readyz"
        is_ready = manager.is_ready
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    async def metrics(request):
        request.scope["lmzoo"]["path"] = "/metrics"
        content, kind = telemetry.export()
        return Response(content, media_type=kind)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        await manager.start()
        try:
            yield
        finally:
            await manager.close()

    async def refuse(request, error):
        return make_error(request.url.path, error)

    async def refuse_path(request, error):
        words = "There is no such path." if error.status_code == 404 else str(error.detail)
        return make_error(request.url.path, RefusalError(error.status_code, words))

    serving = TensorFlowServing(manager, options)
    page = Page()
    routes = [
        Route("/", page.__call__),
        Route("/playground/{name}", page.__call__),
        Route("/healthz", health),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/v1/models", openai.list_models),
        Route("/v1/models/{path:path}", serving.__call__, methods=["GET", "POST"]),
        Route("/v1/completions", openai.complete, methods=["POST"]),
        Route("/v1/chat/completions", openai.chat, methods=["POST"]),
        Route("/v1/embeddings", openai.embed, methods=["POST"]),
    ]
    handlers = {RefusalError: refuse, HTTPException: refuse_path}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    gate = Gate(app, options, telemetry)
    gate.manager = manager
    return gate
