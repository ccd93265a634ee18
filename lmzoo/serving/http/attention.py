"""POST /v1/models/NAME:attention, where a model looks in a text: a path of the playground's own."""

from lmzoo.serving.errors import RefusalError, WorkerLostError
from lmzoo.serving.http.requests import check_text, take

__all__ = ["attend"]


async def attend(options, model, number, body):
    """Computes the attention weights of one text.

    Args:
        options: ServeOptions.
        model: ServedModel.
        number: int or None. The version that is asked for.
        body: dict of `text` str and, as `lmzoo.explain.attention` takes them, `pair` and `target`
            str, and `layer` int, the only one to answer.
    Returns:
        dict, as `lmzoo.explain.Attention.to_dict` gives it.
    Raises:
        RefusalError: 400 if a field is wrong, the text is too long for a picture, or the model is
            a SavedModel, whose weights stay inside; 429 if too many requests wait.
    """
    inputs = {"text": check_text(body.get("text"), "text", options)}
    for name in ("pair", "target"):
        value = body.get(name)
        inputs[name] = None if value is None else check_text(value, name, options)
    inputs["layer"] = take(body, "layer", int, None, -1000, 1000)
    for attempt in range(2):
        try:
            async with model.use(number) as (worker, batcher):
                if not worker.info["has_attention"]:
                    raise RefusalError(
                        400,
                        "The model must be served from a model folder to show its attention. "
                        "Received: a model without a task or a tokenizer, such as a SavedModel.",
                    )
                return await batcher.submit("attention", inputs, 1, can_join=False)
        except WorkerLostError:
            # It changes nothing to ask once more; the request's own deadline still holds.
            if attempt:
                raise
