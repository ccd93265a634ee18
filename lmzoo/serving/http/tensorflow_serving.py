"""TensorFlow Serving's REST paths under /v1/models.

Reference: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
import functools
import re

from starlette.responses import JSONResponse

from lmzoo.serving.errors import RefusalError, WorkerLostError
from lmzoo.serving.http.attention import attend
from lmzoo.serving.http.requests import check_text, read_body, run_while_connected, take

__all__ = ["TensorFlowServing"]

_PATH = re.compile(
    r"(?P<name>[^/:]+)(?:/versions/(?P<number>[0-9]{1,18}))?(?:(?P<verb>:[a-z]+)|(?P<meta>/metadata))?"
)
_TYPES = {"string": str, "int32": int, "int64": int, "float32": float, "bool": bool}
_DTYPES = {
    "string": "DT_STRING",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "float32": "DT_FLOAT",
    "bool": "DT_BOOL",
}
_MOST_AXES = 8
_METHOD = "tensorflow/serving/predict"


class TensorFlowServing:
    """The handler of all paths under /v1/models/.

    Args:
        manager: ModelManager.
        options: ServeOptions.
    """

    def __init__(self, manager, options):
        self.manager = manager
        self.options = options

    async def __call__(self, request):
        """Answers one request."""
        found = _PATH.fullmatch(request.path_params["path"])
        facts = request.scope["lmzoo"]
        if found is None:
            raise RefusalError(404, "There is no such path.")
        model = self.manager.find(found["name"])
        facts["model"] = model.name
        number = None if found["number"] is None else int(found["number"])
        verb = found["verb"]
        facts["path"] = f"/v1/models/NAME{verb or found['meta'] or ''}"
        if verb is None:
            if request.method != "GET":
                raise RefusalError(405, "This path must be asked with GET.")
            if found["meta"]:
                return await self._describe(model, number)
            return self._tell_status(model, number)
        if request.method != "POST":
            raise RefusalError(405, "This path must be asked with POST.")
        answer = {
            ":predict": self._predict,
            ":classify": self._classify,
            ":regress": self._regress,
            ":attention": functools.partial(attend, self.options),
        }.get(verb)
        if answer is None:
            raise RefusalError(404, "There is no such method.")
        body = await read_body(request, self.options)
        coroutine = answer(model, number, body)
        content = await run_while_connected(request, coroutine, self.options.timeout_seconds)
        return JSONResponse(content)

    def _tell_status(self, model, number):
        states = [one for one in model.list_states() if number in (None, one[0])]
        if not states:
            raise RefusalError(404, f"There is no such version. Received: {number}.")
        return JSONResponse(
            {
                # What OpenAI's clients read at the same path.
                **describe_for_openai(model),
                "model_version_status": [
                    {
                        "version": str(one),
                        "state": state,
                        "status": {
                            "error_code": "UNKNOWN" if message else "OK",
                            "error_message": message,
                        },
                    }
                    for one, state, message in states
                ],
            }
        )

    async def _describe(self, model, number):
        async with model.use(number) as (worker, _):
            signatures = {
                name: {
                    "inputs": _list_tensors(sides["inputs"]),
                    "outputs": _list_tensors(sides["outputs"]),
                    "method_name": _METHOD,
                }
                for name, sides in worker.info["signatures"].items()
            }
            version = worker.version.number
        return JSONResponse(
            {
                "model_spec": {"name": model.name, "signature_name": "", "version": str(version)},
                "metadata": {"signature_def": {"signature_def": signatures}},
            }
        )

    async def _predict(self, model, number, body):
        signature = take(body, "signature_name", str, "serving_default")
        if ("instances" in body) == ("inputs" in body):
            raise RefusalError(400, "The body must have either `instances` or `inputs`.")
        run = _Run(model, number, signature, self.options)
        if "inputs" in body:
            outputs = await run(lambda specs: _to_columns(body["inputs"], specs))
            only = next(iter(outputs.values())) if len(outputs) == 1 else outputs
            return {"outputs": only}
        instances = take(body, "instances", list, [])
        if not instances:
            raise RefusalError(400, "`instances` must not be empty.", "instances")
        outputs = await run(lambda specs: _transpose(instances, specs))
        columns = list(outputs)
        rows = zip(*(outputs[name] for name in columns), strict=True)
        if len(columns) == 1:
            return {"predictions": [row[0] for row in rows]}
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}

    async def _classify(self, model, number, body):
        outputs = await self._run_examples(model, number, body, ("labels", "scores"))
        rows = zip(outputs["labels"], outputs["scores"], strict=True)
        return {"results": [[list(pair) for pair in zip(*row, strict=True)] for row in rows]}

    async def _regress(self, model, number, body):
        outputs = await self._run_examples(model, number, body, ("scores",))
        return {"results": outputs["scores"]}

    async def _run_examples(self, model, number, body, wanted):
        """The outputs for `examples`, each a dict of features, with the features of `context`."""
        signature = take(body, "signature_name", str, "serving_default")
        context = take(body, "context", dict, {})
        examples = take(body, "examples", list, [])
        if not examples or not all(isinstance(one, dict) for one in examples):
            raise RefusalError(
                400, "`examples` must be a list of objects, at least one.", "examples"
            )
        instances = [{**context, **example} for example in examples]
        run = _Run(model, number, signature, self.options)
        outputs = await run(lambda specs: _transpose(instances, specs), wanted)
        return outputs


def describe_for_openai(model):
    """A model as an entry of OpenAI's list."""
    return {"id": model.name, "object": "model", "created": 0, "owned_by": "lmzoo"}


