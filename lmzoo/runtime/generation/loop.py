"""The decode loop of one row: step, select, append."""

import math

from .selection import RowOptions, select_token
from .stop_strings import StopFinder

__all__ = ["decode_row", "make_row_options"]

# The options that are one number for each prompt.
_NUMBERS = (
    *("max_new_tokens", "min_new_tokens", "temperature", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "presence_penalty", "seed"),
)


def make_row_options(options, batch_size, end_token_ids, bad_words):
    """The options of each row.

    Args:
        options: GenerationOptions without beams.
        batch_size: int. B, the number of prompts.
        end_token_ids: tuple of int.
        bad_words: tuple of tuples of int.
    Returns:
        list of B lists of RowOptions, one for each result of the prompt.
    Raises:
        ValueError: if an option has not one number for each prompt.
    """
    numbers = {name: options.list_numbers(name, batch_size) for name in _NUMBERS}
    # With one seed for all, a prompt draws by its index; with its own, by nothing else.
    has_own_seeds = isinstance(options.seed, list | tuple)
    count, rows = options.num_return_sequences, []
    for index in range(batch_size):
        stream = 0 if has_own_seeds else index
        values = {name: numbers[name][index] for name in _NUMBERS}
        rows.append(
            [
                RowOptions(
                    **values,
                    rng_stream=stream * count + result,
                    no_repeat_ngram_size=int(options.no_repeat_ngram_size),
                    end_token_ids=tuple(end_token_ids),
                    bad_words=bad_words,
                )
                for result in range(count)
            ]
        )
    return rows


def decode_row(text, prompt, options, longest, stops=(), give_bytes=None):
    """Continues a row, token by token.

    Args:
        text: Text, which has read all tokens of `prompt` but the last.
        prompt: list of int, not empty.
        options: RowOptions.
        longest: int. How many tokens the row may have, prompt included.
        stops: tuple of str.
        give_bytes: callable, int -> bytes; for stops.
    Yields:
        (int, float, bool): a new token, its log-probability, and whether it is the last.
    Raises:
        ValueError: if a log-probability is not finite.
    """
    limit = min(options.max_new_tokens, longest - len(prompt))
    finder = StopFinder(stops, give_bytes) if stops else None
    row = list(prompt)
    for num_new in range(limit):
        token_id, log_prob = select_token(options, text.step(row[-1]), row, num_new)
        if not math.isfinite(log_prob):
            raise FloatingPointError(log_prob)
        row.append(token_id)
        is_last = num_new + 1 == limit or token_id in options.end_token_ids
        if finder is not None and finder.find(token_id):
            is_last = True
        yield token_id, log_prob, is_last
        if is_last:
            return
