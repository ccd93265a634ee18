"""Exact nearest-neighbour search over the embeddings of texts."""

import numpy as np

from lmzoo.data.rows.texts import list_texts

__all__ = ["EmbeddingIndex"]

# Scores that are in memory at once: 16 MB.
_BLOCK = 1 << 22


class EmbeddingIndex:
    """Semantic search: finds the texts whose embeddings are nearest to that of a query.

    The search is exact: each query is compared with all texts. The score is the dot product, which
    is the cosine if the embedder has `normalize=True`. A million embeddings with D = 384 take
    1.5 GB.

    Args:
        embedder: `TextEmbedder`, or any object with the same `embed`.
        texts: list of str. The texts to search.
        embeddings: float (n, D) or None. The embeddings of `texts`, if they are already computed.
            The first text is embedded in any case, to compare D with the embedder's.
    Raises:
        TypeError: if a text is not a str.
        ValueError: if `texts` is empty, or `embeddings` is not (n, D) or not finite.

    Example:
        index = lmzoo.tasks.EmbeddingIndex(embedder, texts)
        index.search("How far is the moon?", k=1)  # [{"text": ..., "index": 17, "score": 0.83}]
    """

    def __init__(self, embedder, texts, embeddings=None):
        if isinstance(texts, str):
            raise TypeError(f"`texts` must be a list of str. Received: {texts!r:.60}.")
        self.embedder = embedder
        self.texts = list_texts(texts)
        if not self.texts:
            raise ValueError("`texts` must hold a text. Received: texts=[].")
        # The first one is enough to learn D.
        found = embedder.embed(self.texts if embeddings is None else self.texts[:1])
        self.embeddings = np.asarray(found if embeddings is None else embeddings, np.float32)
        _check_embeddings(self.embeddings, (len(self.texts), np.shape(found)[-1]))

    def __len__(self):
        return len(self.texts)

    def search(self, query, k=10):
        """Finds the texts nearest to a query.

        Args:
            query: str or list of str.
            k: int. The number of texts to return, at most n.
        Returns:
            list of dicts with `text` str, `index` int and `score` float, the best first. Ties are
            broken by the lower index. For a list of queries, a list of these.
        Raises:
            TypeError: if a query is not a str.
            ValueError: if `k` is below 1.
        """
        if type(k) is not int or k < 1:
            raise ValueError(f"`k` must be a positive int. Received: k={k!r}.")
        queries = [query] if isinstance(query, str) else list_texts(query, "query")
        vectors = self.embedder.embed(queries)
        size = max(1, _BLOCK // len(self))
        results = []
        for start in range(0, len(queries), size):
            # (Q, D), (n, D) -> (Q, n)
            block = vectors[start : start + size] @ self.embeddings.T
            results += [self._to_result(scores, k) for scores in block]
        return results[0] if isinstance(query, str) else results

    def _to_result(self, scores, k):
        return [
            {"text": self.texts[index], "index": index, "score": float(scores[index])}
            for index in find_highest(scores, min(k, len(self))).tolist()
        ]


def _check_embeddings(embeddings, shape):
    if embeddings.shape != shape:
        raise ValueError(
            f"`embeddings` must be {shape}, a row of the embedder's length for each text. "
            f"Received: embeddings.shape={embeddings.shape}."
        )
    # Both are NaN if one number is, and neither needs memory for all.
    if not (np.isfinite(embeddings.min()) and np.isfinite(embeddings.max())):
        row = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))[0]
        raise ValueError(
            "`embeddings` must hold finite numbers. Received: "
            f"{embeddings[row].tolist()!r:.60} at index {row}."
        )


def find_highest(scores, k):
    """The indices of the k highest of scores (n,), best first; ties by the lower index."""
    lowest = scores[np.argpartition(scores, -k)[-k]]
    better = np.flatnonzero(scores > lowest)
    # argpartition breaks ties at the last rank arbitrarily.
    equal = np.flatnonzero(scores == lowest)[: k - len(better)]
    found = np.concatenate([better, equal])
    return found[np.argsort(-scores[found], kind="stable")]