class _Run:
    """Runs a signature, a second time if its process was lost meanwhile."""

    def __init__(self, model, number, signature, options):
        self.model = model
        self.number = number
        self.signature = signature
        self.options = options

    async def __call__(self, make_inputs, wanted=()):
        try:
            return await self._run(make_inputs, wanted)
        except WorkerLostError:
            # It changes nothing to ask once more; the request's own deadline still holds.
            return await self._run(make_inputs, wanted)

    async def _run(self, make_inputs, wanted):
        async with self.model.use(self.number) as (worker, batcher):
            sides = worker.info["signatures"].get(self.signature)
            if sides is None:
                known = ", ".join(worker.info["signatures"])
                raise RefusalError(
                    400,
                    f"`signature_name` must be one of {known}. Received: {self.signature!r:.80}.",
                    "signature_name",
                )
            missing = [name for name in wanted if name not in sides["outputs"]]
            if missing:
                raise RefusalError(400, f"The model must have the output `{missing[0]}`.")
            inputs = make_inputs(sides["inputs"])
            inputs, num_rows, can_join = check_inputs(inputs, sides["inputs"], self.options)
            return _trim(await batcher.submit(self.signature, inputs, num_rows, can_join))


def _trim(outputs):
    """Outputs without the padding that rows of other requests had them filled with."""
    for name, padding in (("spans", [-1, -1]), ("tokens", [""] * 5)):
        if name not in outputs or "scores" not in outputs:
            continue
        counts = [sum(value != padding for value in row) for row in outputs[name]]
        width = max(counts, default=0)
        outputs = {
            key: [row[:width] for row in rows] if isinstance(rows[0], list) else rows
            for key, rows in outputs.items()
        }
    return outputs


def _transpose(instances, specs):
    """Rows as columns: values where there is one input, else dicts of one value an input."""
    if len(specs) == 1 and not isinstance(instances[0], dict):
        return {next(iter(specs)): instances}
    columns = {name: [] for name in specs}
    for index, instance in enumerate(instances):
        is_bytes = len(specs) == 1 and isinstance(instance, dict) and set(instance) == {"b64"}
        row = {next(iter(specs)): instance} if is_bytes else instance
        if not isinstance(row, dict) or set(row) != set(specs):
            raise RefusalError(
                400,
                f"`instances` must have the inputs {', '.join(specs)}. Received: others in "
                f"instance {index}.",
                "instances",
            )
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _to_columns(inputs, specs):
    if isinstance(inputs, dict) and set(inputs) == set(specs):
        return inputs
    if len(specs) == 1 and not (isinstance(inputs, dict) and set(inputs) != {"b64"}):
        return {next(iter(specs)): inputs}
    raise RefusalError(
        400, f"`inputs` must be those of the signature: {', '.join(specs)}.", "inputs"
    )


