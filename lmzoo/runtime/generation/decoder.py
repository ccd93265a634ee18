"""A decoder with its cache: prompts are read in chunks, then one token a step.

Shapes: N tokens of a chunk, S slots of the cache, W slots of a window, V vocabulary.
"""

import functools
import re
import threading

import numpy as np

__all__ = ["Decoder", "plan_chunks"]

# A chunk costs its tokens, and as much as so many more for reading the weights once.
_CHUNK_COST = 16


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
        self._caches = [name for name in inputs if name in outputs]
        slots = {inputs[name].shape[2:3] for name in self._caches}
        if len(slots) != 1 or not all(slots):
            raise ValueError(
                "The caches of a decoder must be (1, heads, slots, size), with one number of "
                f"slots. Received: {sorted(slots)}."
            )
        ((self.num_slots,),) = slots
        self.prefill_lengths = tuple(sorted(_find_numbers("prefill", signatures)))
        # What each window is called, the shortest first; `decode` attends to all slots.
        windows = {number: f"decode_{number}" for number in _find_numbers("decode", signatures)}
        windows[self.num_slots] = "decode"
        self.windows = dict(sorted(windows.items()))
        self._free, self._lock = [], threading.Lock()

    def start(self):
        """A Text with a cache of its own; `close` gives the cache back for the next one."""
        with self._lock:
            caches = self._free.pop() if self._free else None
        if caches is None:
            buffers = self._engine.make_buffers("decode", self._caches)
            caches = _Caches(self._engine, buffers)
        return Text(self, self._engine, caches)

    def give_back(self, caches):
        """Keeps a cache for the next text."""
        with self._lock:
            self._free.append(caches)


class _Caches:
    """One set of buffers, and the sessions of all signatures on them, opened at first use."""

    def __init__(self, engine, buffers):
        self._engine, self._buffers, self._sessions = engine, buffers, {}

    def get_session(self, signature):
        if signature not in self._sessions:
            self._sessions[signature] = self._engine.open_session(signature, self._buffers)
        return self._sessions[signature]


class Text:
    """A text that is read and continued.

    Args:
        decoder: Decoder.
        engine: Engine.
        caches: the caches of this text alone.
    Attributes:
        position: int. How many tokens have been read. It may be set back: what was read behind it
            is forgotten.
    """

    def __init__(self, decoder, engine, caches):
        self._decoder, self._engine, self._caches = decoder, engine, caches
        self.position = 0

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
            self._run(f"prefill_{length}", padded, length)
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
        window = next((size for size in windows if self.position < size), self._decoder.num_slots)
        session = self._run(windows[window], np.array([[token_id]], np.int32), 1)
        self.position += 1
        return session.read("logits").reshape(-1)

    def _run(self, signature, tokens, length):
        first, slots = self.position, self._decoder.num_slots
        # LiteRT would move what does not fit to the last slots, without a word.
        if not 0 <= first <= slots - length:
            raise ValueError(
                f"A text must fit the cache of {slots} tokens. Received: {length} tokens at "
                f"position {first}."
            )
        session = self._caches.get_session(signature)
        with self._engine.running():
            session.write("tokens", tokens)
            session.write("input_pos", np.arange(first, first + length, dtype=np.int32))
            session.run()
        return session

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
