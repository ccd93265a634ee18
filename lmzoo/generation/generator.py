"""The graph of generation, from ids to texts: `generate`, `stream` and exported models share it.

prefill ──▶ select the first token ──▶ decode loop ──▶ results ──▶ detokenize
"""

import tensorflow as tf

from lmzoo.generation.beam import make_beam_selector
from lmzoo.generation.beam_state import best_beams, init_beams
from lmzoo.generation.loop import decode, init_state
from lmzoo.generation.selection import make_token_selector
from lmzoo.generation.stop_strings import make_stop_strings
from lmzoo.layers.contexts import compiled_step, float_matrices
from lmzoo.tracing import trace_once

__all__ = [
    *("Generator", "detokenize_new", "make_graph_signature"),
    *("trace_generate", "trace_stream"),
]

_SMALLEST_BUCKET = 16


class Generator:
    """Generates for one task under static options; everything else is a tensor.

    Args:
        task: `lmzoo.generation.protocol.GenerativeTask`.
        options: GenerationOptions.
        jit_compile: bool. If True, XLA compiles the decode loop, once for each pair of buckets:
            prompts and new tokens are padded to powers of two.
        sampled: bool or None. Whether the graph can sample; None if `options` do.
        shared: bool. If True, all functions that generate call one traced function.
    """

    def __init__(self, task, options, jit_compile=False, sampled=None, shared=False):
        self.task = task
        self.options = options
        self.static = options.make_static_options(task.end_token_ids, task.max_sequence_length)
        if sampled is not None:
            self.static = self.static._replace(sampled=sampled)
        self.jit_compile = jit_compile
        self.num_results = options.num_return_sequences
        self.num_rows = max(options.num_beams, options.num_return_sequences)
        self.stop = make_stop_strings(task, options.stop_strings) if options.stop_strings else None
        self._core = self._generate
        if jit_compile:
            self._core = trace_once(self._generate, jit_compile=True)
        elif shared:
            room = tf.TensorSpec([None], tf.float32)
            self._core = trace_once(self._generate, [*make_graph_signature(options), room])

    def generate(self, token_ids, padding_mask, parameters):
        """Continues each prompt.

        Args:
            token_ids: int32 (B, P). Left-padded prompts.
            padding_mask: bool (B, P).
            parameters: dict as `GenerationOptions.make_parameters` gives it; with bad words also
                `bad_words`, int32 (W, M).
        Returns:
            dict of `token_ids` int32 (B, n, N), `mask` bool (B, n, N), the new tokens; `log_prob`
            float32 (B, n), the sum of the model's log-probabilities of these; `score` float32
            (B, n), for beams the score they were ranked by, else the same; `is_finite` bool (B,),
            whether all scores of the model were finite.
        """
        token_ids, padding_mask, parameters = self.fit(token_ids, padding_mask, parameters)
        # An empty batch has no maximum.
        room = tf.maximum(tf.reduce_max(parameters["max_new_tokens"]), 0)
        if self.jit_compile:
            length = tf.shape(token_ids)[1]
            fill = [[0, 0], [_find_bucket(length) - length, 0]]
            token_ids, padding_mask = tf.pad(token_ids, fill), tf.pad(padding_mask, fill)
            room = _find_bucket(room)
        # The room is given as a shape, which XLA knows when it compiles.
        return self._core(token_ids, padding_mask, parameters, tf.zeros([room]))

    def fit(self, token_ids, padding_mask, parameters):
        """Limits the new tokens to the model's context; a longer prompt is refused.

        The prompts come back too: the model waits with them for the check.
        """
        longest = self.task.max_sequence_length
        lengths = _count(padding_mask)
        # A batch of no rows has no longest one.
        lengths = tf.concat([lengths, [0]], axis=0)
        row = tf.argmax(lengths, output_type=tf.int32)
        received = tf.strings.format("Received: row {} of {} tokens.", [row, lengths[row]])
        rule = f"A prompt must not be longer than the context of {longest} tokens. "
        check = tf.debugging.Assert(lengths[row] <= longest, [tf.strings.join([rule, received])])
        with tf.control_dependencies([check] if check is not None else []):
            token_ids, padding_mask = tf.identity(token_ids), tf.identity(padding_mask)
        _, prompt_mask = self.task.make_prompt(padding_mask, padding_mask)
        limit = tf.minimum(parameters["max_new_tokens"], longest - _count(prompt_mask))
        return token_ids, padding_mask, {**parameters, "max_new_tokens": limit}

    def start(self, token_ids, padding_mask, parameters, room):
        """Prefills and selects the first token: the state from which `advance` goes on.

        Returns:
            DecodeState of B * n rows with `room` slots behind the prompt, and the parameters of
            these rows.
        """
        prompt, prompt_mask = self.task.make_prompt(token_ids, padding_mask)
        num_slots = tf.shape(prompt)[1] + room
        logits, cache = self.task.prefill(token_ids, padding_mask, num_slots)
        state = init_state(prompt, prompt_mask, num_slots, cache)
        state = state._replace(finished=parameters["max_new_tokens"] < 1)
        if self.stop is not None:
            state = state._replace(memory=self.stop.init_memory(tf.shape(state.mask)[0]))
        if self.options.num_beams > 1:
            state = init_beams(state, self.options.num_beams)
        elif self.num_rows > 1:
            state = state._replace(**tf.nest.map_structure(self._repeat, _by_row(state._asdict())))
            parameters = self._repeat_parameters(parameters)
        return self._make_selector(parameters)(state, self._repeat(logits)), parameters

    def _repeat(self, x):
        """(B, ...) -> (R, ...): the results or beams of a prompt are neighbours."""
        return tf.repeat(x, self.num_rows, axis=0) if self.num_rows > 1 else x

    def _repeat_parameters(self, parameters):
        repeated = tf.nest.map_structure(self._repeat, _by_row(parameters))
        results = tf.range(tf.shape(repeated["rng_stream"])[0]) % self.num_rows
        repeated["rng_stream"] = repeated["rng_stream"] * self.num_rows + results
        return {**parameters, **repeated}

    def advance(self, state, parameters, last_slot):
        """Goes on until `last_slot` is reached or every row is finished."""
        compiles_for_cpu = self.jit_compile and not tf.config.list_logical_devices("GPU")
        step = self._compiled_step if compiles_for_cpu else self.task.step
        return decode(step, self._make_selector(parameters), state, last_slot)

    def _compiled_step(self, *inputs):
        with compiled_step():
            return self.task.step(*inputs)

    def _generate(self, *inputs):
        # Quantized weights are expanded once, not in each step of the loop. XLA reads int8 itself.
        stays = "int8" if self.jit_compile else None
        matrices = [one for one in self.task.quantized_matrices if one.mode != stays]
        with float_matrices({matrix: matrix.expand() for matrix in matrices}.get):
            return self._prefill_and_decode(*inputs)

    def _prefill_and_decode(self, token_ids, padding_mask, parameters, room):
        room = tf.shape(room)[0]
        last_slot = tf.reduce_max(parameters["max_new_tokens"])
        state, parameters = self.start(token_ids, padding_mask, parameters, room)
        length = state.prompt_length
        state = self.advance(state, parameters, length + last_slot)
        if self.options.num_beams > 1:
            results = best_beams(state, self.num_results)._asdict()
        else:
            shape = [-1, self.num_results]
            log_prob = tf.reshape(state.log_prob, shape)
            results = {
                "token_ids": tf.reshape(state.token_ids, [*shape, length + room]),
                "mask": tf.reshape(state.mask, [*shape, length + room]),
                "log_prob": log_prob,
                "score": log_prob,
            }
        # Of beams the live ones count too: where no score is finite, none has ended.
        rows = tf.reshape(state.log_prob, [-1, self.num_rows])
        finite = tf.concat([rows, results["log_prob"]], axis=1)
        results["is_finite"] = tf.reduce_all(tf.math.is_finite(finite), axis=1)
        results["token_ids"] = results["token_ids"][:, :, length:]
        results["mask"] = results["mask"][:, :, length:]
        return results

    def _make_selector(self, parameters):
        find_stop = self.stop.find if self.stop is not None else None
        if self.options.num_beams > 1:
            return make_beam_selector(
                self.static,
                parameters,
                self.options.num_beams,
                self.options.early_stopping,
                find_stop,
            )
        return make_token_selector(self.static, parameters, find_stop)

    def to_texts(self, results):
        """The texts of what `generate` returned: string (B, n), stop strings cut off."""
        shape = tf.shape(results["log_prob"])
        # (B, n, N) -> (B * n, N), said in full: where N is 0, no -1 could be found out.
        rows = [tf.reduce_prod(shape), tf.shape(results["mask"])[2]]
        token_ids = tf.reshape(results["token_ids"], rows)
        # A backbone may have more embeddings than the tokenizer has tokens; these have no text.
        known = token_ids < self.task.tokenizer.vocabulary_size
        mask = tf.reshape(results["mask"], rows) & known
        texts = detokenize_new(self.task, tf.ragged.boolean_mask(token_ids, mask))
        if self.stop is not None:
            texts = self.stop.cut(texts)
        return tf.reshape(texts, shape)


