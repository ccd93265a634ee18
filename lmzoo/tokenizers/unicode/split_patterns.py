"""The patterns that split text into words, each by name, as files write it, and as a graph."""

from lmzoo.tokenizers.unicode.gpt2_pre_tokenizer import GPT2PreTokenizer
from lmzoo.tokenizers.unicode.llama_pre_tokenizer import LlamaPreTokenizer

__all__ = ["NAMES", "PATTERNS", "check_pattern", "make_splitter"]

_RUNS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What tokenizer.json calls them. They are compared and never run: each has a splitter of its own.
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": _RUNS % r"\p{N}{1,3}",
    "qwen2": _RUNS % r"\p{N}",
}
# The name of each regex that is known.
NAMES = {regex: name for name, regex in PATTERNS.items()}


def check_pattern(pattern):
    """Refuses a name that is none.

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
    """Makes the graph of a pattern.

    Args:
        pattern: str. A key of `PATTERNS`.
    Returns:
        GPT2PreTokenizer.
    """
    if pattern == "gpt2":
        return GPT2PreTokenizer()
    return LlamaPreTokenizer(3 if pattern == "llama3" else 1)
