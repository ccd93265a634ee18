"""Folders that lmzoo must refuse, each with the words by which it does so."""

import json
import math
import os
import pathlib
import pickle
import shutil
import socket
import struct

import numpy as np
import safetensors.numpy

from tests.hub.golden_encoders import write_folder as write_encoder
from tests.hub.golden_t5 import write_folder as write_t5
from tests.hub.hostile_safetensors import LIES, entry, make_file

GPT2 = pathlib.Path(__file__).parents[1] / "golden" / "gpt2"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"
PICKLE = pickle.dumps(os.path.join)
MIB = 2**20


def write_good(folder, **fields):
    """A copy of the golden GPT-2 with other fields of config.json."""
    folder.mkdir()
    config = json.loads((GPT2 / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    shutil.copy(GPT2 / WEIGHTS, folder)


def with_fields(**fields):
    return lambda folder: write_good(folder, **fields)


def with_file(name, content):
    """A good folder with one file more, or another one."""

    def make(folder):
        write_good(folder)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def with_long_file(name, size=2**30):
    def make(folder):
        write_good(folder)
        with open(folder / name, "wb") as file:
            file.truncate(size)

    return make


def with_link(name, target):
    def make(folder):
        write_good(folder)
        (folder.parent / "outside.json").write_text("{}")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return make


def with_pipe(name):
    def make(folder):
        write_good(folder)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def with_socket(name):
    def make(folder):
        write_good(folder)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(folder / name))

    return make


def with_tensors(change):
    def make(folder):
        write_good(folder)
        tensors = safetensors.numpy.load_file(folder / WEIGHTS)
        change(tensors)
        safetensors.numpy.save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return make


def with_sparse_weights(vocabulary_size, hidden_dim):
    """A config and a header that fit each other, over a file that is one hole."""

    def make(folder):
        write_good(folder, vocab_size=vocabulary_size, n_embd=hidden_dim)
        sizes = {48: hidden_dim, 144: 3 * hidden_dim, 101: vocabulary_size}
        shapes = {
            name: [sizes.get(size, size) for size in tensor.shape]
            for name, tensor in safetensors.numpy.load_file(folder / WEIGHTS).items()
        }
        header, end = {}, 0
        for name, shape in shapes.items():
            start, end = end, end + 4 * math.prod(shape)
            header[name] = entry(shape=shape, offsets=(start, end))
        with open(folder / WEIGHTS, "wb") as file:
            file.write(make_file(header))
            file.truncate(file.tell() + end)

    return make


def with_weight_map(weight_map, content=None):
    """A folder whose weights are one shard and an index."""

    def make(folder):
        write_good(folder)
        (folder / WEIGHTS).rename(folder / SHARD)
        text = content or json.dumps({"metadata": {}, "weight_map": weight_map})
        (folder / INDEX).write_text(text)

    return make


def with_only(name, content=PICKLE):
    def make(folder):
        write_good(folder)
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(content)

    return make


def with_word_pieces(name, content):
    def make(folder):
        write_encoder(folder, "bert", "ForMaskedLM")
        (folder / name).write_bytes(content)

    return make


def with_sentence_pieces(content):
    def make(folder):
        write_t5(folder, "t5")
        (folder / "spiece.model").write_bytes(content)

    return make


def make_tokenizer(vocabulary=None, **parts):
    content = {
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "model": {"type": "BPE", "vocab": vocabulary or {}, "merges": []},
        "added_tokens": [],
    }
    return json.dumps({**content, **parts})


POOLING = {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True}
# A good folder of sentence-transformers with all the small files that are read of one.
SENTENCES = {
    "modules.json": [
        {"path": path, "type": f"sentence_transformers.models.{kind}"}
        for kind, path in (("Transformer", ""), ("Pooling", "1_Pooling"))
    ],
    "1_Pooling/config.json": POOLING,
    "sentence_bert_config.json": {"max_seq_length": 12},
    "config_sentence_transformers.json": {},
    "tokenizer_config.json": {},
    "special_tokens_map.json": {},
}


def flood(folder, name, size):
    """Writes empty lists: what is parsed takes twenty times the memory of the file."""
    path = folder / name
    path.unlink(missing_ok=True)
    # One file under many names, for they are large.
    whole = folder.parent / f"flood_{size}"
    if not whole.exists():
        whole.write_bytes(b"[" + b"[]," * (size // 3 - 1) + b"[]]")
    os.link(whole, path)


def with_flood(name, size=67_000_000):
    def make(folder):
        write_good(folder)
        (folder / "vocab.json").write_text('{"a": 0}')
        (folder / "merges.txt").write_text("")
        flood(folder, name, size)

    return make


def with_flood_beside_sentences(name, size=67_000_000):
    def make(folder):
        write_encoder(folder, "bert", "Model")
        (folder / "1_Pooling").mkdir()
        for each, content in SENTENCES.items():
            (folder / each).write_text(json.dumps(content))
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
        flood(folder, name, size)

    return make


def make_object(size):
    """The text of an object whose last key stands twice."""
    return "{" + ",".join(f'"{n}":0' for n in (*range(size), size - 1)) + "}"


def change_kind(tensors):
    tensors["transformer.wte.weight"] = tensors["transformer.wte.weight"].astype(np.int64)


OWN = {"model_type": "lmzoo_gpt", "lmzoo_backbone": {"activation": {"class_name": "Lambda"}}}
DEEP = '{"a":' + "[" * 50_000 + "]" * 50_000 + "}"
# name -> what makes the folder, and a part of the error
HOSTILE = {
    **{
        f"weights: {name}": (with_file(WEIGHTS, lie), "is not a whole safetensors file: ")
        for name, lie in LIES.items()
    },
    "weights: a header of 1 GB": (
        with_file(WEIGHTS, struct.pack("<Q", 2**30)),
        "does not fit 8 bytes",
    ),
    "weights: many empty objects": (
        with_file(WEIGHTS, make_file(b'{"":{}' + b',"":{}' * (MIB // 12 - 9) + b"}")),
        "stands twice",
    ),
    "weights: many entries": (
        with_file(
            WEIGHTS, make_file({f"{n}": entry(shape=(0,), offsets=(0, 0)) for n in range(7_500)})
        ),
        "not expected: ",
    ),
    "weights: a hole of 1 GB": (with_long_file(WEIGHTS), "header of 0 bytes does not fit"),
    "weights: sparse, of 800 GB": (with_sparse_weights(2**22, 2**16), "it is sparse"),
    "weights: a name that climbs": (
        with_tensors(lambda tensors: tensors.update({"../x": np.zeros(3, np.float32)})),
        "not expected: '../x'",
    ),
    "weights: integers": (with_tensors(change_kind), "dtypes F64, F32, BF16, F16. Received: I64"),
    "weights: a pickle": (with_file(WEIGHTS, PICKLE), "it is a pickle, and lmzoo never opens"),
    "weights: HDF5": (with_file(WEIGHTS, b"\x89HDF\r\n\x1a\n" + bytes(99)), "it is HDF5"),
    "weights: .keras": (with_file(WEIGHTS, b"PK\3\4" + bytes(99)), "it is a zip archive"),
    "weights: gzip": (with_file(WEIGHTS, b"\x1f\x8b\x08" + bytes(99)), "it is gzip"),
    **{
        f"weights: only {name}": (with_only(name), f"which has '{name}'. Pickles, HDF5")
        for name in ("pytorch_model.bin", "model.pt", "tf_model.h5", "model.keras")
    },
    "weights: a link out": (with_link(WEIGHTS, "../outside.json"), "leads to"),
    "weights: a device": (with_link(WEIGHTS, "/dev/zero"), "is not a regular file"),
    "weights: a pipe": (with_pipe(WEIGHTS), "is not a regular file"),
    "index: climbing": (
        with_weight_map({"a": "../x/model.safetensors"}),
        "Received: '../x/model.safetensors'",
    ),
    "index: absolute": (with_weight_map({"a": "/etc/a.safetensors"}), "'/etc/a.safetensors'"),
    "index: an address": (with_weight_map({"a": "https://x/a.safetensors"}), "'https://x/a"),
    "index: a pickle": (with_weight_map({"a": "pytorch_model.bin"}), "'pytorch_model.bin'"),
    "index: a missing shard": (with_weight_map({"a": "b.safetensors"}), "'b.safetensors' is miss"),
    "index: other names": (with_weight_map({"a": SHARD}), "Missing: 'a'; not expected: 'trans"),
    "index: many names": (
        with_weight_map({f"{n}": SHARD for n in range(10_000)}),
        "Missing: '0', '1', '10'",
    ),
    "index: long": (with_weight_map({"a" * MIB: SHARD}), "at most 524288 bytes"),
    "index: deep": (with_weight_map({}, DEEP), "must be JSON"),
    "index: a link out": (with_link(INDEX, "../outside.json"), "leads to"),
    "config: none": (lambda folder: folder.mkdir(), "folder with a config.json"),
    "config: 1 GB": (with_long_file("config.json"), "at most 2097152 bytes"),
    "config: deep": (with_file("config.json", DEEP), "must be JSON"),
    "config: deep lists": (with_file("config.json", "[" * 50_000), "must be JSON"),
    "config: many objects": (
        with_file("config.json", '{"a":[' + "{}," * (MIB // 6 - 9) + "{}]}"),
        "at most 65536 lists, objects and commas",
    ),
    "config: many keys, one of them twice": (
        with_file("config.json", make_object(30_000)),
        "the key '29999' stands twice",
    ),
    "config: many long integers": (
        with_file("config.json", '{"a":[' + ",".join(["9" * 4_300] * 487) + "]}"),
        "Received: model_type=None",
    ),
    "config: many digits": (with_file("config.json", "9" * 100_000), "must be JSON"),
    "config: half a character": (
        with_file("config.json", rb'{"id2label": {"0": "\ud83d"}}'),
        r"surrogates stand in pairs",
    ),
    "generation: half a character": (
        with_file("generation_config.json", rb'{"stop_strings": ["\ude00\ud83d"]}'),
        r"surrogates stand in pairs",
    ),
    "config: a key twice": (with_file("config.json", '{"a":1,"a":1}'), "'a' stands twice"),
    "config: a pickle": (with_file("config.json", PICKLE), "must be UTF-8"),
    "config: a link out": (with_link("config.json", "../outside.json"), "leads to"),
    "config: a link to itself": (with_link("config.json", "config.json"), "cannot be followed"),
    "config: a device": (with_link("config.json", "/dev/zero"), "is not a regular file"),
    "config: a pipe": (with_pipe("config.json"), "is not a regular file"),
    "config: 10^9 layers": (with_fields(n_layer=10**9), "Received: n_layer=1000000000"),
    "config: 1,024 layers": (with_fields(n_layer=1024), "Missing: "),
    "config: 10^30 words": (with_fields(vocab_size=10**30), "Received: vocab_size=1000000"),
    "config: 2^24 words": (with_fields(vocab_size=2**24), "(16777216, 48)"),
    "config: a negative width": (with_fields(n_embd=-48), "Received: n_embd=-48"),
    "config: no heads": (with_fields(n_head=0), "Received: n_head=0"),
    "config: NaN": (with_fields(layer_norm_epsilon=float("nan")), "=nan"),
    "config: infinity": (with_fields(initializer_range=float("inf")), "=inf"),
    "config: a width as text": (with_fields(n_embd="__import__('os')"), 'Received: n_embd="__imp'),
    "config: an import": (with_fields(activation_function="os.system"), "='os.system'"),
    "config: a path": (with_fields(model_type="../../gpt2"), "Received: model_type='../../gpt2'"),
    "config: an address": (with_fields(model_type="https://x"), "model_type='https://x'"),
    "config: a class": (with_fields(**OWN), "Received: "),
    "config: 1,024 layers of BERT": (
        lambda folder: write_encoder(folder, "bert", "ForMaskedLM", num_hidden_layers=1024),
        "Missing: ",
    ),
    "config: 10^9 labels": (
        lambda folder: write_encoder(
            folder, "bert", "ForSequenceClassification", id2label=None, num_labels=10**9
        ),
        "num_labels",
    ),
    "config: 1,024 layers of T5 in all": (
        lambda folder: write_t5(folder, "t5", num_layers=512, num_decoder_layers=512),
        "Missing: ",
    ),
    "config: no head size": (lambda folder: write_t5(folder, "t5", d_kv=-1), "Received: d_kv=-1"),
    "tokenizer: 1 GB": (with_long_file("tokenizer.json"), "bytes for the 101 tokens"),
    "tokenizer: deep": (with_file("tokenizer.json", DEEP), "must be JSON"),
    "tokenizer: a pickle": (with_file("tokenizer.json", PICKLE), "must be UTF-8"),
    "tokenizer: a link out": (with_link("tokenizer.json", "/etc/passwd"), "leads to"),
    "tokenizer: a socket": (with_socket("tokenizer.json"), "is not a regular file"),
    "tokenizer: another kind": (
        with_file("tokenizer.json", make_tokenizer(model={"type": "os.system"})),
        "with 'os.system'",
    ),
    "tokenizer: a regex": (
        with_file(
            "tokenizer.json",
            make_tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}}),
        ),
        "pre_tokenizer.type",
    ),
    "tokenizer: an id of 10^12": (
        with_file("tokenizer.json", make_tokenizer({"a": 10**12})),
        "1000000000000",
    ),
    "tokenizer: a negative id": (with_file("tokenizer.json", make_tokenizer({"a": -1})), "-1"),
    "merges: none": (with_file("vocab.json", '{"a": 0}'), "merges.txt"),
    "merges: a pipe": (with_pipe("merges.txt"), "is not a regular file"),
    "words: 1 GB": (with_long_file("vocab.txt"), "bytes for the 101 tokens"),
    "words: 8.5 million": (
        with_word_pieces("vocab.txt", b"a\n" * 8_500_000),
        "vocab.txt must have at most 4246016 bytes for the 101 tokens",
    ),
    "words: 100,000 in 4 MB": (
        with_word_pieces("vocab.txt", (b"a" * 40 + b"\n") * 100_000),
        "vocab.txt must have at most 1226 lines for the 101 tokens",
    ),
    "merges: 4 million": (
        with_file("merges.txt", b"\n" * (4 * MIB)),
        "merges.txt must have at most 66748 lines for the 101 tokens",
    ),
    **{
        f"{name}: 67 MB of empty lists": (with_flood(name), "bytes for the 101 tokens")
        for name in ("tokenizer.json", "vocab.json")
    },
    **{
        f"{name}: 4 MB of empty lists": (
            with_flood(name, 4 * MIB),
            "at most 66748 lists, objects and commas for the 101 tokens",
        )
        for name in ("tokenizer.json", "vocab.json")
    },
    "added_tokens.json: 67 MB of empty lists": (
        with_flood("added_tokens.json"),
        "added_tokens.json must have at most 2097152 bytes",
    ),
    **{
        f"{name}: 67 MB of empty lists": (
            with_flood_beside_sentences(name),
            f"{name.rpartition('/')[2]} must have at most 2097152 bytes",
        )
        for name in SENTENCES
    },
    **{
        f"{name}: 2 MB of empty lists": (
            with_flood_beside_sentences(name, 2 * MIB),
            f"{name.rpartition('/')[2]} must have at most 65536 lists, objects and commas",
        )
        for name in SENTENCES
    },
    "words: no UTF-8": (with_word_pieces("vocab.txt", b"\xff\n"), "must be UTF-8"),
    "words: too many": (
        with_word_pieces(
            "vocab.txt",
            b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + b"\n".join(b"%d" % n for n in range(999)),
        ),
        "must not have more words",
    ),
    "pieces: 1 GB": (with_long_file("spiece.model"), "spiece.model must have at most"),
    "pieces: a pickle": (with_sentence_pieces(PICKLE), "it is another protocol buffer"),
    "pieces: 800,000 of one name": (
        with_sentence_pieces(b"\x0a\x03\x0a\x01a" * (4 * MIB // 5)),
        "spiece.model must have at most 1226 pieces for the 101 tokens",
    ),
    "pieces: 2,000,000 without a name": (
        with_sentence_pieces(b"\x0a\x00" * (2 * MIB)),
        "spiece.model must have at most 1226 pieces for the 101 tokens",
    ),
    "pieces: nothing": (with_sentence_pieces(b""), "it has 0 bytes"),
    "pieces: a length of 2^63": (
        with_sentence_pieces(b"\x0a" + b"\xff" * 9 + b"\x7f"),
        "bytes announced at byte 11, 0 there",
    ),
}
