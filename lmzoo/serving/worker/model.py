"""A model that is open: its signatures, whether they come from a SavedModel or from a task."""

import base64
import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.json_files import read_json

__all__ = ["OpenModel", "open_model"]

_SLOT_SIGNATURES = ("encode", "start", "advance", "decode")
# What `run` takes beside the signatures, and the most tokens and weights of an answer.
_ATTENTION = "attention"
_MOST_TOKENS, _MOST_WEIGHTS = 64, 1 << 20


def open_model(kind, folder):
    """Opens a SavedModel or a folder in Hugging Face's layout.

    Args:
        kind: "saved_model" or "model_folder".
        folder: str.
    Returns:
        OpenModel.
    Raises:
        Exception: of whatever kind, if the model is broken.
    """
    return _open_saved_model(folder) if kind == "saved_model" else _open_task(folder)


def _open_saved_model(folder):
    try:
        loaded = tf.saved_model.load(folder)
    except (tf.errors.NotFoundError, FileNotFoundError) as error:
        if "Op type not registered" not in str(error):
            raise
        # Tokenizers with SentencePiece need its ops.
        import tensorflow_text  # noqa: F401

        loaded = tf.saved_model.load(folder)
    path = pathlib.Path(folder) / "assets.extra" / "chat.json"
    chat = read_json(path) if path.is_file() else None
    signatures = {name: _Signature.of_saved(one) for name, one in loaded.signatures.items()}
    return OpenModel(signatures, chat, owner=loaded)


def _open_task(folder):
    from lmzoo.export.saved_model import make_signatures
    from lmzoo.export.slot_signatures import describe_chat
    from lmzoo.hub import load

    task = load(folder)
    is_decoder = task.is_generative and not task.is_encoder_decoder
    has_slots = is_decoder and task.tokenizer is not None
    options = {"continuous_batching": True} if has_slots else {}
    owner, functions = make_signatures(task, **options)
    signatures = {name: _Signature.of_function(one) for name, one in functions.items()}
    return OpenModel(signatures, describe_chat(task.tokenizer), owner=owner, task=task)


class _Signature:
    """A function of named tensors.

    Args:
        call: callable of keyword arguments, which returns a dict of tensors.
        inputs, outputs: dict of name to tf.TensorSpec.
    """

    def __init__(self, call, inputs, outputs):
        self._call = call
        self.inputs = inputs
        self.outputs = outputs

    def __call__(self, **tensors):
        return self._call(**tensors)

    @classmethod
    def of_saved(cls, function):
        """Of a signature of a SavedModel, which takes its inputs by name."""
        return cls(function, function.structured_input_signature[1], function.structured_outputs)

    @classmethod
    def of_function(cls, function):
        """Of a tf.function, which takes its inputs in the order of their names in its signature."""
        concrete = function.get_concrete_function()
        arguments = concrete.structured_input_signature[0]
        specs = tf.nest.flatten(arguments)

        def call(**tensors):
            flat = [tensors[spec.name] for spec in specs]
            return concrete(*tf.nest.pack_sequence_as(arguments, flat))

        return cls(call, {spec.name: spec for spec in specs}, concrete.structured_outputs)


