"""The decoder on an engine of NumPy, whose logits say what the cache holds."""

import contextlib

import numpy as np
import pytest

from lmzoo.runtime.container import TensorSpec
from lmzoo.runtime.generation.decoder import Decoder, plan_chunks

S = 40


class Buffer:
    def __init__(self, shape):
        self.values = np.zeros(shape, np.float32)

    def write(self, values):
        self.values[:] = values

    def read(self, count, dtype):
        return self.values.reshape(-1).astype(dtype)


class Engine:
    """Writes token ids into the cache; logits are the tokens that a step can see."""

    def __init__(self, lengths=(), windows=(), slots=S):
        sizes = {"decode": (1, slots), **{f"prefill_{n}": (n, slots) for n in lengths}}
        sizes |= {f"decode_{w}": (1, own) for w, own in windows}
        self.windows = {f"decode_{w}": w for w, _ in windows}
        self.signatures = {name: _make_sides(*size) for name, size in sizes.items()}
        self.runs = []

    def make_buffers(self, signature, names):
        return {name: Buffer(self.signatures[signature][0][name].shape) for name in names}

    def open_session(self, signature, shared):
        return Session(self, signature, shared)

    @contextlib.contextmanager
    def running(self):
        yield


class Session:
    def __init__(self, engine, signature, buffers):
        self.engine, self.signature, self.buffers, self.inputs = engine, signature, buffers, {}

    def write(self, name, value):
        self.inputs[name] = np.array(value)

    def run(self):
        positions, tokens = self.inputs["input_pos"], self.inputs["tokens"][0]
        for name in ("kv_k", "kv_v"):
            self.buffers[name].values[0, 0, positions, 0] = tokens
        self.engine.runs.append(self.signature)

    def read(self, name):
        last = self.inputs["input_pos"][-1] + 1
        seen = min(last, self.engine.windows.get(self.signature, S))
        values = self.buffers["kv_k"].values[0, 0, :seen, 0]
        assert (values == self.buffers["kv_v"].values[0, 0, :seen, 0]).all()
        return values[None, None]


def _make_sides(length, slots):
    caches = {name: TensorSpec("float32", (1, 1, slots, 1)) for name in ("kv_k", "kv_v")}
    inputs = {
        "tokens": TensorSpec("int32", (1, length)),
        "input_pos": TensorSpec("int32", (length,)),
        **caches,
    }
    return inputs, {**caches, "logits": TensorSpec("float32", (1, 1, 9))}


TOKENS = list(range(1, 31))
ENGINES = {
    "steps alone": {},
    "chunks": {"lengths": (4, 16)},
    "windows on one cache": {"lengths": (4,), "windows": ((8, S), (16, S))},
    "windows of their own": {"lengths": (4,), "windows": ((8, 8), (16, 16))},
}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("prompt", [0, 1, 5, 7, 8, 17, 23])
def test_each_step_sees_all_tokens_before_it(name, prompt):
    text = Decoder(Engine(**ENGINES[name])).start()
    text.read(TOKENS[:prompt])
    for count in range(prompt, len(TOKENS)):
        np.testing.assert_array_equal(text.step(TOKENS[count]), TOKENS[: count + 1])


@pytest.mark.parametrize("name", ENGINES)
def test_a_text_that_goes_back_forgets_what_was_behind(name):
    text = Decoder(Engine(**ENGINES[name])).start()
    text.read(TOKENS[:6])
    for other in (100, 200, 300):
        text.go_back(6)
        row = TOKENS[:6]
        for offset in range(14):
            row.append(other + offset)
            np.testing.assert_array_equal(text.step(row[-1]), row)


def test_the_shortest_window_is_chosen():
    engine = Engine(lengths=(4,), windows=((8, S), (16, S)))
    text = Decoder(engine).start()
    for token in TOKENS[:20]:
        text.step(token)
    assert engine.runs == ["decode_8"] * 8 + ["decode_16"] * 8 + ["decode"] * 4


@pytest.mark.parametrize("length", [4, 1])
def test_nothing_is_written_beyond_the_cache(length):
    text = Decoder(Engine(lengths=(4,))).start()
    text.read(list(range(S - length + 1)))
    with pytest.raises(ValueError, match=f"cache of {S} tokens. Received: 4 tokens at position"):
        text.read([1] * 4)
    text.position = S
    with pytest.raises(ValueError, match=f"Received: 1 tokens at position {S}"):
        text.step(1)
    text.position = -1
    with pytest.raises(ValueError, match="Received: 1 tokens at position -1"):
        text.step(1)


def test_a_cache_is_used_again_once_it_was_given_back():
    decoder = Decoder(Engine())
    first, second = decoder.start(), decoder.start()
    assert first._caches is not second._caches
    first.close()
    third = decoder.start()
    np.testing.assert_array_equal(third.step(5), [5])
    third.close(is_sound=False)
    assert decoder.start()._caches is not third._caches


@pytest.mark.parametrize(
    ("count", "lengths", "chunks"),
    [(0, (8,), ()), (3, (8,), (8,)), (9, (8, 32), (8, 8)), (20, (8, 32), (32,))],
)
def test_a_plan_takes_the_least_work(count, lengths, chunks):
    assert plan_chunks(count, lengths) == chunks


@pytest.mark.parametrize("count", [1, 31, 100, 1000])
def test_a_plan_holds_all_tokens_and_pads_the_last_chunk_alone(count):
    chunks = plan_chunks(count, (8, 32, 128))
    assert sum(chunks) >= count > sum(chunks[:-1])


def test_a_file_without_decode_or_with_odd_caches_is_refused():
    engine = Engine()
    engine.signatures = {"tokens": engine.signatures["decode"]}
    with pytest.raises(ValueError, match="Received: signatures tokens"):
        Decoder(engine)
    engine = Engine()
    engine.signatures["decode"][0]["kv_k"] = TensorSpec("float32", (1, 1, 9, 1))
    with pytest.raises(ValueError, match=r"Received: \[\(9,\), \(40,\)\]"):
        Decoder(engine)
    engine = Engine(lengths=(4,))
    engine.signatures["prefill_4"] = _make_sides(4, 30)
    with pytest.raises(ValueError, match="'prefill_4': 30"):
        Decoder(engine)


@pytest.mark.parametrize(("name", "side"), [("tokens", 0), ("input_pos", 0), ("logits", 1)])
def test_a_decode_without_one_of_its_tensors_is_refused(name, side):
    engine = Engine()
    del engine.signatures["decode"][side][name]
    with pytest.raises(ValueError, match=f"have `{name}`. Received: "):
        Decoder(engine)


def test_a_source_fits_the_encoder():
    text = Decoder(Engine()).start()
    with pytest.raises(ValueError, match=f"at most {S} tokens. Received: {S + 1}"):
        text.encode([1] * (S + 1))
