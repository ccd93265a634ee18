"""The generating half of a task: `generate` and `stream`, the same for decoders and seq2seq."""

import types

import numpy as np
import tensorflow as tf

from lmzoo.generation import GenerationOptions, StopStrings
from lmzoo.generation.defaults import check_defaults, check_end_token_ids, merge_options
from lmzoo.generation.generator import left_pad
from lmzoo.generation.graphs import make_graph_key, trace_generate, trace_stream
from lmzoo.generation.prompts import list_prompts
from lmzoo.generation.streaming import cut_pieces
from lmzoo.generation.token_texts import (
    encode_bad_words,
    find_text_start,
    find_token_bytes,
    need_tokenizer,
)

__all__ = ["TextGeneration"]

# Below this size a compiled loop saves less time than XLA takes to compile it.
_PARAMETERS_WORTH_COMPILING = 50_000_000


class TextGeneration:
    """Gives a task `generate` and `stream`.

    The task defines `encode_prompts`, `prefill`, `step` and `max_sequence_length`.
    """

    # Whether a result goes on with its prompt, or answers it.
    prompt_is_text = True
    _generation_defaults = types.MappingProxyType({})
    _end_token_ids = None

    def make_prompt(self, token_ids, padding_mask):
        """The ids that new ones are written behind, and their mask, both (B, P)."""
        return token_ids, padding_mask

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
        """Continues texts.

        Args:
            prompts: str or list of str (without a tokenizer: list of ids, or a list of such lists).
            return_prompt: bool. Whether a result begins with its prompt.
            return_scores: bool. If True, the score of each result comes back too: the sum of the
                log-probabilities of its new tokens; under beam search what it was ranked by.
            jit_compile: bool or "auto". If True, XLA compiles the loop, which takes seconds at the
                first call for each batch size and pair of length buckets (powers of two) and makes
                the rest faster; "auto" does so from 50 million parameters on.
            allow_special: bool or list of str. If True, special tokens written in a prompt, such as
                the sentinels of a pretrained T5, become theirs; of a list these alone do. Not for
                text of strangers. A model that is exported reads all of a prompt as text.
            **options: `max_new_tokens`, `temperature`, `top_p`, ... as
                `lmzoo.generation.GenerationOptions` explains them. One that is not given is that of
                `generation_defaults`.
        Returns:
            str for a str, list for a list; with `num_return_sequences` above 1 a list for each
            prompt. With `return_scores` the pair of that and a float32 array (B,) or (B, n).
        Raises:
            ValueError: if an option or an id is out of its range, or a prompt is longer than the
                context.
            TypeError: if an option is unknown, or it or a prompt is of the wrong type.

        Example:
            lm.generate(["def main("], max_new_tokens=32, temperature=0.8, top_p=0.95, seed=1)
        """
        batch, is_single = self._as_batch(prompts)
        options = self.make_options(options)
        parameters = self._make_parameters(options, len(batch))
        if not batch:
            return ([], np.zeros([0], np.float32)) if return_scores else []
        token_ids, mask = self._encode_batch(batch, allow_special)
        generate = self._get_generate(options, self._wants_xla(jit_compile))
        results, texts = generate(token_ids, mask, parameters)
        outputs = self._to_outputs(results, texts)
        if return_prompt and self.prompt_is_text:
            pairs = zip(batch, outputs, strict=True)
            outputs = [[prompt + one for one in ones] for prompt, ones in pairs]
        scores = results["score"].numpy()
        if options.num_return_sequences == 1:
            outputs, scores = [ones[0] for ones in outputs], scores[:, 0]
        if is_single:
            outputs, scores = outputs[0], scores[0]
        return (outputs, scores) if return_scores else outputs

    def stream(self, prompt, *, return_prompt=False, allow_special=False, **options):
        """Continues one text and gives each piece as soon as it is certain.

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
        if options.num_beams > 1 or options.num_return_sequences > 1:
            raise ValueError(
                "`stream` gives one text as it grows. Received: "
                f"num_beams={options.num_beams}, "
                f"num_return_sequences={options.num_return_sequences}. Use `generate`, or pass "
                "num_beams=1, num_return_sequences=1 where they are defaults."
            )
        if not isinstance(prompt, str):
            raise TypeError(f"`prompt` must be a string. Received: {type(prompt).__name__}.")
        if self.tokenizer is None:
            raise ValueError("`stream` needs a tokenizer. Received: tokenizer=None.")
        return self._stream(prompt, return_prompt, allow_special, options)

    def _stream(self, prompt, return_prompt, allow_special, options):
        if return_prompt and prompt and self.prompt_is_text:
            yield prompt
        yield from cut_pieces(self._grow(prompt, allow_special, options), options.stops)

    def _grow(self, prompt, allow_special, options):
        """All of the new text after each token, and whether it is the last."""
        start, advance = self._get_stream(options)
        token_ids, mask = self._encode_batch([prompt], allow_special)
        parameters = self._make_parameters(options, 1)
        state, parameters = start(token_ids, mask, parameters)
        first = last = int(state.prompt_length)
        is_last = False
        while not is_last:
            count = int(state.slot)
            new = tf.boolean_mask(state.token_ids[0, first:count], state.mask[0, first:count])
            new = new[new < self.tokenizer.vocabulary_size]
            is_last = bool(state.finished[0]) or count == last
            # All of it each time: what a token stands for is up to those before it.
            yield self.detokenize_new(new).numpy().decode("utf-8"), is_last
            last = count
            if not is_last:
                state = advance(state, parameters, tf.constant(last + 1))

    def detokenize_new(self, ids):
        """The texts of new ids, string (B,), or () for (T,): behind a prompt, or of their own."""
        if self.prompt_is_text:
            return self.tokenizer.detokenize_continuation(ids)
        return self.tokenizer.detokenize(ids)

    # What holds where a caller says nothing

    @property
    def generation_defaults(self):
        """Mapping of option -> value that `generate`, `stream` and `export` begin with.

        Assigned as a whole: `lm.generation_defaults = {"num_beams": 4}`. An option that a call is
        given wins.
        """
        return types.MappingProxyType(self._generation_defaults)

    @generation_defaults.setter
    def generation_defaults(self, defaults):
        self._generation_defaults = check_defaults(defaults)

    def merge_options(self, options):
        """dict. The options of a call that is given `options`, with the task's defaults."""
        return merge_options(self._generation_defaults, options)

    def make_options(self, options):
        """`merge_options`, checked, as `GenerationOptions`."""
        return GenerationOptions(**self.merge_options(options))

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
        self._end_token_ids = check_end_token_ids(ids, self.backbone.vocabulary_size)

    def get_config(self):
        config = super().get_config()
        # Left out where nothing is set, as in files of the first version.
        if self._generation_defaults:
            config["generation_defaults"] = dict(self._generation_defaults)
        if self._end_token_ids is not None:
            config["end_token_ids"] = list(self._end_token_ids)
        return config

    # Inputs

    def _as_batch(self, prompts, name="prompts"):
        """A list of prompts, and whether one alone was given."""
        return list_prompts(
            prompts, self.backbone.vocabulary_size, self.tokenizer is not None, name
        )

    def _to_ids(self, texts, allow_special=False):
        """Texts as lists of ids; lists of ids as they are."""
        if self.tokenizer is None or not texts:
            return texts
        return self.tokenizer.tokenize(tf.constant(texts), allow_special).to_list()

    def _encode_batch(self, batch, allow_special=False):
        if allow_special:
            need_tokenizer(self.tokenizer, "allow_special")
        if self.tokenizer is None:
            ids = [row or [self._start_token_id()] for row in batch]
            token_ids, mask = left_pad(tf.ragged.constant(ids, tf.int32))
        else:
            encode = self._get_graph(
                ("encode", repr(allow_special)),
                lambda: tf.function(
                    lambda texts: self.encode_prompts(texts, allow_special),
                    autograph=False,
                    input_signature=[tf.TensorSpec([None], tf.string)],
                ),
            )
            token_ids, mask = encode(tf.constant(batch))
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1).numpy()
        for index, length in enumerate(lengths):
            if length > self.max_sequence_length:
                raise ValueError(
                    f"`prompts` must fit the context of {self.max_sequence_length} tokens. "
                    f"Received: prompt {index} of {length} tokens. Shorten it."
                )
        return token_ids, mask

    def _start_token_id(self):
        if self.tokenizer is None:
            raise ValueError(
                "`prompts` must not be empty where the task has no tokenizer to say how a text "
                "starts. Received: an empty prompt."
            )
        return self.tokenizer.start_token_id

    def _make_parameters(self, options, batch_size):
        parameters = options.make_parameters(batch_size)
        if options.forbidden:
            # Kept as graphs are: to read them, a SentencePiece model is made anew.
            parameters["bad_words"] = self._get_graph(
                ("bad_words", options.forbidden), lambda: self.encode_bad_words(options.forbidden)
            )
        return parameters

    def encode_bad_words(self, words):
        """Bad words as int32 (W, M), filled on the left with -1."""
        return encode_bad_words(self.tokenizer, words)

    def token_bytes(self):
        """list of bytes: what each id stands for; special tokens stand for nothing."""
        return find_token_bytes(self.tokenizer, self.backbone.vocabulary_size)

    def make_stop_strings(self, stops):
        """What watches new text, as `detokenize_new` gives it, for strings that end it."""
        start, tokens = None, self.token_bytes()
        if not self.prompt_is_text:
            start = find_text_start(self.tokenizer, len(tokens))
        return StopStrings(tokens, stops, start)

    # Graphs, each traced once

    def _wants_xla(self, jit_compile):
        if jit_compile == "auto":
            return self.backbone.count_params() >= _PARAMETERS_WORTH_COMPILING
        return bool(jit_compile)

    def _get_generate(self, options, jit_compile):
        return self._get_graph(
            ("generate", make_graph_key(self, options), jit_compile),
            lambda: trace_generate(self, options, jit_compile),
        )

    def _get_stream(self, options):
        return self._get_graph(
            ("stream", make_graph_key(self, options)), lambda: trace_stream(self, options)
        )

    def _to_outputs(self, results, texts):
        if self.tokenizer is not None:
            return [[text.decode("utf-8") for text in row] for row in texts.numpy()]
        token_ids, masks = results["token_ids"].numpy(), results["mask"].numpy()
        return [
            [row[mask].tolist() for row, mask in zip(rows, row_masks, strict=True)]
            for rows, row_masks in zip(token_ids, masks, strict=True)
        ]
