"""Choosing one token after another: the rules, the loop, beam search."""

from lmzoo.generation.choose import Rules, make_chooser
from lmzoo.generation.decode import DecodeState, append_tokens, decode, init_state
from lmzoo.generation.options import GenerationOptions
from lmzoo.generation.stop import StopStrings

__all__ = [
    "DecodeState",
    "GenerationOptions",
    "Rules",
    "StopStrings",
    "append_tokens",
    "decode",
    "init_state",
    "make_chooser",
]
