"""`generate` and `stream`, with the arguments and results of `lmzoo.tasks`."""

import numpy as np

from ..generation.loop import decode_row, make_row_options
from ..generation.merging import check_defaults, merge_options
from ..generation.options import GenerationOptions
from ..generation.stop_strings import cut_at_stops
from ..prompts import list_ids, list_texts
from ..tokenization.streaming import StreamingDetokenizer
from .task import Task

__all__ = ["TextGeneration"]


class TextGeneration(Task):
    """A task that writes text.

    A subclass gives `encode_prompt(text, allow_special)`, to a list of ids, and `begin(ids)`, to
    (Text, list of int): the row before its first new token, of which the Text has read all but the
    last token.
    """

    # Whether new tokens are a text of their own; if not, they continue the prompt.
    is_encoder_decoder = False

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self.generation_defaults = check_defaults(self.manifest.generation_defaults)
        self.end_token_ids = self.manifest.end_token_ids
        self.max_sequence_length = self.manifest.max_sequence_length
        self._bad_words = {}

    def generate(
        self, prompts, *, return_prompt=True, return_scores=False, allow_special=False, **options
    ):
        """Generates texts: they continue the prompts, or of a `Seq2SeqLM` answer them.

        Args:
            prompts: str or list of str (without a tokenizer: list of ids, or a list of such lists).
            return_prompt: bool. Whether a result begins with its prompt.
            return_scores: bool. If True, the score of each result is returned too: the sum of the
                log-probabilities of its new tokens.
            allow_special: bool or list of str. Whether special tokens that a prompt spells become
                special ids: all of them, or those in the list.
            **options: fields of `GenerationOptions`, such as `max_new_tokens`, `temperature` and
                `top_p`; no beams. Those not given are the file's.
        Returns:
            str for a str, list for a list; with `num_return_sequences` above 1 a list for each
            prompt. With `return_scores` the pair of that and a float32 array (B,) or (B, n).
        Raises:
            ValueError: if an option or an id is out of its range, a prompt is longer than the
                context, or the model's scores are not finite.
            TypeError: if an option is unknown, or it or a prompt is of the wrong type.
        """
        options = self.make_options(options)
        prompts, is_single = self._list_prompts(prompts)
        rows_options = self._make_row_options(options, len(prompts))
        rows = self._encode(prompts, allow_special)
        outputs, scores = [], np.zeros([len(rows), options.num_return_sequences], np.float32)
        for index, (ids, results) in enumerate(zip(rows, rows_options, strict=True)):
            made = self._run(index, ids, results, options)
            scores[index] = [score for _, score in made]
            found = [self._to_output(new, options) for new, _ in made]
            if return_prompt and not self.is_encoder_decoder:
                found = [prompts[index] + one for one in found]
            outputs.append(found)
        if options.num_return_sequences == 1:
            outputs, scores = [found[0] for found in outputs], scores[:, 0]
        if is_single:
            outputs, scores = outputs[0], scores[0]
        return (outputs, scores) if return_scores else outputs

    def stream(self, prompt, *, return_prompt=False, allow_special=False, **options):
        """Generates one text and yields each piece as soon as it is certain.

        A piece ends between characters, and not inside what may become a stop string.

        Args:
            prompt: str.
            return_prompt: bool. Whether the first piece is the prompt.
            allow_special, **options: as for `generate`; one result.
        Returns:
            iterator of str, never empty.
        Raises:
            TypeError, ValueError: as `generate`, and if more than one result is asked for.
        """
        options = self.make_options(options)
        if options.num_return_sequences > 1:
            raise ValueError(
                "`stream` gives one text as it grows. Received: "
                f"num_return_sequences={options.num_return_sequences}. Use `generate`, or pass "
                "num_return_sequences=1 where it is a default."
            )
        if not isinstance(prompt, str):
            raise TypeError(f"`prompt` must be a string. Received: {type(prompt).__name__}.")
        if self.manifest.tokenizer is None:
            raise ValueError("`stream` needs a tokenizer. Received: tokenizer=None.")
        list_texts([prompt], "prompt")
        ((row_options,),) = self._make_row_options(options, 1)
        (ids,) = self._encode([prompt], allow_special)
        given = prompt if return_prompt and not self.is_encoder_decoder else ""
        return self._stream(given, ids, row_options, options)

    def _stream(self, given, ids, row_options, options):
        if given:
            yield given
        detokenizer = StreamingDetokenizer(self._detokenize, options.stop_strings)
        new = []
        for token_id, _, is_last in self._decode(0, ids, row_options, options):
            if token_id < self.tokenizer.vocabulary_size:
                new.append(token_id)
            if piece := detokenizer.update(new, is_last):
                yield piece
            if detokenizer.finished:
                return

    def make_options(self, options):
        """The options of a call that is given `options`, with the file's defaults.

        Args:
            options: dict.
        Returns:
            GenerationOptions.
        Raises:
            ValueError: if it asks for beams, or as `GenerationOptions`.
        """
        made = GenerationOptions(**merge_options(self.generation_defaults, options))
        if made.num_beams > 1:
            raise ValueError(
                "`num_beams` must be 1 in the runtime, which has no beam search. Received: "
                f"num_beams={made.num_beams}. A SavedModel of the task has it."
            )
        if made.stop_strings:
            self._need_tokenizer("stop_strings")
            self.tokenizer.stream_bytes(True)
        return made

    def encode_prompt(self, text, allow_special):
        """The ids of a prompt, a str."""
        raise NotImplementedError

    def begin(self, ids):
        """(Text, row): the row before its first new token; the Text lacks its last one."""
        raise NotImplementedError

    def _run(self, index, ids, results, options):
        """(new ids, score) of each result of a prompt, which is read once."""
        text, row = self.begin(ids)
        is_sound, start, made = False, text.position, []
        try:
            for row_options in results:
                text.go_back(start)
                new, score = [], np.float32(0)
                for token_id, log_prob, _ in self._continue(index, text, row, row_options, options):
                    new.append(token_id)
                    score += np.float32(log_prob)
                made.append((new, score))
            is_sound = True
        finally:
            text.close(is_sound)
        return made

    def _decode(self, index, ids, row_options, options):
        """The steps of one result of a prompt, as `decode_row` gives them."""
        text, row = self.begin(ids)
        is_sound = False
        try:
            yield from self._continue(index, text, row, row_options, options)
            is_sound = True
        except GeneratorExit:
            # Nobody wants more of it: what the cache holds is finite so far.
            is_sound = True
            raise
        finally:
            text.close(is_sound)

    def _continue(self, index, text, row, row_options, options):
        stops, give_bytes = options.stop_strings, None
        if stops:
            size = self.tokenizer.vocabulary_size
            give = self.tokenizer.stream_bytes(not self.is_encoder_decoder)

            def give_bytes(token_id):
                return give(token_id) if token_id < size else b""

        try:
            yield from decode_row(
                text, row, row_options, self.max_sequence_length, stops, give_bytes
            )
        except FloatingPointError as error:
            raise ValueError(
                f"The model's scores must be finite. Received: {error} for prompt {index}. Its "
                "weights have probably diverged in training, or overflow in float16."
            ) from error

    def _to_output(self, new, options):
        """The result of new tokens: a str, or without a tokenizer the list of ids."""
        if self.tokenizer is None:
            return new
        # A model may have more ids than the tokenizer has tokens; these have no text.
        known = [token_id for token_id in new if token_id < self.tokenizer.vocabulary_size]
        return cut_at_stops(self._detokenize(known), options.stop_strings)

    def _detokenize(self, ids):
        if self.is_encoder_decoder:
            return self.tokenizer.detokenize(ids)
        return self.tokenizer.detokenize_continuation(ids)

    def _make_row_options(self, options, batch_size):
        words = options.bad_words
        if words and words not in self._bad_words:
            self._need_tokenizer("bad_words")
            tokenizer = self.tokenizer
            # At the start of a text, behind a space, and inside a word.
            forms = [tokenizer.tokenize(word) for word in words]
            forms += [tokenizer.tokenize(f" {word}") for word in words]
            forms += [tokenizer.tokenize_continuation(word) for word in words]
            self._bad_words = {words: tuple(dict.fromkeys(tuple(ids) for ids in forms if ids))}
        bad_words = self._bad_words[words] if words else ()
        return make_row_options(options, batch_size, self.end_token_ids, bad_words)

    def _need_tokenizer(self, name):
        if self.tokenizer is None:
            raise ValueError(f"`{name}` needs a task with a tokenizer. Received: tokenizer=None.")

    def _list_prompts(self, prompts):
        """The prompts as a list, and whether one alone was given."""
        if self.manifest.tokenizer is not None:
            is_single = isinstance(prompts, str)
            return list_texts([prompts] if is_single else prompts, "prompts"), is_single
        return list_ids(prompts, self.manifest.vocabulary_size)

    def _encode(self, prompts, allow_special):
        """The ids of each prompt, checked."""
        if allow_special:
            self._need_tokenizer("allow_special")
        rows = prompts
        if self.tokenizer is not None:
            rows = [self.encode_prompt(text, allow_special) for text in prompts]
        for index, ids in enumerate(rows):
            if not ids:
                raise ValueError(
                    "`prompts` must not be empty where the task has no tokenizer to say how a text "
                    "starts. Received: an empty prompt."
                )
            if len(ids) > self.max_sequence_length:
                raise ValueError(
                    f"`prompts` must fit the context of {self.max_sequence_length} tokens. "
                    f"Received: prompt {index} of {len(ids)} tokens. Shorten it."
                )
        return rows
