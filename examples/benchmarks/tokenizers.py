"""How fast tokenizers are on text they have not seen, in megabytes a second.

For each kind of tokenizer lmzoo takes part (an eager call of its graph), Hugging Face `tokenizers`
(`encode_batch`, in Rust) and what TensorFlow's libraries have, in a tf.function: KerasHub's own
tokenizers, and for WordPiece the two of tensorflow-text; for SentencePiece also the library of that
name, in C++ with all threads. All use one vocabulary, learned from one half of Python's standard
library; the other half is timed. Every call gets new text, each contender the same, one after the
other, and the medians are shown.

    python examples/benchmarks/tokenizers.py
    python examples/benchmarks/tokenizers.py --kind sentencepiece
    python examples/benchmarks/tokenizers.py --smoke
"""

import argparse
import importlib.util
import os
import pathlib
import random
import statistics
import sys
import sysconfig
import tempfile
import time

# The folder of a script leads the path of modules, where this file would stand before the package
# of the same name.
sys.path = [entry for entry in sys.path if entry != str(pathlib.Path(__file__).parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

WORKLOADS = {"64 x 4 kB": (64, 4000), "1 x 1 MB": (1, 1_000_000)}


def main():
    arguments = parse_arguments()
    learning_texts, unseen = read_library()
    if arguments.smoke:
        learning_texts = learning_texts[:20]
    console = Console()
    for kind in [arguments.kind] if arguments.kind else KINDS:
        title, tokenizer_class, make_peers = KINDS[kind]
        size = 1000 if arguments.smoke else arguments.vocabulary_size
        tokenizer = tokenizer_class.train(iter(learning_texts), size)
        contenders, remarks = make_contenders(tokenizer, make_peers)
        console.print(compare(f"{title} on unseen text", contenders, unseen, arguments))
        for remark in remarks:
            console.print(remark)


def compare(title, contenders, unseen, arguments):
    """The table of the speeds of functions that encode a list of texts."""
    repeats = 2 if arguments.smoke else arguments.repeats
    table = Table("text", "tokenizer", "MB/s", "lmzoo is", title=title)
    for name, (rows, size) in WORKLOADS.items():
        if arguments.smoke:
            rows, size = min(rows, 4), min(size, 20_000)
        speeds = {who: [] for who in contenders}
        for batch in draw_batches(unseen, rows, size, repeats + 1):
            for who, encode in contenders.items():
                speeds[who].append(measure_speed(encode, batch))
        # The first batch paid for tracing.
        medians = {who: statistics.median(found[1:]) for who, found in speeds.items()}
        for who, speed in medians.items():
            table.add_row(name, who, f"{speed:.2f}", f"{medians['lmzoo'] / speed:.1f} x")
    return table


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, help="one kind alone (default: all)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--repeats", type=int, default=5, help="timed batches (default: 5)")
    parser.add_argument(
        "--vocabulary-size", type=int, default=32_000, help="tokens to learn (default: 32000)"
    )
    return parser.parse_args()


def read_library():
    """The standard library's files: half to learn from, half as one unseen text."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    random.Random(0).shuffle(files)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    half = len(texts) // 2
    return texts[:half], "".join(texts[half:])


def draw_batches(text, rows, size, count):
    """`count` batches of `rows` pieces of about `size` characters, no piece twice."""
    needed = rows * size * count
    if needed > len(text):
        raise SystemExit(f"Too little text: {needed} characters wanted, {len(text)} there.")
    pieces = [text[start : start + size] for start in range(0, needed, size)]
    return [pieces[start : start + rows] for start in range(0, len(pieces), rows)]


def make_contenders(tokenizer, make_peers):
    """Functions that encode a list of texts, by name, and why one is missing."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        reference = Tokenizer.from_file(f"{folder}/tokenizer.json")
        reference.encode_special_tokens = True
        check_ids(tokenizer, reference)
        peers, remarks = make_peers(folder)
    return {"lmzoo": tokenizer.tokenize, "tokenizers": encode_with(reference), **peers}, remarks


def put_in_graph(tokenize):
    return tf.function(tokenize, input_signature=[tf.TensorSpec([None], tf.string)])


def make_byte_pair_peers(folder):
    """KerasHub's tokenizer of byte pairs, by name, and why it is missing."""
    if importlib.util.find_spec("keras_hub") is None:
        return {}, [MISSING_HUB]
    import keras_hub

    hub = keras_hub.tokenizers.BytePairTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt")
    return {"KerasHub (graph)": put_in_graph(hub.tokenize)}, []


def make_word_piece_peers(folder):
    """The tokenizers of tensorflow-text and KerasHub, by name, and why one is missing."""
    import tensorflow_text

    tokens = pathlib.Path(folder, "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    fast = tensorflow_text.FastBertTokenizer(tokens, lower_case_nfd_strip_accents=True)
    ids = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(tokens, tf.range(len(tokens), dtype=tf.int64)), 1
    )
    plain = tensorflow_text.BertTokenizer(ids, lower_case=True)
    peers = {
        "tf-text FastBert": put_in_graph(fast.tokenize),
        "tf-text Bert": put_in_graph(plain.tokenize),
    }
    if importlib.util.find_spec("keras_hub") is None:
        return peers, [MISSING_HUB]
    import keras_hub

    hub = keras_hub.tokenizers.WordPieceTokenizer(tokens, lowercase=True, strip_accents=True)
    return {**peers, "KerasHub (graph)": put_in_graph(hub.tokenize)}, []


def make_sentence_piece_peers(folder):
    """The library itself and KerasHub's tokenizer, by name, and why one is missing."""
    # It has learned the pieces, so it is there.
    import sentencepiece

    model = pathlib.Path(folder, "spiece.model").read_bytes()
    library = sentencepiece.SentencePieceProcessor(model_proto=model)
    if importlib.util.find_spec("keras_hub") is None:
        return {"sentencepiece": library.encode}, [MISSING_HUB]
    import keras_hub

    hub = keras_hub.tokenizers.SentencePieceTokenizer(model)
    return {"sentencepiece": library.encode, "KerasHub (graph)": put_in_graph(hub.tokenize)}, []


# Their names, what learns them, and what makes the others that can read their files.
KINDS = {
    "bytepair": ("Byte pairs", BytePairTokenizer, make_byte_pair_peers),
    "wordpiece": ("WordPiece", WordPieceTokenizer, make_word_piece_peers),
    "sentencepiece": ("SentencePiece", SentencePieceTokenizer, make_sentence_piece_peers),
}
MISSING_HUB = "KerasHub is not installed, so it is left out."


def encode_with(reference):
    return lambda texts: reference.encode_batch(texts, add_special_tokens=False)


def check_ids(tokenizer, reference):
    texts = ["def main():\n    return 'it\\'s'  # done", "Größe 我 ½ \u00a0 x"]
    theirs = [item.ids for item in encode_with(reference)(texts)]
    if tokenizer.tokenize(texts).to_list() != theirs:
        raise SystemExit("lmzoo and tokenizers differ: nothing to compare.")


def measure_speed(encode, batch):
    megabytes = sum(len(text.encode()) for text in batch) / 1e6
    start = time.perf_counter()
    encode(batch)
    return megabytes / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
