import copy
import json
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from lmzoo.tokenizers import BytePairTokenizer

# A process that has neither of the libraries the artefact was made with.
_SERVE = """
import json, sys
sys.modules["lmzoo"] = sys.modules["keras"] = None
import tensorflow as tf

folder, texts = sys.argv[1], json.loads(sys.argv[2])
served = tf.saved_model.load(folder)
ids = served.encode(tf.constant(texts))
rows = [row[row >= 0].tolist() for row in ids.numpy()]
text = [item.decode() for item in served.decode(ids).numpy()]
try:
    served.decode(tf.constant([[1_000_003]]))
    error = None
except tf.errors.InvalidArgumentError as caught:
    error = str(caught)
print(json.dumps([rows, text, error]))
"""


class ServedTokenizer(tf.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, text):
        return self.tokenizer.tokenize(text).to_tensor(-1)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def decode(self, ids):
        return self.tokenizer.detokenize(tf.RaggedTensor.from_tensor(ids, padding=-1))


class ModelWithTokenizer(keras.Model):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


def _save_module(tokenizer, folder):
    tf.saved_model.save(ServedTokenizer(tokenizer), str(folder))


def _write_archive(tokenizer, folder):
    model = ModelWithTokenizer(tokenizer)
    model(tf.zeros([1, 3]))
    module = ServedTokenizer(model.tokenizer)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "encode",
        lambda text: module.encode(text),
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    archive.add_endpoint(
        "decode",
        lambda ids: module.decode(ids),
        input_signature=[tf.TensorSpec([None, None], tf.int32, name="ids")],
    )
    archive.write_out(str(folder), verbose=False)


@pytest.mark.parametrize(
    "write", [_save_module, pytest.param(_write_archive, marks=pytest.mark.slow)]
)
def test_a_process_with_tensorflow_alone_gives_the_same(
    byte_pair_tokenizer, nasty_texts, tmp_path, write
):
    byte_pair_tokenizer.save(tmp_path / "files")
    # A fresh one, whose tables the export itself must bring about.
    write(BytePairTokenizer.load(tmp_path / "files"), tmp_path / "saved")
    texts = [text for text in nasty_texts if "\x00" not in text]
    served = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path / "saved"), json.dumps(texts)],
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert served.returncode == 0, served.stderr
    rows, text, error = json.loads(served.stdout)
    assert rows == byte_pair_tokenizer.tokenize(texts).to_list()
    assert text == texts
    assert "`ids` must be token ids from 0 to 2999" in error and "1000003" in error


def test_a_model_takes_no_weights_from_it(byte_pair_tokenizer):
    model = ModelWithTokenizer(byte_pair_tokenizer)
    model(tf.zeros([1, 3]))
    assert len(model.weights) == 2


def test_a_copy_gives_the_same_ids(byte_pair_tokenizer):
    expected = byte_pair_tokenizer.tokenize("a new text").numpy().tolist()
    for duplicate in (copy.copy(byte_pair_tokenizer), copy.deepcopy(byte_pair_tokenizer)):
        assert duplicate.tokenize("a new text").numpy().tolist() == expected


def test_no_table_can_change(byte_pair_tokenizer):
    graph = byte_pair_tokenizer._encoder.encode.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    found = {node.op for node in nodes}
    assert not any("Mutable" in name or "PyFunc" in name for name in found)
    assert "LookupTableFindV2" in found and "LookupTableInsertV2" not in found
