"""Vectors and numbers of texts."""

import numpy as np

from ..prompts import read_columns

__all__ = ["TextEmbedding", "TextRegression"]


class TextEmbedding:
    """Gives a task `embed`; it has `embedding_dim` and `embed_texts(texts, batch_size)`."""

    def embed(self, texts, batch_size=None):
        """Embeds texts.

        Args:
            texts: str or list of str. They may be empty.
            batch_size: int or None. Texts in one forward pass; None for 32.
        Returns:
            float32 array (n, D); for one text (D,).
        Raises:
            TypeError: if a text is not a str.
            ValueError: if there is no tokenizer.
        """
        texts, is_single = self.read_texts(texts)
        if not texts:
            return np.zeros([0, self.embedding_dim], np.float32)
        embeddings = np.stack(self.embed_texts(texts, batch_size))
        return embeddings[0] if is_single else embeddings


class TextRegression:
    """Gives a task `score`; it has `num_targets` and `predict_numbers(columns, batch_size)`."""

    def score(self, texts, pairs=None, batch_size=None):
        """Predicts the numbers of texts.

        Args:
            texts: str or list of str.
            pairs: str or list of str, the second text of each pair; or None.
            batch_size: int or None. Texts in one forward pass; None for 32.
        Returns:
            float32 array (B,), or (B, num_targets) with several targets; for one text a float, or
            an array (num_targets,).
        Raises:
            TypeError: if a text is not a str or `batch_size` not an int.
            ValueError: if the lists differ in length, `batch_size` is not positive, or there is no
                tokenizer.
        """
        columns, is_single = read_columns(self.read_texts, texts, pairs)
        scores = self.predict_numbers(columns, batch_size)
        scores = np.array(scores, np.float32).reshape(len(columns[0]), self.num_targets)
        if self.num_targets == 1:
            scores = scores[:, 0]
        if not is_single:
            return scores
        return float(scores[0]) if self.num_targets == 1 else scores[0]
