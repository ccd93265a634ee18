"""What all tasks of exported files share."""

import functools

from ..engine import check_threads
from ..tokenization import make_tokenizer

__all__ = ["Task"]


class Task:
    """A task of an exported file.

    Args:
        file: ModelFile.
        num_threads: int or None. How many processors a run uses; None for all.
    Attributes:
        file: ModelFile. Where the model lies, and its signatures.
        manifest: Manifest. What the file says of itself.
        task: str. The kind of task, such as "CausalLM".
        num_threads: int.
    """

    def __init__(self, file, num_threads=None):
        self.file, self.manifest, self.task = file, file.manifest, file.manifest.task
        self.num_threads = check_threads(num_threads)
        spec = self.manifest.tokenizer
        if spec is not None and spec.vocabulary_size > self.manifest.vocabulary_size:
            raise ValueError(
                "The tokenizer of a file must have no more tokens than the model. Received: "
                f"{spec.vocabulary_size} tokens for {self.manifest.vocabulary_size} ids."
            )

    def __repr__(self):
        return f"<{self.task} of {str(self.file.path)!r}>"

    @functools.cached_property
    def tokenizer(self):
        """The Tokenizer of the file, or None for a task on ids."""
        spec = self.manifest.tokenizer
        return None if spec is None else make_tokenizer(spec, self.file.tokenizer)

    def __getattr__(self, name):
        # Called for names that do not exist.
        known = {
            "generate": "CausalLM or Seq2SeqLM",
            "stream": "CausalLM or Seq2SeqLM",
            "classify": "TextClassifier or ZeroShotClassifier",
            "score": "TextRegressor",
            "tag": "TokenClassifier",
            "answer": "QuestionAnswerer",
            "embed": "TextEmbedder",
            "fill": "MaskedLM",
        }
        if name in known:
            raise AttributeError(
                f"`{name}` is a method of a {known[name]}. Received: a file of the task "
                f"{self.task}."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
