"""The buffers of one text: caches, of several lengths, and what its source became."""

import numpy as np

__all__ = ["Caches"]


class Caches:
    """A set of buffers for each number of slots, shared by all signatures that have it.

    What a set lacks of the text is copied from another one when it is first needed.

    Args:
        engine: Engine.
        names: list of str. The cache tensors (1, K, S, H), which a run reads and writes.
        constants: list of str. Tensors of the source, (1, K, S, H) or (1, S), which a step reads.
        slots: dict of str to int. The number of slots of each signature that decodes.
    """

    def __init__(self, engine, names, constants, slots):
        self._engine, self._names, self._constants = engine, names, constants
        self._slots, self._sessions, self._buffers = slots, {}, {}
        # A signature of each number of slots.
        self._signatures = {size: name for name, size in slots.items()}
        # Of each set: how many tokens of the text are in it; and which have the source.
        self._filled, self._with_source = {}, set()

    def forget(self, position):
        """Forgets the tokens from `position` on."""
        self._filled = {size: min(count, position) for size, count in self._filled.items()}

    def forget_all(self):
        """Forgets the text and its source."""
        self.forget(0)
        self._with_source.clear()

    def encode(self, signature, decode, inputs):
        """Reads the source into the set of buffers of a signature that decodes.

        Args:
            signature: str. The one that encodes.
            decode: str. The one that decodes, with as many slots.
            inputs: dict of str to array.
        """
        size = self._slots[decode]
        session = self._open(signature, size)
        with self._engine.running():
            for name, value in inputs.items():
                session.write(name, value)
            session.run()
        self._with_source = {size}

    def run(self, signature, tokens, position, count):
        """Runs a signature on tokens, int32 (1, N), the first `count` of which are not padding.

        Returns:
            Session.
        """
        size, length = self._slots[signature], tokens.shape[1]
        session = self._open(signature, size)
        with self._engine.running():
            if self._filled[size] < position:
                self._copy(self._names, max(self._filled, key=self._filled.get), size)
            if self._constants and size not in self._with_source:
                self._copy(self._constants, min(self._with_source), size)
                self._with_source.add(size)
            session.write("tokens", tokens)
            session.write("input_pos", np.arange(position, position + length, dtype=np.int32))
            session.run()
        self._filled[size] = position + count
        return session

    def _open(self, signature, size):
        if size not in self._buffers:
            names = [*self._names, *self._constants]
            self._buffers[size] = self._engine.make_buffers(self._signatures[size], names)
            self._filled[size] = 0
        if signature not in self._sessions:
            buffers = self._buffers[size]
            self._sessions[signature] = self._engine.open_session(signature, buffers)
        return self._sessions[signature]

    def _copy(self, names, source, target):
        """Copies tensors from one set of buffers to another, as far as both have slots."""
        kept = min(source, target)
        given, wanted = (
            self._engine.signatures[self._signatures[size]][0] for size in (source, target)
        )
        for name in names:
            shape = given[name].shape
            values = self._buffers[source][name].read(int(np.prod(shape)), given[name].dtype)
            made = np.zeros(wanted[name].shape, wanted[name].dtype)
            slots = (slice(None),) * (2 if len(shape) == 4 else 1) + (slice(kept),)
            made[slots] = values.reshape(shape)[slots]
            self._buffers[target][name].write(made)
