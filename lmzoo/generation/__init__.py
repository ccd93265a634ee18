"""Choosing one token after another: the rules, the loop, beam search."""

from lmzoo.generation.choose import Rules, make_chooser
from lmzoo.generation.decode import DecodeState, append_tokens, decode, init_state

__all__ = ["DecodeState", "Rules", "append_tokens", "decode", "init_state", "make_chooser"]
