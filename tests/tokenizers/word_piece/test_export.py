import copy
import json
import subprocess
import sys

import keras
import tensorflow as tf

from lmzoo.tokenizers import WordPieceTokenizer

# A process that has none of the libraries the artefact was made with.
_SERVE = """
import json, sys
for name in ("lmzoo", "keras", "tensorflow_text", "tokenizers"):
    sys.modules[name] = None
import tensorflow as tf

folder, texts = sys.argv[1], json.loads(sys.argv[2])
served = tf.saved_model.load(folder)
columns = [column.numpy().tolist() for column in served.encode(tf.constant(texts))]
text = [item.decode() for item in served.decode(tf.constant(columns[0])).numpy()]
try:
    served.decode(tf.constant([[1_000_003]]))
    error = None
except tf.errors.InvalidArgumentError as caught:
    error = str(caught)
print(json.dumps([columns, text, error]))
"""


class ServedTokenizer(tf.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, text):
        return [rows.to_tensor(0) for rows in self.tokenizer.tokenize_with_offsets(text)]

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def decode(self, ids):
        return self.tokenizer.detokenize(ids)


def test_a_process_with_tensorflow_alone_gives_the_same(
    word_piece_tokenizer, nasty_texts, tmp_path
):
    word_piece_tokenizer.save(tmp_path / "files")
    # A fresh one, whose tables the export itself must bring about.
    fresh = WordPieceTokenizer.load(tmp_path / "files")
    tf.saved_model.save(ServedTokenizer(fresh), str(tmp_path / "saved"))
    texts = [text for text in nasty_texts if "\x00" not in text]
    served = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path / "saved"), json.dumps(texts)],
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert served.returncode == 0, served.stderr
    columns, text, error = json.loads(served.stdout)
    expected = word_piece_tokenizer.tokenize_with_offsets(texts)
    assert columns == [rows.to_tensor(0).numpy().tolist() for rows in expected]
    decoded = word_piece_tokenizer.detokenize(expected[0]).numpy()
    assert text == [item.decode() for item in decoded]
    assert "`ids` must be token ids from 0 to 3999" in error and "1000003" in error


def test_a_model_takes_no_weights_from_it(word_piece_tokenizer):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.tokenizer = word_piece_tokenizer
    word_piece_tokenizer.tokenize("a")
    model(tf.zeros([1, 3]))
    assert len(model.weights) == 2


def test_a_copy_gives_the_same_ids(word_piece_tokenizer):
    expected = word_piece_tokenizer.tokenize("a new text").numpy().tolist()
    for duplicate in (copy.copy(word_piece_tokenizer), copy.deepcopy(word_piece_tokenizer)):
        assert duplicate.tokenize("a new text").numpy().tolist() == expected


def test_no_table_can_change_and_every_op_is_tensorflows_own(word_piece_tokenizer):
    graph = word_piece_tokenizer._encoder.encode.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    found = {node.op for node in nodes}
    assert not any("Mutable" in name or "PyFunc" in name for name in found)
    assert "LookupTableFindV2" in found and "LookupTableInsertV2" not in found
    assert not any(">" in name or "Wordpiece" in name for name in found)
    # The tables of 1,114,112 code points are folded to what differs.
    assert graph.ByteSize() < 1_000_000
