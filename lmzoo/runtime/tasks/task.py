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


def list_texts(texts, name="texts"):
    """Texts as a list of str.

    Args:
        texts: list of str, or an array of them.
        name: str. The argument's name, for messages.
    Raises:
        TypeError: if they are no list, or one is not a str.
        ValueError: if one is not valid Unicode.
    """
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"`{name}` must be a string or a list of strings. Received: {name}={texts!r:.60}."
        )
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: {text!r:.60} at index "
                f"{index}."
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"`{name}` must hold valid Unicode. Received: {text!r:.60} at index {index}, with "
                "a lone surrogate."
            ) from error
    # NumPy's str is a str of its own.
    return [str(text) for text in texts]
