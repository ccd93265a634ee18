"""Continuous batching: prompts join a batch of fixed rows and leave it between steps.

All rows share one timeline of slots. A prompt that joins is prefilled by itself and moved so that
its last token stands right before the next slot; rows that go on are moved with it. A token's
position is the number of tokens before it in its row, so a row computes what it computes alone.
Shapes: R rows, N prompts that join, P their length, S slots.
"""

import tensorflow as tf

from lmzoo.generation.generator import Generator
from lmzoo.generation.loop import DecodeState, decode, init_state
from lmzoo.generation.selection import make_token_selector
from lmzoo.layers.contexts import float_matrices
from lmzoo.tracing import trace_once

__all__ = ["make_slot_functions"]

# Slots that are added when the timeline is full: it is copied once for so many steps.
_ROOM = 64
_FIELDS = ("token_ids", "mask", "slot", "prompt_length", "finished", "log_prob")


def make_slot_functions(task, options):
    """The functions `start` and `advance` of a task, whose state is a flat dict of tensors.

    `start(rows int32 (N,), token_ids int32 (N, P), padding_mask bool (N, P), parameters, state)`
    puts prompts into rows and selects their first tokens. `advance(steps int32 (), state)` goes on
    by up to so many steps, until all rows are finished. Both return the state. An empty state has
    zeros with `finished` True in each row, and one slot. Its entries:
        token_ids int32 (R, S), mask bool (R, S), slot int32 (), prompt_length int32 (R,): the slot
            of a row's first new token; finished bool (R,), log_prob float32 (R,).
        option_NAME (R,): the numbers of each row.
        cache_I: the model's cache, rows first, slots next to last where there are four axes.

    Args:
        task: GenerativeTask, a decoder.
        options: GenerationOptions. Its numbers are the row's; beams, stop strings and bad words
            are not read.
    Returns:
        (start, advance): tf.functions with an input signature.
    Raises:
        ValueError: if the task is an encoder-decoder.
    """
    if task.is_encoder_decoder:
        raise ValueError(
            "`task` must be a decoder to decode in slots. Received: a "
            f"{type(task).__name__}, an encoder-decoder."
        )
    return _Slots(task, options).trace()


