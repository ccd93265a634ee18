"""Every tokenizer inside a SavedModel, loaded by a process that has none of our code."""

import copy
import json
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer

# TensorFlow alone serves the first two tokenizers; the third one needs tensorflow-text.
_SERVE = """
import json, sys
missing = ("lmzoo", "keras", "tensorflow_text", "tokenizers", "sentencepiece")
sys.modules.update(dict.fromkeys(missing))
import tensorflow as tf

def serve(folder, texts):
    served = tf.saved_model.load(folder)
    columns = [rows.numpy().tolist() for rows in served.encode(tf.constant(texts))]
    text = [item.decode() for item in served.decode(tf.constant(columns[0])).numpy()]
    special = served.encode_special(tf.constant(["a <extra_id_1>"])).numpy().tolist()
    try:
        served.decode(tf.constant([[1_000_003]]))
        error = None
    except tf.errors.InvalidArgumentError as caught:
        error = str(caught)
    return columns, text, special, error

*folders, texts = sys.argv[1:]
found = []
for folder in folders:
    if folder.endswith("sentence_piece"):
        del sys.modules["keras"], sys.modules["tensorflow_text"]
        import tensorflow_text
    found.append(serve(folder, json.loads(texts)))
print(json.dumps(found))
"""
KINDS = ["byte_pair", "word_piece", "sentence_piece"]
NAMES = dict(zip(KINDS, ["byte_pair", "word_piece", "unigram"], strict=True))


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


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(kind, request):
    return request.getfixturevalue(f"{NAMES[kind]}_tokenizer")


@pytest.fixture(scope="module")
def served_texts(nasty_texts):
    # An argument of a process holds no NUL.
    return [text for text in nasty_texts if "\x00" not in text]


@pytest.fixture(scope="module")
def artefacts(request, tmp_path_factory):
    """The folder of each kind's SavedModel, made from a tokenizer that was just opened."""
    folder = tmp_path_factory.mktemp("artefacts")
    for kind in KINDS:
        tokenizer = request.getfixturevalue(f"{NAMES[kind]}_tokenizer")
        tokenizer.save(folder / "files" / kind)
        fresh = type(tokenizer).load(folder / "files" / kind)
        tf.saved_model.save(ServedTokenizer(fresh), str(folder / kind))
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="module")
def served(artefacts, served_texts):
    """What a process without our code gives, by kind."""
    arguments = [*map(str, artefacts.values()), json.dumps(served_texts)]
    child = subprocess.run(
        [sys.executable, "-c", _SERVE, *arguments],
        capture_output=True,
        cwd=artefacts["byte_pair"].parent,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return dict(zip(KINDS, json.loads(child.stdout), strict=True))


def test_a_process_without_ours_gives_the_same(kind, tokenizer, served, served_texts):
    columns, text, special, error = served[kind]
    expected = tokenizer.tokenize_with_offsets(served_texts)
    assert columns == [rows.to_tensor(0).numpy().tolist() for rows in expected]
    padded = expected[0].to_tensor(0)
    assert text == [item.decode() for item in tokenizer.detokenize(padded).numpy()]
    plain = tokenizer.tokenize(["a <extra_id_1>"], allow_special=True)
    assert special == plain.to_list()
    last = tokenizer.vocabulary_size - 1
    assert f"`ids` must be token ids from 0 to {last}" in error and "1000003" in error
    if kind == "sentence_piece":
        assert special[0][-1] == tokenizer.sentinel_ids[1]


def test_the_artefact_of_a_sentence_piece_model_is_small(artefacts):
    assert (artefacts["sentence_piece"] / "saved_model.pb").stat().st_size < 1_500_000


def test_a_model_takes_no_weights_from_it(tokenizer):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.tokenizer = tokenizer
    tokenizer.tokenize("a")
    model(tf.zeros([1, 3]))
    assert len(model.weights) == 2


def test_a_copy_gives_the_same_ids(tokenizer):
    expected = tokenizer.tokenize("a new text").numpy().tolist()
    for duplicate in (copy.copy(tokenizer), copy.deepcopy(tokenizer)):
        assert duplicate.tokenize("a new text").numpy().tolist() == expected


def test_a_copy_outlives_the_tokenizer_that_it_was_made_from(unigram_model):
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


@pytest.mark.parametrize("kind", ["byte_pair", "word_piece"], indirect=True)
def test_no_table_can_change_and_every_op_is_tensorflows_own(kind, tokenizer):
    graph = tokenizer._encoder.encode.func.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    found = {node.op for node in nodes}
    assert not any("Mutable" in name or "PyFunc" in name for name in found)
    assert "LookupTableFindV2" in found and "LookupTableInsertV2" not in found
    assert not any(">" in name or "Wordpiece" in name for name in found)
    # The tables of 1,114,112 code points are folded to what differs.
    assert graph.ByteSize() < 1_000_000


class ModelWithTokenizer(keras.Model):
    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.slow
def test_a_keras_archive_of_a_model_holds_the_tokenizer(
    byte_pair_tokenizer, served_texts, tmp_path
):
    byte_pair_tokenizer.save(tmp_path / "files")
    model = ModelWithTokenizer(BytePairTokenizer.load(tmp_path / "files"))
    model(tf.zeros([1, 3]))
    assert len(model.weights) == 2
    module = ServedTokenizer(model.tokenizer)
    archive = keras.export.ExportArchive()
    archive.track(model)
    text, ids = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.int32)
    archive.add_endpoint("encode", lambda text: module.encode(text), [text])
    archive.add_endpoint("encode_special", lambda text: module.encode_special(text), [text])
    archive.add_endpoint("decode", lambda ids: module.decode(ids), [ids])
    archive.write_out(str(tmp_path / "byte_pair"), verbose=False)
    child = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path / "byte_pair"), json.dumps(served_texts)],
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    ((columns, text, *_),) = json.loads(child.stdout)
    expected = byte_pair_tokenizer.tokenize_with_offsets(served_texts)
    assert columns == [rows.to_tensor(0).numpy().tolist() for rows in expected]
