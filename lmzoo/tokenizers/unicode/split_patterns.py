"""The pre-tokenizations that are known: each by name, as files write it, and as a graph."""

from lmzoo.tokenizers.unicode.cased_pre_tokenizer import CasedPreTokenizer
from lmzoo.tokenizers.unicode.gpt2_pre_tokenizer import DigitsPreTokenizer, GPT2PreTokenizer
from lmzoo.tokenizers.unicode.llama_pre_tokenizer import LlamaPreTokenizer

__all__ = ["NAMES", "PATTERNS", "check_pattern", "make_splitter"]

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_RUNS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# cl100k's possessive quantifiers, and its single line end, do not change what matches.
_POSSESSIVE = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*%s|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# What tokenizer.json calls them. They are compared and never run: each has a graph of its own.
PATTERNS = {
    "gpt2": _GPT2,
    "llama3": _RUNS % r"\p{N}{1,3}",
    "qwen2": _RUNS % r"\p{N}",
    "tekken": _CASED % ("", "", r"\p{N}"),
    "gpt4o": _CASED % (_CONTRACTION, _CONTRACTION, r"\p{N}{1,3}"),
    # Not a regular expression: the pre-tokenizer `Digits` before that of GPT-2.
    "gpt2_digits": None,
}
# The name of each regular expression that is known.
NAMES = {regex: name for name, regex in PATTERNS.items() if regex is not None}
NAMES[_POSSESSIVE] = "llama3"
_SPLITTERS = {
    "gpt2": GPT2PreTokenizer,
    "gpt2_digits": DigitsPreTokenizer,
    "llama3": lambda: LlamaPreTokenizer(num_digits=3),
    "qwen2": lambda: LlamaPreTokenizer(num_digits=1),
    "tekken": lambda: CasedPreTokenizer(num_digits=1, contractions=False),
    "gpt4o": lambda: CasedPreTokenizer(num_digits=3, contractions=True),
}


def check_pattern(pattern):
    """Refuses a name that is not one of a pre-tokenization.

    Args:
        pattern: str.
    Returns:
        str, `pattern`.
    Raises:
        ValueError: if there is no such pattern.
    """
    if not isinstance(pattern, str) or pattern not in PATTERNS:
        raise ValueError(f"`pattern` must be one of {list(PATTERNS)}. Received: {pattern!r:.80}.")
    return pattern


def make_splitter(pattern):
    """Makes the graph of a pre-tokenization.

    Args:
        pattern: str. A key of `PATTERNS`.
    Returns:
        tf.Module with `split(code_points, row_splits)`, as `GPT2PreTokenizer` has it.
    """
    return _SPLITTERS[pattern]()