class _Slots:
    def __init__(self, task, options):
        self.task = task
        self.generator = Generator(task, options, sampled=True)
        # Presence penalties are a choice of each request.
        self.static = self.generator.static._replace(repetition=True, bad_words=False, stop=False)
        self.specs = {
            name: spec for name, spec in options.make_signature().items() if name != "rng_stream"
        }
        cache = tf.nest.map_structure(
            lambda x: x, task.backbone.make_cache(tf.constant(1), tf.constant(1))
        )
        self.cache = cache

    def trace(self):
        state = self._make_state_specs()
        prompts = [
            tf.TensorSpec([None], tf.int32, "rows"),
            tf.TensorSpec([None, None], tf.int32, "token_ids"),
            tf.TensorSpec([None, None], tf.bool, "padding_mask"),
        ]
        start = trace_once(self.start, [*prompts, self.specs, state])
        advance = trace_once(self.advance, [tf.TensorSpec([], tf.int32, "steps"), state])
        return start, advance

    def _make_state_specs(self):
        specs = {
            "token_ids": ([None, None], tf.int32),
            "mask": ([None, None], tf.bool),
            "slot": ([], tf.int32),
            "prompt_length": ([None], tf.int32),
            "finished": ([None], tf.bool),
            "log_prob": ([None], tf.float32),
            **{f"option_{name}": ([None], spec.dtype) for name, spec in self.specs.items()},
        }
        for index, tensor in enumerate(tf.nest.flatten(self.cache)):
            heads, dim = tensor.shape[1], tensor.shape[-1]
            shape = [None, heads, None, dim] if len(tensor.shape) == 4 else [None, None]
            specs[f"cache_{index}"] = (shape, tensor.dtype)
        return {name: tf.TensorSpec(*spec, f"state_{name}") for name, spec in specs.items()}

    def start(self, rows, token_ids, padding_mask, parameters, state):
        parameters = {**parameters, "rng_stream": tf.zeros_like(rows)}
        token_ids, padding_mask, parameters = self.generator.fit(
            token_ids, padding_mask, parameters
        )
        del parameters["rng_stream"]
        length = tf.shape(token_ids)[1]
        with self._floats():
            logits, cache = self.task.prefill(token_ids, padding_mask, length + 1)
        joined = init_state(token_ids, padding_mask, length + 1, cache)
        joined = joined._replace(
            prompt_length=tf.fill(tf.shape(rows), length),
            finished=parameters["max_new_tokens"] < 1,
        )
        joined = self._select(parameters)(joined, logits)
        state, options = self._unpack(state)
        # Both end at the same slot: that of the longest row, counted with its first new token.
        state = self._move(state, tf.maximum(_longest(state), length + 1))
        joined = self._shift(joined, state.slot - joined.slot, tf.shape(state.mask)[1])
        merged = tf.nest.map_structure(
            lambda old, new: new if old.shape.rank == 0 else _scatter_rows(old, rows, new),
            state,
            joined,
        )
        options = {
            name: _scatter_rows(options[name], rows, parameters[name]) for name in self.specs
        }
        return self._pack(merged, options)

    def advance(self, steps, state):
        state, options = self._unpack(state)
        is_full = state.slot + steps > tf.shape(state.mask)[1]
        state = tf.cond(is_full, lambda: self._move(state, _longest(state), steps), lambda: state)
        with self._floats():
            state = decode(self.task.step, self._select(options), state, state.slot + steps)
        return self._pack(state, options)

    def _floats(self):
        matrices = self.task.quantized_matrices
        return float_matrices({matrix: matrix.expand() for matrix in matrices}.get)

    def _select(self, parameters):
        # With its own seed a row draws by nothing else.
        stream = tf.zeros_like(parameters["seed"])
        return make_token_selector(self.static, {**parameters, "rng_stream": stream})

    def _move(self, state, slot, steps=0):
        """The state with its next slot at `slot`, and room behind it."""
        room = tf.maximum(_ROOM, steps)
        return self._shift(state, slot - state.slot, slot + room)

    def _shift(self, state, distance, num_slots):
        """Moves every row by `distance` slots, to the right if it is positive."""

        def shift(x):
            if x.shape.rank < 2:
                return x
            axis = 2 if x.shape.rank == 4 else 1
            cut, before = tf.maximum(-distance, 0), tf.maximum(distance, 0)
            size = tf.shape(x)[axis]
            kept = tf.clip_by_value(num_slots - before, 0, size - cut)
            begin = [0] * x.shape.rank
            begin[axis] = cut
            sizes = tf.unstack(tf.shape(x))
            sizes[axis] = kept
            paddings = [[0, 0] for _ in sizes]
            paddings[axis] = [before, num_slots - before - kept]
            return tf.pad(tf.slice(x, tf.stack(begin), tf.stack(sizes)), paddings)

        moved = tf.nest.map_structure(shift, state)
        return moved._replace(
            slot=state.slot + distance, prompt_length=state.prompt_length + distance
        )

    def _unpack(self, tensors):
        flat = [tensors[f"cache_{index}"] for index in range(len(tf.nest.flatten(self.cache)))]
        state = DecodeState(
            **{name: tensors[name] for name in _FIELDS},
            cache=tf.nest.pack_sequence_as(self.cache, flat),
            memory={},
        )
        return state, {name: tensors[f"option_{name}"] for name in self.specs}

    def _pack(self, state, options):
        caches = tf.nest.flatten(state.cache)
        return {
            **{name: getattr(state, name) for name in _FIELDS},
            **{f"option_{name}": value for name, value in options.items()},
            **{f"cache_{index}": value for index, value in enumerate(caches)},
        }


def _longest(state):
    """The tokens of the longest row that goes on, at least 1: how many slots must be kept."""
    lengths = tf.reduce_sum(tf.cast(state.mask, tf.int32), axis=1)
    lengths = tf.where(state.finished, 0, lengths)
    return tf.maximum(tf.reduce_max(lengths), 1)


def _scatter_rows(old, rows, new):
    return tf.tensor_scatter_nd_update(old, tf.expand_dims(rows, 1), new)
