"""How fast tokenizers are on text they have not seen, in megabytes a second.

For each kind of tokenizer lmzoo takes part (an eager call of its graph), Hugging Face `tokenizers`
(`encode_batch`, in Rust) and what TensorFlow's libraries have, in a tf.function: KerasHub's own
tokenizers, and for WordPiece the two of tensorflow-text; for SentencePiece also the library of that
name, in C++. All use one vocabulary, learned from one half of Python's standard library; the other
half is timed. Every call gets new text, each contestant the same, in turns.

    python examples/benchmarks/tokenizing.py --kind sentencepiece --json tokenizing.json
"""

import pathlib
import random
import sysconfig
import tempfile
import zlib

import numpy as np
from _harness import common
from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant, open_workers

REFERENCE = ("kerashub", None)
KINDS = ("bytepair", "wordpiece", "sentencepiece")
# Texts in a call, and characters in a text.
WORKLOADS = {"64 x 4 kB": (64, 4000), "1 x 1 MB": (1, 1_000_000)}


def main():
    families = {
        "lmzoo": open_lmzoo,
        "kerashub": open_kerashub,
        "tokenizers": open_tokenizers,
        "tensorflow-text": open_tensorflow_text,
        "sentencepiece": open_sentencepiece,
    }
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.set_defaults(vocabulary=32_000)
    parser.add_argument("--kind", choices=KINDS, help="one kind alone (default: all)")
    arguments, data = common.start(parser, families)
    learning_texts, unseen = read_library()
    size = arguments.size.vocabulary_size
    if arguments.smoke:
        learning_texts, size = learning_texts[:20], 1000
    for kind in [arguments.kind] if arguments.kind else KINDS:
        with tempfile.TemporaryDirectory() as folder:
            learn(kind, learning_texts, size, folder)
            with open_workers(arguments.families, kind, folder, arguments.threads) as workers:
                for work, (rows, length) in WORKLOADS.items():
                    if arguments.smoke:
                        rows, length = min(rows, 4), min(length, 20_000)
                    calls = draw_batches(unseen, rows, length, arguments.repeats + 1)
                    data["rows"] += compare(workers, kind, work, calls)
    common.finish(arguments, data)


def compare(workers, kind, work, calls):
    """The rows of one table; lmzoo has failed if its ids are not those of `tokenizers`."""
    # The first batch pays for tracing; the others are alike in size.
    megabytes = np.mean([sum(len(text.encode()) for text in texts) for (texts,) in calls[1:]]) / 1e6
    rows = common.compare(
        workers,
        f"{kind} on unseen text, {work}",
        calls,
        REFERENCE,
        ("megabytes", float(megabytes)),
        lambda row: {"ids": row["results"][-1]},
        kind=kind,
        workload=work,
    )
    ids = {row["family"]: row.get("ids") for row in rows}
    if None not in (own := ids.get("lmzoo"), other := ids.get("tokenizers")) and own != other:
        rows[0]["problem"] = "gives other ids than tokenizers"
    return rows


def read_library():
    """The standard library's files: half to learn from, half as one unseen text."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    random.Random(0).shuffle(files)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    half = len(texts) // 2
    return texts[:half], "".join(texts[half:])


def draw_batches(text, rows, length, count):
    """`count` calls, each with a list of `rows` texts of `length` characters, no text twice."""
    needed = rows * length * count
    if needed > len(text):
        raise SystemExit(f"Too little text: {needed} characters wanted, {len(text)} there.")
    texts = [text[start : start + length] for start in range(0, needed, length)]
    return [(texts[start : start + rows],) for start in range(0, len(texts), rows)]


def learn(kind, texts, size, folder):
    """Trains a vocabulary and writes its files, in a process that no contestant lives in."""
    from lmzoo import tokenizers

    tokenizer_class = {
        "bytepair": tokenizers.BytePairTokenizer,
        "wordpiece": tokenizers.WordPieceTokenizer,
        "sentencepiece": tokenizers.SentencePieceTokenizer,
    }[kind]
    tokenizer_class.train(iter(texts), size).save(folder)


def summarize(rows):
    """A checksum of lists of ids, by which tokenizers are compared: str."""
    joined = b"".join(np.asarray([*row, -1], np.int32).tobytes() for row in rows)
    return f"{zlib.crc32(joined):08x}"


def summarize_tensor(ids):
    """`summarize` of ragged ids (B, None), or (B, words, None)."""
    return summarize((ids if ids.shape.rank == 2 else ids.merge_dims(1, 2)).to_list())


def open_lmzoo(kind, folder, threads):
    set_tensorflow_threads(threads)
    from lmzoo import tokenizers

    tokenizer = {
        "bytepair": tokenizers.BytePairTokenizer,
        "wordpiece": tokenizers.WordPieceTokenizer,
        "sentencepiece": tokenizers.SentencePieceTokenizer,
    }[kind].load(folder)
    return {"": Contestant(None, tokenizer.tokenize, summarize_tensor)}


def open_tokenizers(kind, folder, threads):
    from tokenizers import Tokenizer

    reference = Tokenizer.from_file(f"{folder}/tokenizer.json")
    reference.encode_special_tokens = True

    def run(texts):
        return reference.encode_batch(texts, add_special_tokens=False)

    return {"": Contestant(None, run, lambda found: summarize(item.ids for item in found))}


def open_kerashub(kind, folder, threads):
    set_tensorflow_threads(threads)
    import keras_hub

    folder = pathlib.Path(folder)
    if kind == "bytepair":
        files = str(folder / "vocab.json"), str(folder / "merges.txt")
        tokenizer = keras_hub.tokenizers.BytePairTokenizer(*files)
    elif kind == "wordpiece":
        tokenizer = keras_hub.tokenizers.WordPieceTokenizer(
            read_vocabulary(folder), lowercase=True, strip_accents=True
        )
    else:
        model = (folder / "spiece.model").read_bytes()
        tokenizer = keras_hub.tokenizers.SentencePieceTokenizer(model)
    return {"graph": put_in_graph(tokenizer.tokenize)}


def open_tensorflow_text(kind, folder, threads):
    if kind != "wordpiece":
        return {}
    set_tensorflow_threads(threads)
    import tensorflow as tf
    import tensorflow_text

    tokens = read_vocabulary(pathlib.Path(folder))
    fast = tensorflow_text.FastBertTokenizer(tokens, lower_case_nfd_strip_accents=True)
    ids = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(tokens, tf.range(len(tokens), dtype=tf.int64)), 1
    )
    plain = tensorflow_text.BertTokenizer(ids, lower_case=True)
    return {"FastBert": put_in_graph(fast.tokenize), "Bert": put_in_graph(plain.tokenize)}


def open_sentencepiece(kind, folder, threads):
    if kind != "sentencepiece":
        return {}
    import sentencepiece

    model = pathlib.Path(folder, "spiece.model").read_bytes()
    library = sentencepiece.SentencePieceProcessor(model_proto=model)
    return {
        "": Contestant(None, lambda texts: library.encode(texts, num_threads=threads), summarize)
    }


def read_vocabulary(folder):
    return (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


def put_in_graph(tokenize):
    import tensorflow as tf

    graph = tf.function(tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    return Contestant(None, graph, summarize_tensor)


if __name__ == "__main__":
    main()