class OpenModel:
    """Signatures that are run on nested lists.

    Args:
        signatures: dict of name to callable of named tensors with `inputs` and `outputs`, dicts of
            name to tf.TensorSpec.
        chat: dict or None. How it reads conversations, as `describe_chat` says it.
        owner: what must live as long as the signatures.
        task: the task of `lmzoo.tasks` that it was opened as; None for a SavedModel.
    """

    def __init__(self, signatures, chat=None, owner=None, task=None):
        self.signatures = signatures
        self.chat = chat
        self._owner = owner
        self._task = task

    @property
    def has_slots(self):
        """bool. Whether it generates in slots of a running batch."""
        return all(name in self.signatures for name in _SLOT_SIGNATURES)

    def describe(self):
        """What the server must know: dict of `signatures`, `kind`, `has_slots` and more."""
        hidden = ("self_test", *_SLOT_SIGNATURES)
        signatures = {
            name: {"inputs": _describe(function.inputs), "outputs": _describe(function.outputs)}
            for name, function in self.signatures.items()
            if name not in hidden
        }
        return {
            "signatures": signatures,
            "kind": _find_kind(signatures),
            "has_slots": self.has_slots,
            "has_chat_template": self.chat is not None,
            "has_attention": getattr(self._task, "tokenizer", None) is not None,
        }

    def self_test(self):
        """Runs the signature `self_test`, or without one the default one on a text.

        Raises:
            ValueError: if the model does not give what it gave when it was exported.
        """
        if "self_test" in self.signatures:
            outputs = self.signatures["self_test"]()
            if not bool(outputs["passed"].numpy()):
                raise ValueError("The model must pass its self-test. Received: other outputs.")
            return
        default = self.signatures.get("serving_default")
        if default is None:
            return
        inputs = _describe(default.inputs)
        if all(dtype == "string" and len(shape or ()) == 1 for dtype, shape in inputs.values()):
            outputs = default(**{name: tf.constant(["a"]) for name in inputs})
            for name, value in outputs.items():
                values = value.numpy()
                if values.dtype.kind == "f" and np.isnan(values).any():
                    raise ValueError(f"Outputs must be numbers. Received: NaN in {name!r}.")

    def run(self, name, inputs):
        """Runs a signature, or computes attention weights.

        Args:
            name: str. A signature, or "attention" for `lmzoo.explain.attention` of a task.
            inputs: dict of nested lists of str, int, float or bool; for "attention" of `text`,
                `pair`, `target` and `layer`.
        Returns:
            dict of nested lists.
        """
        if name == _ATTENTION:
            return self._attend(**inputs)
        function = self.signatures[name]
        specs = function.inputs
        tensors = {
            key: tf.constant(_encode(value, specs[key].dtype), specs[key].dtype)
            for key, value in inputs.items()
        }
        return {key: _to_lists(value) for key, value in function(**tensors).items()}

    def _attend(self, text, pair, target, layer):
        from lmzoo.explain import attention

        limits = {"max_new_tokens": _MOST_TOKENS // 2, "max_tokens": _MOST_TOKENS}
        found = attention(self._task, text, pair, target, **limits)
        num_layers = [len(weights) if layer is None else 1 for weights in found.weights.values()]
        sizes = [weights[0].size for weights in found.weights.values()]
        count = sum(map(int.__mul__, num_layers, sizes))
        if count > _MOST_WEIGHTS:
            raise ValueError(
                f"An answer must have at most {_MOST_WEIGHTS} weights. Received: a text with "
                f"{count}. Ask for one `layer`, or give a shorter text."
            )
        outputs = found.to_dict(layer)
        return {name: value for name, value in outputs.items() if value is not None}


def _encode(value, dtype):
    if dtype != tf.string:
        return value
    if isinstance(value, list):
        return [_encode(item, dtype) for item in value]
    # Bytes that are no text come as {"b64": ...}, as in TensorFlow Serving.
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def _to_lists(tensor):
    if isinstance(tensor, tf.RaggedTensor):
        return _decode(tensor.to_list())
    return _decode(tensor.numpy().tolist())


def _decode(value):
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value


def _describe(specs):
    return {name: [spec.dtype.name, _shape(spec)] for name, spec in specs.items()}


def _shape(spec):
    return None if spec.shape.rank is None else spec.shape.as_list()


def _find_kind(signatures):
    """What a client may ask of it: "generate", "embed", "classify" and so on, or "predict"."""
    if "generate" in signatures:
        return "generate"
    outputs = signatures.get("serving_default", {}).get("outputs", {})
    for name, kind in (
        ("embedding", "embed"),
        ("answer", "answer"),
        ("spans", "tag"),
        ("tokens", "fill"),
        ("labels", "classify"),
        ("scores", "score"),
    ):
        if name in outputs:
            return kind
    return "predict"
