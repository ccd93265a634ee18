"""Runs exported files with the interpreter of ai-edge-litert, one signature at a time."""

import numpy as np

__all__ = ["Decoder", "open_signature"]


def open_signature(content, name="tokens"):
    """A function of named arrays to named arrays."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content).get_signature_runner(name)


class Decoder:
    """A decoder with its caches, read in chunks of any prefill length and decoded greedily."""

    def __init__(self, content):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_content=content)
        self.decode = self.interpreter.get_signature_runner("decode")
        details = self.decode.get_input_details()
        self.caches = {
            name: np.zeros(spec["shape"], spec["dtype"])
            for name, spec in details.items()
            if name.startswith("kv_cache")
        }

    @property
    def num_slots(self):
        return self.caches["kv_cache_k_0"].shape[2]

    def prefill(self, length, ids, position):
        """Reads ids, padded to a prefill length with id 1."""
        run = self.interpreter.get_signature_runner(f"prefill_{length}")
        tokens = np.ones((1, length), np.int32)
        tokens[0, : len(ids)] = ids
        self.caches = run(
            tokens=tokens,
            input_pos=np.arange(position, position + length, dtype=np.int32),
            **self.caches,
        )

    def step(self, token_id, position):
        """The logits (V,) after one token."""
        outputs = self.decode(
            tokens=np.array([[token_id]], np.int32),
            input_pos=np.array([position], np.int32),
            **self.caches,
        )
        logits = outputs.pop("logits")
        self.caches = outputs
        return logits[0, 0]

    def read(self, ids):
        """The logits (T, V) after each of some ids, from position 0 on."""
        return np.stack([self.step(token_id, index) for index, token_id in enumerate(ids)])
