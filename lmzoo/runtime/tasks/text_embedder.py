"""Text embeddings."""

from ..predictions import TextEmbedding
from .text_reading import TextReading, check_finite

__all__ = ["TextEmbedder"]


class TextEmbedder(TextEmbedding, TextReading):
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

    def embed_texts(self, texts, batch_size):
        """See `TextEmbedding`."""
        results = self.run_texts([texts], lambda text: self.pack([self.tokenize(text)]), batch_size)
        embeddings = [embedding for _, embedding in results]
        for text, embedding in zip(texts, embeddings, strict=True):
            check_finite(embedding, text)
        return embeddings
