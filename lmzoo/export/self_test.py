"""A signature that answers whether a SavedModel still gives what it gave when it was exported."""

import numpy as np
import tensorflow as tf

from lmzoo.tracing import trace_once

__all__ = ["find_probe", "make_self_test", "run_self_test"]

_TEXTS = ("The", "import os\n", "我喜欢编程。", "naïve café 🙂")
_NEW_TOKENS = 4
# Relative to one plus the size of a value. Other processors round sums in another order.
_TOLERANCES = {"float32": 1e-3, "float64": 1e-3}
_COARSE = 5e-2


def find_probe(task, signatures):
    """A request that the self-test makes: the name of a signature and its inputs.

    Args:
        task: a task of `lmzoo.tasks`.
        signatures: dict of name to tf.function.
    Returns:
        (str, dict of NumPy arrays). Texts where the task has a tokenizer, else ids.
    """
    model = task.get_scored_model()
    if "serving_default" not in signatures:
        specs = {spec.name: spec for spec in tf.nest.flatten(signatures["tokens"].input_signature)}
        ids = np.arange(4) % model.backbone.vocabulary_size
        values = {"padding_mask": np.ones([1, 4], bool), "segment_ids": np.zeros([1, 4], np.int32)}
        return "tokens", {name: values.get(name, ids[None].astype(np.int32)) for name in specs}
    texts = _choose_texts(task)
    if task.is_generative:
        chosen = {"max_new_tokens": _NEW_TOKENS, "temperature": 0.0, "top_k": 0, "top_p": 1.0}
        inputs = {name: np.array(value) for name, value in {**chosen, "seed": 0}.items()}
        return "generate", {"text": np.array(texts, object), **inputs}
    names = [spec.name for spec in signatures["serving_default"].input_signature]
    first = texts
    if mask := getattr(task.tokenizer, "mask_token", None):
        # Only a task that fills masks needs it; to the others it is plain text.
        first = [f"{text} {mask}" for text in texts]
    return "serving_default", {
        name: np.array(first if name == names[0] else texts[::-1], object) for name in names
    }


def _choose_texts(task):
    """Those of the probe texts that leave room in the context for new tokens."""
    if not task.is_generative:
        return list(_TEXTS)
    _, mask = task.encode_prompts(tf.constant(_TEXTS))
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1).numpy()
    room = task.max_sequence_length - _NEW_TOKENS
    return [text for text, length in zip(_TEXTS, lengths, strict=True) if length <= room] or [""]


def make_self_test(task, function, inputs):
    """The signature `self_test`, without inputs, with the output `passed`, bool ().

    It tokenizes the texts of a request and runs it. Ids, strings and integers must be what they are
    now, and floats nearly so.

    Args:
        task: a task of `lmzoo.tasks`.
        function: tf.function, of the signature that is asked.
        inputs: dict of NumPy arrays, as `find_probe` gives them.
    Returns:
        tf.function.
    """
    specs = tf.nest.flatten(function.input_signature)
    tensors = [tf.constant(inputs[spec.name], spec.dtype) for spec in specs]

    def compute():
        arguments = tf.nest.pack_sequence_as(function.input_signature, tensors)
        outputs = dict(function(*arguments))
        if task.tokenizer is not None:
            texts = [tensor for tensor in tensors if tensor.dtype == tf.string]
            ids = task.tokenizer.tokenize(tf.concat(texts, axis=0))
            outputs |= {"ids": ids.flat_values, "lengths": ids.row_lengths()}
        return outputs

    expected = {name: _to_values(value).numpy() for name, value in compute().items()}
    tolerance = _TOLERANCES.get(task.get_scored_model().backbone.compute_dtype, _COARSE)

    def self_test():
        outputs = compute()
        passed = [
            _equals(_to_values(outputs[name]), expected[name], tolerance) for name in expected
        ]
        return {"passed": tf.ensure_shape(tf.reduce_all(tf.stack(passed)), [])}

    return trace_once(self_test, [])


def _to_values(value):
    """A tensor; of a ragged one all of its values."""
    return value.flat_values if isinstance(value, tf.RaggedTensor) else value


def _equals(got, wanted, tolerance):
    """Whether a tensor has the shape and nearly the values of an array."""
    has_shape = tf.reduce_all(tf.shape(got) == tf.constant(np.shape(wanted), tf.int32))
    # What both have is compared whatever the shapes: a branch would be two functions to load.
    got, wanted = tf.reshape(got, [-1]), tf.reshape(tf.constant(wanted, got.dtype), [-1])
    size = tf.minimum(tf.size(got), tf.size(wanted))
    got, wanted = got[:size], wanted[:size]
    equal = got == wanted
    if got.dtype.is_floating:
        # Infinities, such as scores that are masked, must stay; a NaN never passes.
        is_near = tf.abs(got - wanted) <= tolerance * (1 + tf.abs(wanted))
        equal |= is_near & tf.math.is_finite(wanted)
    return has_shape & tf.reduce_all(equal)


def run_self_test(folder):
    """Whether a SavedModel passes its self-test.

    Args:
        folder: str or path.
    Returns:
        bool; None for a SavedModel without one, such as one of an earlier version.
    """
    signatures = tf.saved_model.load(str(folder)).signatures
    if "self_test" not in signatures:
        return None
    return bool(signatures["self_test"]()["passed"].numpy())
