"""Small word vectors from text, written as GloVe and word2vec write theirs.

A word's vector is its row of a truncated singular value decomposition of positive pointwise mutual
information with its neighbours: Levy and Goldberg 2014, "Neural word embedding as implicit matrix
factorization", find it close to word2vec.
"""

import collections
import pathlib
import re
import tempfile

import lmzoo
from _helpers import common

WINDOW = 4
LARGEST_VOCABULARY = 4000


def compute_vectors(texts, dim, seed=0):
    """Vectors of the words that are frequent enough.

    Args:
        texts: list of str.
        dim: int. D.
        seed: int.
    Returns:
        (words, vectors): list of str in lower case, float64 (n, D).
    """
    import numpy as np

    rows = [re.findall(r"[a-z]+", text.lower()) for text in texts]
    counts = collections.Counter(word for row in rows for word in row)
    words = [word for word, count in counts.most_common(LARGEST_VOCABULARY) if count > 2]
    ids = {word: index for index, word in enumerate(words)}
    together = np.zeros([len(words), len(words)], "float32")
    for row in rows:
        known = np.array([ids[word] for word in row if word in ids], int)
        for distance in range(1, WINDOW + 1):
            np.add.at(together, (known[:-distance], known[distance:]), 1 / distance)
    together += together.T
    sums = together.sum(axis=0) + 1e-9
    # Levy et al. 2015: contexts that are smoothed by the power 0.75 make rare words less extreme.
    context = sums**0.75 / (sums**0.75).sum()
    information = np.log(together / sums[:, None] / context + 1e-12)
    return words, factorize(np.maximum(information, 0), min(dim, len(words)), seed)


def factorize(matrix, dim, seed):
    """The left singular vectors of a symmetric matrix times the roots of their values.

    Reference: Halko et al. 2011, https://arxiv.org/abs/0909.4061, algorithm 4.4.
    """
    import numpy as np

    start = np.random.default_rng(seed).standard_normal([len(matrix), dim + 16])
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(3):
        basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
    left, values, _ = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ left)[:, :dim] * np.sqrt(values[:dim])


def write_glove(path, words, vectors):
    """Writes a word and its numbers on each line."""
    lines = [
        " ".join([word, *(f"{number:.5f}" for number in vector)])
        for word, vector in zip(words, vectors, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_word2vec(path, words, vectors):
    """The same behind a line with the number of words and that of numbers."""
    write_glove(path, words, vectors)
    header = f"{len(words)} {vectors.shape[1]}\n"
    path.write_text(header + path.read_text(encoding="utf-8"), encoding="utf-8")


def read_matrix(file, tokenizer, smoke=False):
    """Embeddings for a vocabulary, from a file or from vectors that are computed here.

    These are of the docstrings that are not held out, and go through a file of each format.

    Args:
        file: path in the format of GloVe or word2vec, or None.
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        smoke: bool. Whether to compute short ones of a few docstrings.
    Returns:
        float32 (V, D).
    """
    if file is not None:
        matrix, share = lmzoo.layers.load_word_vectors(file, tokenizer)
    else:
        found = common.read_docstrings(smoke)
        texts = [each.text for each in found if not common.is_held_out(each.content)]
        words, vectors = compute_vectors(texts, 16 if smoke else 128)
        with tempfile.TemporaryDirectory() as folder:
            glove, word2vec = (pathlib.Path(folder) / name for name in ("glove.txt", "w2v.txt"))
            write_glove(glove, words, vectors)
            write_word2vec(word2vec, words, vectors)
            matrix, share = lmzoo.layers.load_word_vectors(glove, tokenizer)
            other, _ = lmzoo.layers.load_word_vectors(word2vec, tokenizer)
        print(f"Both formats give the same matrix: {(matrix == other).all()}")
    print(f"{share:.0%} of {len(matrix)} tokens have a vector of {matrix.shape[1]}", flush=True)
    return matrix
