"""Text that answers another text."""

from ..engine import Engine
from ..generation.decoder import Decoder
from .text_generation import TextGeneration

__all__ = ["Seq2SeqLM"]


class Seq2SeqLM(TextGeneration):
    """Writes a text that answers another one; see `lmzoo.tasks.Seq2SeqLM`.

    Attributes:
        prefix: str. What stands before every source.
        start_token_id: int. What the decoder begins with.
    """

    is_encoder_decoder = True

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        options = self.manifest.task_options
        self.prefix, self.start_token_id = options["prefix"], options["start_token_id"]
        self.allow_special = options["allow_special"]
        if self.start_token_id >= self.manifest.vocabulary_size:
            raise ValueError(
                f"`start_token_id` must be below {self.manifest.vocabulary_size}. Received: "
                f"start_token_id={self.start_token_id}."
            )
        self._decoder = Decoder(Engine(file, num_threads))

    def encode_prompt(self, text, allow_special):
        allowed = allow_special or list(self.allow_special)
        ids = self.tokenizer.tokenize(self.prefix + text, allowed)
        return [*ids, self.tokenizer.end_token_id]

    def begin(self, ids):
        text = self._decoder.start()
        text.encode(ids)
        return text, [self.start_token_id]
