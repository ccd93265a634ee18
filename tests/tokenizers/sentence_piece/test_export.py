import copy
import json
import subprocess
import sys

import keras
import tensorflow as tf

from lmzoo.tokenizers import SentencePieceTokenizer

# A process that has TensorFlow and tensorflow-text, but none of ours.
_SERVE = """
import json, sys
for name in ("lmzoo", "sentencepiece", "tokenizers"):
    sys.modules[name] = None
import tensorflow as tf
import tensorflow_text

folder, texts = sys.argv[1], json.loads(sys.argv[2])
served = tf.saved_model.load(folder)
columns = [column.numpy().tolist() for column in served.encode(tf.constant(texts))]
text = [item.decode() for item in served.decode(tf.constant(columns[0])).numpy()]
special = served.encode_special(tf.constant(["a <extra_id_1>"])).numpy().tolist()
try:
    served.decode(tf.constant([[1_000_003]]))
    error = None
except tf.errors.InvalidArgumentError as caught:
    error = str(caught)
print(json.dumps([columns, text, special, error]))
"""


class ServedTokenizer(tf.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, text):
        return [rows.to_tensor(0) for rows in self.tokenizer.tokenize_with_offsets(text)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode_special(self, text):
        return self.tokenizer.tokenize(text, allow_special=True).to_tensor(0)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def decode(self, ids):
        return self.tokenizer.detokenize(ids)


def test_a_process_without_ours_gives_the_same(unigram_tokenizer, nasty_texts, tmp_path):
    unigram_tokenizer.save(tmp_path / "files")
    # A fresh one, whose model the export itself must bring about.
    fresh = SentencePieceTokenizer.load(tmp_path / "files")
    tf.saved_model.save(ServedTokenizer(fresh), str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "saved_model.pb").stat().st_size < 1_500_000
    texts = [text for text in nasty_texts if "\x00" not in text]
    served = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path / "saved"), json.dumps(texts)],
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert served.returncode == 0, served.stderr
    columns, text, special, error = json.loads(served.stdout)
    expected = unigram_tokenizer.tokenize_with_offsets(texts)
    assert columns == [rows.to_tensor(0).numpy().tolist() for rows in expected]
    decoded = unigram_tokenizer.detokenize(expected[0]).numpy()
    assert text == [item.decode() for item in decoded]
    assert special[0][-1] == unigram_tokenizer.sentinel_ids[1]
    assert "`ids` must be token ids from 0 to 799" in error and "1000003" in error


def test_a_model_takes_no_weights_from_it(unigram_tokenizer):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.tokenizer = unigram_tokenizer
    unigram_tokenizer.tokenize("a")
    model(tf.zeros([1, 3]))
    assert len(model.weights) == 2


def test_a_copy_gives_the_same_ids_also_when_the_first_is_gone(unigram_model):
    tokenizer = SentencePieceTokenizer(unigram_model)
    expected = tokenizer.tokenize("a new text").numpy().tolist()
    duplicates = [copy.copy(tokenizer), copy.deepcopy(tokenizer)]
    del tokenizer
    for duplicate in duplicates:
        assert duplicate.tokenize("a new text").numpy().tolist() == expected


def test_it_outlives_the_cache_of_kernels(unigram_model):
    tokenizer = SentencePieceTokenizer(unigram_model)
    expected = tokenizer.tokenize("a new text").numpy().tolist()
    keras.utils.clear_session()
    tf.config.optimizer.set_experimental_options({"constant_folding": True})
    from tensorflow.python.eager import context

    context.context().clear_kernel_cache()
    assert tokenizer.tokenize("a new text").numpy().tolist() == expected
    assert tf.function(tokenizer.tokenize)("a new text").numpy().tolist() == expected
