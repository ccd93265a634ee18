"""Finding the texts that are nearest to a question."""

import numpy as np

from lmzoo.data.rows.texts import list_texts

__all__ = ["EmbeddingIndex"]

# Scores that are in memory at once: 16 MB.
_BLOCK = 1 << 22


class EmbeddingIndex:
    """Searches texts by meaning, exactly: every text is compared with the query.

    The score is the product of two vectors, which is their cosine where the embedder normalises.
    A million texts of 384 numbers take 1.5 GB.

    Args:
        embedder: `TextEmbedder`, or whatever has its `embed`.
        texts: list of str. What is searched.
        embeddings: float (n, D) or None. The vectors of the texts, if they are already known. The
            first text is embedded all the same, to see that D is the embedder's.
    Raises:
        TypeError: if a text is not a str.
        ValueError: if there are no texts, or not one vector of finite numbers for each.

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
        # That of the first text tells D.
        found = embedder.embed(self.texts if embeddings is None else self.texts[:1])
        self.embeddings = np.asarray(found if embeddings is None else embeddings, np.float32)
        _check_embeddings(self.embeddings, (len(self.texts), np.shape(found)[-1]))

    def __len__(self):
        return len(self.texts)

    def search(self, query, k=10):
        """Finds the texts nearest to a query.

        Args:
            query: str or list of str.
            k: int. How many texts to give, at most all.
        Returns:
            list of dicts with `text` str, `index` int and `score` float, the best first and of
            equal ones the one with the lower index; for a list of queries, a list of these.
        Raises:
            TypeError: if a query is not a str.
            ValueError: if `k` is below 1.
        """
        if type(k) is not int or k < 1:
            raise ValueError(f"`k` must be a positive int. Received: k={k!r}.")
        queries = [query] if isinstance(query, str) else list_texts(query, "query")
        vectors = self.embedder.embed(queries)
        size = max(1, _BLOCK // len(self))
        answers = []
        for start in range(0, len(queries), size):
            # (Q, D), (n, D) -> (Q, n)
            block = vectors[start : start + size] @ self.embeddings.T
            answers += [self._to_answer(scores, k) for scores in block]
        return answers[0] if isinstance(query, str) else answers

    def _to_answer(self, scores, k):
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
    """The places of the k highest of scores (n,), the best first, of equal ones the lowest."""
    lowest = scores[np.argpartition(scores, -k)[-k]]
    better = np.flatnonzero(scores > lowest)
    # Of those that are as good as the last one, a partition would take any.
    equal = np.flatnonzero(scores == lowest)[: k - len(better)]
    places = np.concatenate([better, equal])
    return places[np.argsort(-scores[places], kind="stable")]
