"""What a task must have to generate: the protocol between `lmzoo.tasks` and this room."""

from typing import Any, Protocol

__all__ = ["GenerativeTask"]


class GenerativeTask(Protocol):
    """A model that continues or answers prompts, token by token.

    Generation reads the attributes and calls the four methods. It asks nothing else of a task, and
    a task calls nothing of it but from `generate` and `stream`. The methods run while a graph is
    traced, so they hold TensorFlow ops alone. Shapes: B prompts, R rows (B times the results or
    beams of a prompt), P prompt length, T new tokens read, S slots of the cache, V vocabulary.

    Attributes:
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None for a task that works on ids.
        backbone: has `vocabulary_size` (int, V), `compute_dtype` (str) and `count_params()`.
        max_sequence_length: int. How many tokens a prompt, and a prompt with its new tokens, may
            have.
        end_token_ids: tuple of int. Tokens that end a text.
        generation_defaults: mapping of option to value, for options that a call does not give.
        is_encoder_decoder: bool. If False, new tokens continue the prompt. If True, they are a text
            of their own.
        graphs: dict. Traced functions are kept in it.
        quantization: str or None. "int8" or "int4" if its weights are quantized.
        quantized_matrices: sequence of `lmzoo.layers.quantized.QuantizedMatrix`. These weights.
        encode_settings: tuple. What `encode_prompts` reads of the task and a user may assign anew.
        decode_settings: tuple. The same for the other methods and `max_sequence_length`.
    """

    tokenizer: Any
    backbone: Any
    max_sequence_length: int
    end_token_ids: tuple
    generation_defaults: Any
    is_encoder_decoder: bool
    graphs: dict
    quantization: str | None
    quantized_matrices: Any
    encode_settings: tuple
    decode_settings: tuple

    def encode_prompts(self, texts, allow_special=False):
        """Texts, string (B,), to left-padded ids int32 (B, P) and their padding mask bool (B, P).

        `allow_special` is a bool or a list of str: which special tokens a prompt may spell.
        """

    def make_prompt(self, token_ids, padding_mask):
        """The tokens before the first new one, int32 (B, P'), and their mask, bool (B, P').

        For a decoder they are the prompt itself, for an encoder-decoder the start token.
        """

    def prefill(self, token_ids, padding_mask, num_slots):
        """Reads the prompts: the logits float (B, V) of the next token, and the cache.

        The cache is a nest of tensors with rows first, and has room for `num_slots` tokens.
        """

    def step(self, token_ids, padding_mask, cache, slot):
        """Reads tokens (R, T) into the cache from `slot` on: the next logits (R, V), the cache."""
