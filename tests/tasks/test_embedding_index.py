"""Searching by vectors, against sorting everything."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks import EmbeddingIndex, embedding_index

TEXTS = [f"text {index}" for index in range(50)]


class Lookup:
    """An embedder that knows the vectors of its texts."""

    def __init__(self, seed=0):
        # Small whole numbers: products are exact, and many are equal.
        vectors = np.random.default_rng(seed).integers(-2, 3, (len(TEXTS), 4))
        self.vectors = dict(zip(TEXTS, vectors.astype(np.float32), strict=True))

    def embed(self, texts):
        return np.array([self.vectors[text] for text in texts], np.float32).reshape(-1, 4)


def search_by_sorting(lookup, query, k):
    scores = [float(lookup.vectors[text] @ lookup.vectors[query]) for text in TEXTS]
    order = sorted(range(len(TEXTS)), key=lambda index: (-scores[index], index))[:k]
    return [{"text": TEXTS[i], "index": i, "score": scores[i]} for i in order]


@pytest.mark.parametrize("k", [1, 2, 10, 49, 50, 1000])
def test_a_search_is_a_sort_with_equal_scores_in_order(k):
    lookup = Lookup()
    index = EmbeddingIndex(lookup, TEXTS)
    for query in TEXTS[:10]:
        got = index.search(query, k)
        assert got == search_by_sorting(lookup, query, k)
        assert len(got) == min(k, len(TEXTS))


def test_several_queries_get_a_list_each_whatever_the_block(monkeypatch):
    index = EmbeddingIndex(Lookup(), TEXTS)
    whole = index.search(TEXTS, k=3)
    assert whole == [index.search(query, k=3) for query in TEXTS]
    monkeypatch.setattr(embedding_index, "_BLOCK", 7 * len(TEXTS))
    assert index.search(TEXTS, k=3) == whole
    assert index.search([TEXTS[3]], k=3) == [whole[3]]
    assert index.search(tf.constant([TEXTS[3]]), k=3) == [whole[3]]
    assert index.search([]) == []


def test_vectors_that_are_known_are_not_computed_again():
    lookup = Lookup()
    known = lookup.embed(TEXTS[::-1])
    index = EmbeddingIndex(lookup, TEXTS, known.tolist())
    np.testing.assert_array_equal(index.embeddings, known)
    assert len(index) == 50


def test_what_cannot_be_searched_is_refused():
    lookup = Lookup()
    with pytest.raises(ValueError, match=r"texts=\[\]"):
        EmbeddingIndex(lookup, [])
    with pytest.raises(TypeError, match="Received: 'text 1'"):
        EmbeddingIndex(lookup, "text 1")
    with pytest.raises(TypeError, match="7 at index 1"):
        EmbeddingIndex(lookup, ["text 1", 7])
    with pytest.raises(TypeError, match="Received: query=None"):
        EmbeddingIndex(lookup, TEXTS).search(None)
    with pytest.raises(ValueError, match=r"embeddings.shape=\(3, 4\)"):
        EmbeddingIndex(lookup, TEXTS, np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"must be \(50, 4\).*embeddings.shape=\(50, 3\)"):
        EmbeddingIndex(lookup, TEXTS, np.zeros((50, 3)))
    for k in (0, 2.0, True):
        with pytest.raises(ValueError, match=f"k={k}"):
            EmbeddingIndex(lookup, TEXTS).search("text 1", k)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_vectors_of_what_is_no_finite_number_are_refused(number):
    lookup = Lookup()
    known = lookup.embed(TEXTS)
    known[7, 2] = number
    with pytest.raises(ValueError, match=rf"finite numbers.*{number}.* at index 7"):
        EmbeddingIndex(lookup, TEXTS, known)
    lookup.vectors[TEXTS[7]] = known[7]
    with pytest.raises(ValueError, match=rf"finite numbers.*{number}.* at index 7"):
        EmbeddingIndex(lookup, TEXTS)
