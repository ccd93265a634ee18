"""A decoder with its cache: prompts are read in chunks, then one token a step.

Shapes: N tokens of a chunk, S slots of the cache, W slots of a window, V vocabulary.
"""

import functools
import re
import threading

import numpy as np

from .caches import Caches

__all__ = ["Decoder", "plan_chunks"]

# A chunk costs its tokens, and as much as so many more for reading the weights once.
_CHUNK_COST = 8


class Decoder:
    """The signatures `prefill_N` and `decode` of a file, and the caches in use.

    A cache is one buffer a tensor, which is both input and output of every signature.

    Args:
        engine: Engine.
    Raises:
        ValueError: if there is no `decode`, or its caches are not of one number of slots.
    """

    def __init__(self, engine):
        self._engine = engine
        signatures = engine.signatures
        if "decode" not in signatures:
            raise ValueError(
                "A decoder must have the signature 'decode'. Received: signatures "
                f"{', '.join(signatures)!s:.200}."
            )
        inputs, outputs = signatures["decode"]
        for name, tensors in (("tokens", inputs), ("input_pos", inputs), ("logits", outputs)):
            if name not in tensors:
                raise ValueError(
                    f"The signature 'decode' must have `{name}`. Received: "
                    f"{', '.join(tensors)!s:.200}."
                )
        self._caches = [name for name in inputs if name in outputs]
        # Of an encoder-decoder: what a step reads of its source.
        self._constants = [name for name in inputs if name not in (*outputs, "tokens", "input_pos")]
        prefills = {length: f"prefill_{length}" for length in _find_numbers("prefill", signatures)}
        windows = {number: f"decode_{number}" for number in _find_numbers("decode", signatures)}
        # How many slots the caches of each signature have.
        self._slots = {
            name: self._count_slots(signatures[name][0])
            for name in ["decode", *prefills.values(), *windows.values()]
        }
        self.num_slots = self._slots["decode"]
        if any(self._slots[name] != self.num_slots for name in prefills.values()):
            raise ValueError(
                "Prefills must have the caches of 'decode'. Received: slots by signature "
                f"{self._slots!r:.200}."
            )
        self.prefill_lengths = tuple(sorted(prefills))
        # What each window is called, the shortest first; `decode` attends to all slots.
        windows[self.num_slots] = "decode"
        self.windows = dict(sorted(windows.items()))
        self._free, self._lock = [], threading.Lock()

    def _count_slots(self, inputs):
        counts = {inputs[name].shape[2:3] for name in self._caches if name in inputs}
        if len(counts) != 1 or not all(counts) or not set(self._caches) <= set(inputs):
            raise ValueError(
                "The caches of a decoder must be (1, heads, slots, size), with one number of "
                f"slots. Received: {sorted(counts)}."
            )
        ((count,),) = counts
        return count

    def start(self):
        """A Text with a cache of its own; `close` gives the cache back for the next one."""
        with self._lock:
            caches = self._free.pop() if self._free else None
        if caches is None:
            caches = Caches(self._engine, self._caches, self._constants, self._slots)
        caches.forget_all()
        return Text(self, caches)

    def find_window(self, length):
        """The shortest window that holds so many tokens, or else the longest one: int."""
        return next((size for size in self.windows if length <= size), self.num_slots)

    def give_back(self, caches):
        """Keeps a cache for the next text."""
        with self._lock:
            self._free.append(caches)


class Text:
    """A text that is read and continued.

    Args:
        decoder: Decoder.
        caches: the caches of this text alone.
    Attributes:
        position: int. How many tokens have been read.
    """

    def __init__(self, decoder, caches):
        self._decoder, self._caches = decoder, caches
        self.position = self._source_length = 0

    def go_back(self, position):
        """Forgets the tokens from `position` on."""
        self.position = position
        self._caches.forget(position)

    def encode(self, token_ids):
        """Reads the source of an encoder-decoder.

        Args:
            token_ids: list of int.
        Raises:
            ValueError: if it is longer than the encoder takes.
        """
        self._source_length = len(token_ids)
        window = self._decoder.find_window(len(token_ids))
        if len(token_ids) > window:
            raise ValueError(
                f"A source must have at most {window} tokens. Received: {len(token_ids)}."
            )
        padded, mask = np.zeros([1, window], np.int32), np.zeros([1, window], bool)
        padded[0, : len(token_ids)], mask[0, : len(token_ids)] = token_ids, True
        decode = self._decoder.windows[window]
        signature = decode.replace("decode", "encode")
        self._caches.encode(signature, decode, {"token_ids": padded, "padding_mask": mask})

    def read(self, token_ids):
        """Reads tokens into the cache, in chunks.

        Args:
            token_ids: list of int.
        Raises:
            ValueError: if they do not fit the cache.
        """
        lengths = self._decoder.prefill_lengths
        if not lengths:
            for token_id in token_ids:
                self.step(token_id)
            return
        done = 0
        for length in plan_chunks(len(token_ids), lengths):
            chunk = token_ids[done : done + length]
            # What pads the last chunk is written over before a token attends to it.
            padded = np.zeros([1, length], np.int32)
            padded[0, : len(chunk)] = chunk
            self._run(f"prefill_{length}", padded, len(chunk))
            self.position += len(chunk)
            done += len(chunk)

    def step(self, token_id):
        """Reads one token.

        Args:
            token_id: int.
        Returns:
            float32 array (V,): the logits of the next one.
        Raises:
            ValueError: if the cache is full.
        """
        windows = self._decoder.windows
        window = self._decoder.find_window(max(self.position + 1, self._source_length))
        session = self._run(windows[window], np.array([[token_id]], np.int32), 1)
        self.position += 1
        return session.read("logits").reshape(-1)

    def _run(self, signature, tokens, count):
        first, slots, length = self.position, self._decoder.num_slots, tokens.shape[1]
        # LiteRT would move what does not fit to the last slots, without a word.
        if not 0 <= first <= slots - length:
            raise ValueError(
                f"A text must fit the cache of {slots} tokens. Received: {length} tokens at "
                f"position {first}."
            )
        return self._caches.run(signature, tokens, first, count)

    def close(self, is_sound=True):
        """Ends the text; a cache that may hold numbers that are not finite is not used again."""
        if self._caches is not None and is_sound:
            self._decoder.give_back(self._caches)
        self._caches = None


@functools.lru_cache(maxsize=1024)
def plan_chunks(count, lengths):
    """The lengths of the chunks in which so many tokens are read, with the least work.

    Args:
        count: int. Tokens to read.
        lengths: tuple of int, ascending.
    Returns:
        tuple of int, descending. Together at least `count`; the last one may be padded.
    """
    # By the number of tokens left: (cost, first chunk).
    best = [(0, 0)]
    for left in range(1, count + 1):
        best.append(min((best[max(left - n, 0)][0] + n + _CHUNK_COST, -n) for n in lengths))
    chunks, left = [], count
    while left > 0:
        chunks.append(-best[left][1])
        left -= chunks[-1]
    return tuple(sorted(chunks, reverse=True))


def _find_numbers(name, signatures):
    matches = (re.fullmatch(rf"{name}_(\d{{1,8}})", key) for key in signatures)
    return [int(match[1]) for match in matches if match]