def detokenize_new(task, ids):
    """The texts of new ids: (B, None) ragged -> string (B,), or int (T,) -> string ()."""
    if task.is_encoder_decoder:
        return task.tokenizer.detokenize(ids)
    return task.tokenizer.detokenize_continuation(ids)


def trace_generate(task, options, jit_compile):
    """A tf.function of ids, mask and parameters: results as `Generator.generate`, and texts.

    Args:
        task: GenerativeTask.
        options: GenerationOptions.
        jit_compile: bool. If True, XLA compiles the loop.
    """
    generator = Generator(task, options, jit_compile)

    def generate(token_ids, mask, parameters):
        results = generator.generate(token_ids, mask, parameters)
        texts = generator.to_texts(results) if task.tokenizer is not None else None
        return results, texts

    return trace_once(generate, make_graph_signature(options))


def trace_stream(task, options):
    """Two functions: one reads a prompt and selects the first token, one goes on to a slot.

    The first gives the state, the parameters and the float form of quantized weights. The second
    takes these and the slot, and gives the new state.

    Args:
        task, options: as for `trace_generate`.
    """
    generator = Generator(task, options)
    matrices = task.quantized_matrices

    def start(token_ids, mask, parameters):
        token_ids, mask, parameters = generator.fit(token_ids, mask, parameters)
        room = tf.maximum(tf.reduce_max(parameters["max_new_tokens"]), 1)
        floats = [matrix.expand() for matrix in matrices]
        with float_matrices(dict(zip(matrices, floats, strict=True)).get):
            return *generator.start(token_ids, mask, parameters, room), floats

    def advance(state, parameters, floats, slot):
        with float_matrices(dict(zip(matrices, floats, strict=True)).get):
            return generator.advance(state, parameters, slot)

    start = trace_once(start, make_graph_signature(options))
    outputs = start.get_concrete_function().structured_outputs
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), outputs)
    slot = tf.TensorSpec([], tf.int32)
    return start, trace_once(advance, [*specs, slot])


def make_graph_signature(options):
    """The `tf.TensorSpec` of ids, mask and parameters, for any batch size and length."""
    parameters = options.make_signature()
    if options.bad_words:
        parameters["bad_words"] = tf.TensorSpec([None, None], tf.int32)
    ids = tf.TensorSpec([None, None], tf.int32)
    return [ids, tf.TensorSpec([None, None], tf.bool), parameters]


def _by_row(tensors):
    """Those of a dict of tensors that have one row for each prompt."""
    shared = ("bad_words", "slot", "prompt_length")
    return {name: tensor for name, tensor in tensors.items() if name not in shared}


def _count(mask):
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)


def _find_bucket(length):
    """The least power of two, from 16 on, that holds `length` (a scalar int32)."""
    buckets = tf.constant([_SMALLEST_BUCKET << power for power in range(18)])
    return buckets[tf.searchsorted(buckets, tf.reshape(length, [1]))[0]]