def check_inputs(inputs, specs, options):
    """Inputs of a signature, once their types and sizes are found to be right.

    Args:
        inputs: dict of nested lists.
        specs: dict of name to [dtype, shape or None].
        options: ServeOptions.
    Returns:
        (inputs, num_rows, can_join): the inputs, those of one row as lists; how many rows; and
        whether they may be read together with other requests.
    Raises:
        RefusalError: 400.
    """
    shapes = {name: _check_value(inputs[name], name, specs[name][0], options) for name in specs}
    _check_new_tokens(inputs.get("max_new_tokens", 0), options)
    for name, (_, wanted) in specs.items():
        if wanted is not None and len(wanted) != len(shapes[name]):
            raise RefusalError(
                400, f"`{name}` must have {len(wanted)} axes. Received: {len(shapes[name])}.", name
            )
    # Inputs without a fixed number of axes are one number, or one for each row.
    rows = {shapes[name][0] for name in specs if shapes[name] and specs[name][1] is not None}
    num_rows = max(rows, default=1)
    if num_rows > options.max_rows:
        raise RefusalError(400, f"A request must have at most {options.max_rows} rows.")
    flat = all(len(shape) <= 1 for shape in shapes.values())
    same = all(shape == [num_rows] or (not shape and num_rows == 1) for shape in shapes.values())
    # The labels of zero-shot classification are for all rows.
    can_join = flat and same and rows != set() and "labels" not in specs
    if can_join:
        inputs = {name: x if shapes[name] else [x] for name, x in inputs.items()}
    return inputs, num_rows, can_join


def _check_new_tokens(values, options):
    limit = options.max_new_tokens
    values = values if isinstance(values, list) else [values]
    if any(not isinstance(value, list) and value > limit for value in values):
        raise RefusalError(400, f"`max_new_tokens` must be at most {limit}.", "max_new_tokens")


def _check_value(value, name, dtype, options, depth=0):
    """The shape of nested lists whose innermost values are of a type; they must be regular."""
    if isinstance(value, list):
        if depth == _MOST_AXES:
            raise RefusalError(400, f"`{name}` must have at most {_MOST_AXES} axes.", name)
        shapes = [_check_value(item, name, dtype, options, depth + 1) for item in value]
        if any(shape != shapes[0] for shape in shapes):
            raise RefusalError(400, f"`{name}` must have rows of one length.", name)
        return [len(value), *(shapes[0] if shapes else [])]
    if dtype == "string":
        _check_string(value, name, options)
        return []
    kind = _TYPES.get(dtype, float)
    is_bool = isinstance(value, bool)
    fits = is_bool if kind is bool else not is_bool and isinstance(value, int | float)
    if kind is int:
        fits = fits and isinstance(value, int) and -(2**31) <= value < 2**31
    if not fits or (kind is float and abs(value) > 3e38):
        raise RefusalError(400, f"`{name}` must hold values of the type {dtype}.", name)
    return []


def _check_string(value, name, options):
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            data = base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise RefusalError(400, f"`{name}` must have base64 in `b64`.", name) from error
        if len(data) > options.max_text_bytes:
            raise RefusalError(
                400, f"`{name}` must have at most {options.max_text_bytes} bytes.", name
            )
        return
    check_text(value, name, options)


def _list_tensors(specs):
    return {
        name: {
            "dtype": _DTYPES.get(dtype, "DT_INVALID"),
            "tensor_shape": {
                "dim": [
                    {"size": str(-1 if size is None else size), "name": ""} for size in shape or []
                ],
                "unknown_rank": shape is None,
            },
            "name": name,
        }
        for name, (dtype, shape) in specs.items()
    }
