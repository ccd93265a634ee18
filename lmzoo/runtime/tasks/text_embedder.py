"""Text embeddings."""

import numpy as np

from .text_reading import TextReading, check_finite

__all__ = ["TextEmbedder"]


class TextEmbedder(TextReading):
    """Embeds texts as vectors; see `lmzoo.tasks.TextEmbedder`.

    Attributes:
        embedding_dim: int. D, the width of the vectors.
    """

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self.embedding_dim = self.manifest.task_options["embedding_dim"]

    @property
    def output_width(self):
        return self.embedding_dim

    def embed(self, texts, batch_size=None):
        """Embeds texts.

        Args:
            texts: str or list of str. They may be empty.
            batch_size: int or None. Texts in one run; None for 32.
        Returns:
            float32 array (n, D); for one text (D,).
        Raises:
            TypeError: if a text is not a str.
            ValueError: if there is no tokenizer.
        """
        texts, is_single = self.read_texts(texts)
        if not texts:
            return np.zeros([0, self.embedding_dim], np.float32)
        results = self.run_texts([texts], lambda text: self.pack([self.tokenize(text)]), batch_size)
        for text, (_, embedding) in zip(texts, results, strict=True):
            check_finite(embedding, text)
        embeddings = np.stack([embedding for _, embedding in results])
        return embeddings[0] if is_single else embeddings
