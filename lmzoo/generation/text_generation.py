"""`generate` and `stream` of a task."""

import numbers
import types

from lmzoo.generation.options import GenerationOptions
from lmzoo.generation.pipeline import generate_texts
from lmzoo.generation.streaming import stream_text
from lmzoo.runtime.generation.merging import check_defaults, merge_options

__all__ = ["TextGeneration"]


class TextGeneration:
    """Gives a task `generate` and `stream`: a mixin of `CausalLM` and `Seq2SeqLM`.

    With it the task keeps `lmzoo.generation.protocol.GenerativeTask`. The class that mixes it in
    defines `encode_prompts`, `make_prompt`, `prefill`, `step` and `max_sequence_length`.
    """

    is_encoder_decoder = False
    encode_settings = ()
    decode_settings = ()
    _generation_defaults = types.MappingProxyType({})
    _end_token_ids = None

    def generate(
        self,
        prompts,
        *,
        return_prompt=True,
        return_scores=False,
        jit_compile="auto",
        allow_special=False,
        **options,
    ):
        """Generates texts: they continue the prompts, or of a `Seq2SeqLM` answer them.

        Args:
            prompts: str or list of str (without a tokenizer: list of ids, or a list of such lists).
            return_prompt: bool. Whether a result begins with its prompt.
            return_scores: bool. If True, the score of each result is returned too: the sum of the
                log-probabilities of its new tokens, or with beams the score it was ranked by.
            jit_compile: bool or "auto". If True, XLA compiles the decode loop. That takes seconds
                at the first call for each batch size and pair of length buckets (powers of two),
                and later calls are mostly faster. "auto" never compiles models of less than 50
                million parameters. For others it is measured once on each machine; see
                `lmzoo.generation.engine_choice`.
            allow_special: bool or list of str. Whether special tokens that a prompt spells, such as
                the sentinels of a pretrained T5, become special ids: all of them, or those in the
                list. Leave it False for text of strangers. An exported model reads a prompt as
                text.
            **options: fields of `lmzoo.generation.GenerationOptions`, such as `max_new_tokens`,
                `temperature` and `top_p`. Those not given are taken from `generation_defaults`.
        Returns:
            str for a str, list for a list; with `num_return_sequences` above 1 a list for each
            prompt. With `return_scores` the pair of that and a float32 array (B,) or (B, n).
        Raises:
            ValueError: if an option or an id is out of its range, a prompt is longer than the
                context, or the model's scores are not finite.
            TypeError: if an option is unknown, or it or a prompt is of the wrong type.

        Example:
            lm.generate(["def main("], max_new_tokens=32, temperature=0.8, top_p=0.95, seed=1)
        """
        return generate_texts(
            self,
            prompts,
            self.make_options(options),
            return_prompt,
            return_scores,
            jit_compile,
            allow_special,
        )

    def stream(self, prompt, *, return_prompt=False, allow_special=False, **options):
        """Generates one text and yields each piece as soon as it is certain.

        A piece ends between characters, and not inside what may become a stop string.

        Args:
            prompt: str.
            return_prompt: bool. Whether the first piece is the prompt.
            allow_special: as for `generate`.
            **options: as for `generate`; no beams and one result.
        Yields:
            str, never empty.
        Raises:
            ValueError: as `generate`, and if more than one result is asked for.
        """
        options = self.make_options(options)
        return stream_text(self, prompt, options, return_prompt, allow_special)

    def make_options(self, options):
        """The options of a call that is given `options`, with the task's defaults.

        Args:
            options: dict.
        Returns:
            GenerationOptions.
        """
        return GenerationOptions(**merge_options(self._generation_defaults, options))

    @property
    def generation_defaults(self):
        """Mapping of option to value that `generate`, `stream` and `export` begin with.

        Assigned as a whole: `lm.generation_defaults = {"num_beams": 4}`. An option that a call is
        given wins.
        """
        return types.MappingProxyType(self._generation_defaults)

    @generation_defaults.setter
    def generation_defaults(self, defaults):
        self._generation_defaults = check_defaults(defaults)

    @property
    def end_token_ids(self):
        """tuple of int. The tokens that end a text; the tokenizer's where none are set."""
        if self._end_token_ids is not None:
            return self._end_token_ids
        if self.tokenizer is None or self.tokenizer.end_token_id is None:
            return ()
        return (self.tokenizer.end_token_id,)

    @end_token_ids.setter
    def end_token_ids(self, ids):
        self._end_token_ids = _check_end_token_ids(ids, self.backbone.vocabulary_size)

    @property
    def graphs(self):
        """dict. The traced functions of this task."""
        return self._graphs

    def get_config(self):
        config = super().get_config()
        # Left out where nothing is set, as in files of the first version.
        if self._generation_defaults:
            config["generation_defaults"] = dict(self._generation_defaults)
        if self._end_token_ids is not None:
            config["end_token_ids"] = list(self._end_token_ids)
        return config


def _check_end_token_ids(ids, vocabulary_size):
    """A tuple of ids, or None.

    Raises:
        TypeError: if they are not a list of ints.
        ValueError: if one is none of the vocabulary.
    """
    if ids is None:
        return None
    if not hasattr(ids, "__iter__"):
        raise TypeError(
            "`end_token_ids` must be a list of ints, or None. Received: "
            f"end_token_ids={ids!r:.80}. Write [{ids!r:.80}]."
        )
    ids = tuple(ids)
    for token in ids:
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            raise TypeError(f"`end_token_ids` must hold ints. Received: {token!r:.80}.")
        if not 0 <= token < vocabulary_size:
            raise ValueError(
                f"`end_token_ids` must be from 0 to {vocabulary_size - 1}. Received: {token}."
            )
    return tuple(dict.fromkeys(map(int, ids)))
