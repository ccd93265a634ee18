"""Choosing one token after another: the rules, the loop, beam search."""

from lmzoo.generation.beam import BeamResults, best_beams, init_beams, make_beam_chooser
from lmzoo.generation.loop import DecodeState, append_tokens, decode, init_state
from lmzoo.generation.options import GenerationOptions
from lmzoo.generation.selection import Rules, make_chooser
from lmzoo.generation.stop_strings import StopStrings, TextStart

__all__ = [
    "BeamResults",
    "DecodeState",
    "GenerationOptions",
    "Rules",
    "StopStrings",
    "TextStart",
    "append_tokens",
    "best_beams",
    "decode",
    "init_beams",
    "init_state",
    "make_beam_chooser",
    "make_chooser",
]
