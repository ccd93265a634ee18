"""A child process of `test_doors.py`: the converter leaks memory, so it must not run in the tests'.

Converts tiny backbones to .tflite with built-in operators alone, runs them and Keras on the same
inputs, and prints what came out as one line of JSON.
"""

import json
import warnings

import numpy as np
import tensorflow as tf

from lmzoo.layers import ClassificationHead, MaskedLMHead
from lmzoo.models import BertBackbone, GPTBackbone
from tests.layers.reference import randomise
from tests.models.reference import EVERYTHING

BATCH_SIZE, LENGTH, SLOTS = 2, 9, 12
ENCODER_INPUTS = ("token_ids", "padding_mask", "segment_ids")


def make_functions(model):
    """The plain forward pass, and a prefill with one cached step after it."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((BATCH_SIZE, LENGTH), tf.int32, "token_ids"),
            tf.TensorSpec((BATCH_SIZE, LENGTH), tf.bool, "padding_mask"),
        ]
    )
    def forward(token_ids, padding_mask):
        hidden = model({"token_ids": token_ids, "padding_mask": padding_mask})
        return model.compute_logits(hidden)

    @tf.function(
        input_signature=[
            tf.TensorSpec((BATCH_SIZE, LENGTH), tf.int32, "token_ids"),
            tf.TensorSpec((BATCH_SIZE, LENGTH), tf.bool, "padding_mask"),
            tf.TensorSpec((BATCH_SIZE, 1), tf.int32, "next_ids"),
            tf.TensorSpec((), tf.int32, "slot"),
        ]
    )
    def step(token_ids, padding_mask, next_ids, slot):
        cache = model.make_cache(BATCH_SIZE, SLOTS)
        prompt = {"token_ids": token_ids, "padding_mask": padding_mask}
        _, cache = model(prompt, cache=cache)
        hidden, _ = model({"token_ids": next_ids}, cache=cache, position=slot)
        return model.compute_logits(hidden)

    return {"forward": forward, "step": step}


def make_encoder_functions(model):
    """The scores of every word for every token, and those of three classes for each text."""
    hidden_dim = model.hidden_dim
    unmasking = randomise(make_built(MaskedLMHead(model.vocabulary_size), hidden_dim))
    classifying = randomise(make_built(ClassificationHead(3), hidden_dim))
    signature = [
        tf.TensorSpec((BATCH_SIZE, LENGTH), tf.int32, "token_ids"),
        tf.TensorSpec((BATCH_SIZE, LENGTH), tf.bool, "padding_mask"),
        tf.TensorSpec((BATCH_SIZE, LENGTH), tf.int32, "segment_ids"),
    ]

    @tf.function(input_signature=signature)
    def unmask(*inputs):
        outputs = model(dict(zip(ENCODER_INPUTS, inputs, strict=True)))
        return unmasking(outputs["sequence_output"], model.token_embedding.embeddings)

    @tf.function(input_signature=signature)
    def classify(*inputs):
        return classifying(model(dict(zip(ENCODER_INPUTS, inputs, strict=True)))["pooled_output"])

    return {"unmask": unmask, "classify": classify}


def make_built(layer, hidden_dim):
    layer.build((None, None, hidden_dim))
    return layer


def convert(function, model):
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()


def run(content, inputs):
    with warnings.catch_warnings():
        # Its successor is a package that the tests do not ask for.
        warnings.filterwarnings("ignore", "[^a-z]*Warning: tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], inputs[details["name"].split(":")[0]])
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    # The interpreter names its operators nowhere else.
    return output, sorted({details["op_name"] for details in interpreter._get_ops_details()})


def main():
    random = np.random.default_rng(0)
    inputs = {
        "token_ids": random.integers(0, 101, (BATCH_SIZE, LENGTH)).astype("int32"),
        "padding_mask": np.arange(LENGTH) >= np.array([[0], [4]]),
        "segment_ids": random.integers(0, 2, (BATCH_SIZE, LENGTH)).astype("int32"),
        "next_ids": random.integers(0, 101, (BATCH_SIZE, 1)).astype("int32"),
        "slot": np.array(LENGTH, "int32"),
    }
    made = {"gpt2": GPTBackbone(101, 2, 4, 48, max_sequence_length=64)}
    made["everything"] = GPTBackbone(101, 2, 4, 48, max_sequence_length=64, **EVERYTHING)
    made["bert"] = BertBackbone(101, 2, 4, 48, 37, max_sequence_length=64)
    results = {}
    for kind, model in made.items():
        randomise(model, deviation=0.1)
        make = make_encoder_functions if kind == "bert" else make_functions
        for name, function in make(model).items():
            own = {spec.name: inputs[spec.name] for spec in function.input_signature}
            output, operators = run(convert(function, model), own)
            # A padded query's output is of no account.
            counts = (
                inputs["padding_mask"]
                if name in ("forward", "unmask")
                else np.ones(output.shape[:-1], bool)
            )
            error = np.abs(output - function(*own.values()).numpy())[counts].max()
            results[f"{kind} {name}"] = {"error": float(error), "operators": operators}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
