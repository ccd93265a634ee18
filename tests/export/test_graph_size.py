"""What makes the graph of a SavedModel small, and that it computes the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.export.compaction import compact_graph
from lmzoo.export.shared_blocks import shared_blocks
from lmzoo.keras_seams import write_fingerprint
from lmzoo.layers.contexts import call_block
from tests.export.graph_files import read_graph

PROMPTS = ["a cat", "", "that hat on the mat"]


def count_products(folder):
    functions = read_graph(folder).graph_def.library.function
    return sum(node.op == "MatMul" for each in functions for node in each.node_def)


def make_deep_task(tokenizer, num_layers, **options):
    backbone = lmzoo.models.GPTBackbone(
        285, num_layers=num_layers, num_heads=2, hidden_dim=16, max_sequence_length=32, **options
    )
    generator = np.random.default_rng(num_layers)
    for variable in backbone.weights:
        variable.assign(generator.normal(size=variable.shape) * 0.4)
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


def test_blocks_of_one_form_are_in_the_graph_once_each_with_its_weights(
    server, tokenizer, export, lm
):
    deep = make_deep_task(tokenizer, num_layers=4)
    folder = export(deep)
    assert count_products(folder) == count_products(export())
    got = server.call(folder, "serving_default", text=PROMPTS)
    wanted, scores = deep.generate(PROMPTS, max_new_tokens=8, return_scores=True)
    assert [text.decode("utf-8", "replace") for text in got["text"]] == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-5, atol=1e-5)


def test_a_program_that_loads_the_graph_alone_answers_and_cannot_save_it_again(
    export, lm, tmp_path
):
    """As TensorFlow Serving loads it: without the objects of Python, by the restoring function."""
    folder = export()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature, saver = loaded.signature_def["serving_default"], loaded.saver_def
        texts = session.run(
            signature.outputs["text"].name, {signature.inputs["text"].name: PROMPTS}
        )
        assert session.run(loaded.signature_def["self_test"].outputs["passed"].name)
        with pytest.raises(tf.errors.InvalidArgumentError, match="is not saved again"):
            session.run(saver.save_tensor_name, {saver.filename_tensor_name: str(tmp_path / "x")})
    wanted = lm.generate(PROMPTS, max_new_tokens=8)
    assert [text.decode("utf-8", "replace") for text in texts] == wanted
    assert list(tmp_path.iterdir()) == []


# Of silu, as of other functions of TensorFlow, the gradient is a function of its own.
LLAMA = {"gated": True, "activation": "silu", "norm": "rms_norm", "positions": "rotary"}


@pytest.mark.parametrize(
    ("options", "quantization"),
    [
        (LLAMA, None),
        pytest.param(LLAMA, "int8", marks=pytest.mark.slow),
        pytest.param({"activation": "swish"}, None, marks=pytest.mark.slow),
        pytest.param({"activation": "mish"}, None, marks=pytest.mark.slow),
    ],
)
def test_a_function_with_a_gradient_of_its_own_is_exported_without_it(
    server, tokenizer, export, options, quantization
):
    lm = make_deep_task(tokenizer, num_layers=2, **options)
    got = server.call(export(lm, quantization=quantization), "serving_default", text=PROMPTS)
    if quantization:
        lm.quantize(quantization)
    wanted, scores = lm.generate(PROMPTS, max_new_tokens=8, return_scores=True)
    assert [text.decode("utf-8", "replace") for text in got["text"]] == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-5, atol=1e-5)


class Shift(keras.layers.Layer):
    def call(self, hidden):
        return hidden + self.offset


def test_a_block_that_reads_more_than_its_weights_is_not_shared():
    layers = [Shift(name=f"block_{index}") for index in range(2)]
    for index, layer in enumerate(layers):
        layer.build((None, 1))
        layer.offset = tf.constant(float(index + 1))

    def compute(hidden):
        for layer in layers:
            hidden = call_block(layer, hidden)
        return hidden

    with shared_blocks():
        traced = tf.function(compute).get_concrete_function(tf.TensorSpec([1, 1, 1]))
    assert traced(tf.zeros([1, 1, 1])).numpy().item() == 3


def test_tables_of_the_tokenizer_are_variables_and_unused_ones_are_not_saved(export, lm):
    tokenizer = lm.tokenizer
    folder = export()
    assert lm.tokenizer is tokenizer
    large = [node.name for node in read_graph(folder).graph_def.node if node.ByteSize() > 40_000]
    assert large == []
    names = [name for name, _ in tf.train.list_variables(str(folder / "variables" / "variables"))]
    assert any("_whole_words_keys" in name for name in names)
    # Offsets are for tasks that tag words.
    assert not any("_lengths" in name for name in names)


def test_a_graph_has_short_names_and_no_shapes_that_can_be_inferred(export):
    graph = read_graph(export()).graph_def
    nodes = [node for function in graph.library.function for node in function.node_def]
    assert not [node.name for node in nodes if "_output_shapes" in node.attr]
    assert not [node.name for node in nodes if not node.name.startswith(node.op)]
    assert (export() / "saved_model.pb").stat().st_size < 700_000


def test_gradients_that_are_saved_find_the_nodes_that_they_refer_to(tmp_path):
    module = tf.Module()
    module.call = tf.function(
        lambda x: tf.nn.silu(x * 2.0), input_signature=[tf.TensorSpec([3], tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path))
    compact_graph(tmp_path)
    x = tf.constant([-1.0, 0.5, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.saved_model.load(str(tmp_path)).call(x)
    sigmoid = 1 / (1 + np.exp(-2 * x.numpy().astype("float64")))
    np.testing.assert_allclose(y, 2 * x * sigmoid, rtol=1e-6)
    slope = 2 * sigmoid * (1 + 2 * x * (1 - sigmoid))
    np.testing.assert_allclose(tape.gradient(y, x), slope, rtol=1e-6)


def test_the_fingerprint_is_that_of_the_graph(export):
    folder = str(export())
    read = tf.saved_model.experimental.read_fingerprint
    before = read(folder)
    write_fingerprint(folder)
    assert read(folder).saved_model_checksum == before.saved_model_checksum
    assert read(folder).graph_def_program_hash == before.graph_def_program_hash
