"""Completing text."""

from ..engine import Engine
from ..generation.decoder import Decoder
from .text_generation import TextGeneration

__all__ = ["CausalLM"]


class CausalLM(TextGeneration):
    """Predicts each next token of a text, and so completes it; see `lmzoo.tasks.CausalLM`."""

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self._decoder = Decoder(Engine(file, num_threads))
        if self._decoder.num_slots < self.max_sequence_length:
            raise ValueError(
                f"The cache of a file must hold {self.max_sequence_length} tokens. Received: "
                f"{self._decoder.num_slots} slots."
            )

    def encode_prompt(self, text, allow_special):
        return self.tokenizer.tokenize_prompt(text, allow_special)

    def begin(self, ids):
        text = self._decoder.start()
        text.read(ids[:-1])
        return text, ids
