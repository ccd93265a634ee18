"""A tiny GPT and the shortest way from prompts to new tokens, for the tests of this room."""

import numpy as np
import tensorflow as tf

from lmzoo.generation.beam import make_beam_selector
from lmzoo.generation.beam_state import best_beams, init_beams
from lmzoo.generation.loop import decode, init_state
from lmzoo.generation.selection import StaticOptions, make_token_selector
from lmzoo.models import GPTBackbone

PARAMETERS = {
    "max_new_tokens": (8, "int32"),
    "temperature": (1.0, "float32"),
    "top_k": (0, "int32"),
    "top_p": (1.0, "float32"),
    "min_p": (0.0, "float32"),
    "seed": (0, "int32"),
    "rng_stream": (0, "int32"),
    "repetition_penalty": (1.0, "float32"),
    "presence_penalty": (0.0, "float32"),
    "min_new_tokens": (0, "int32"),
    "length_penalty": (1.0, "float32"),
}


def make_backbone(dtype="float64", **options):
    """A backbone whose every weight is random, so that it says varied things."""
    sizes = dict(vocabulary_size=31, num_layers=2, num_heads=4, hidden_dim=16, intermediate_dim=11)
    backbone = GPTBackbone(**{**sizes, "max_sequence_length": 128, **options}, dtype=dtype)
    generator = np.random.default_rng(5)
    for weight in backbone.weights:
        scales = {"kernel": 1.0, "token_embedding": 0.3, "position_embedding": 1.0}
        scale = next((scales[word] for word in scales if word in weight.path), 0.1)
        centre = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(centre + scale * generator.standard_normal(weight.shape))
    return backbone


def make_parameters(rows, **given):
    """Every parameter a row, (R,); `given` are numbers or lists of them. Also `bad_words`."""
    parameters = {}
    if "bad_words" in given:
        parameters["bad_words"] = tf.constant(pad_left(given.pop("bad_words"), fill=-1)[0])
    for name, (default, dtype) in PARAMETERS.items():
        value = np.broadcast_to(np.asarray(given.pop(name, default), dtype), [rows])
        parameters[name] = tf.constant(value)
    if given:
        raise TypeError(f"unknown parameters: {sorted(given)}")
    return parameters


def pad_left(rows, length=None, fill=0):
    """Lists of ids -> int32 (R, P) and bool (R, P)."""
    length = max(map(len, rows)) if length is None else length
    token_ids = np.full((len(rows), length), fill, "int32")
    mask = np.zeros((len(rows), length), bool)
    for row, ids in enumerate(rows):
        token_ids[row, length - len(ids) :] = ids
        mask[row, length - len(ids) :] = True
    return token_ids, mask


class Model:
    """The two functions that a decode loop needs, each traced once for any shape."""

    def __init__(self, backbone):
        self.backbone = backbone
        self.vocabulary_size = backbone.vocabulary_size
        self.num_steps = 0
        self._traced = tf.function(self.forward, reduce_retracing=True)

    def forward(self, token_ids, mask, cache, position):
        hidden, cache = self.backbone(
            {"token_ids": token_ids, "padding_mask": mask}, cache=cache, position=position
        )
        return self.backbone.compute_logits(hidden[:, -1:])[:, 0], cache

    def prefill(self, token_ids, mask, num_slots):
        """Prompts (B, P) -> the state before the first new token, and logits (B, V)."""
        cache = self.backbone.make_cache(tf.shape(token_ids)[0], num_slots)
        run = self._traced if tf.executing_eagerly() else self.forward
        logits, cache = run(token_ids, mask, cache, tf.constant(0))
        return init_state(token_ids, mask, num_slots, cache), logits

    def step(self, token_ids, mask, cache, slot):
        if not tf.executing_eagerly():
            return self.forward(token_ids, mask, cache, slot)
        self.num_steps += 1
        return self._traced(token_ids, mask, cache, slot)


class Script:
    """A step whose logits are written down beforehand: `logits` (T, R, V), one (R, V) a step."""

    def __init__(self, logits):
        self.logits = tf.constant(logits, tf.float32)
        self.num_steps = 0

    def prefill(self, token_ids, mask, num_slots):
        return init_state(token_ids, mask, num_slots, {"next": tf.constant(1)}), self.logits[0]

    def step(self, token_ids, mask, cache, slot):
        self.num_steps += 1
        return self.logits[cache["next"]], {"next": cache["next"] + 1}


class Chain:
    """A model whose logits depend on slot and id of the last token: `table` float (L, V, V)."""

    def __init__(self, table):
        self.table = tf.constant(table, tf.float32)
        self.num_steps = 0

    def prefill(self, token_ids, mask, num_slots):
        last = token_ids.shape[1] - 1
        state = init_state(token_ids, mask, num_slots, {})
        return state, tf.gather(self.table[last], token_ids[:, last])

    def step(self, token_ids, mask, cache, slot):
        self.num_steps += 1
        return tf.gather(self.table[slot], token_ids[:, 0]), cache


def run(model, token_ids, mask, static, parameters, num_slots=None, find_stop=None):
    """Generates from tensors: int32 (R, P), bool (R, P) -> DecodeState."""
    last_slot = tf.shape(token_ids)[1] + tf.reduce_max(parameters["max_new_tokens"])
    num_slots = last_slot if num_slots is None else num_slots
    state, logits = model.prefill(token_ids, mask, num_slots)
    select = make_token_selector(static, parameters, find_stop)
    return decode(model.step, select, select(state, logits), last_slot)


def run_beams(
    model, token_ids, mask, static, parameters, num_beams, num_slots=None, find_stop=None, **options
):
    """As `run`, and the search's results: DecodeState, BeamResults."""
    last_slot = tf.shape(token_ids)[1] + tf.reduce_max(parameters["max_new_tokens"])
    num_slots = last_slot if num_slots is None else num_slots
    state, logits = model.prefill(token_ids, mask, num_slots)
    state, logits = init_beams(state, num_beams), tf.repeat(logits, num_beams, axis=0)
    select = make_beam_selector(static, parameters, num_beams, find_stop=find_stop, **options)
    state = decode(model.step, select, select(state, logits), last_slot)
    return state, best_beams(state, num_beams)


def generate(model, prompts, length=None, ends=(), sampled=False, ngrams=0, **parameters):
    """Lists of prompt ids -> DecodeState, with the static on that `parameters` name."""
    token_ids, mask = pad_left(prompts, length)
    static = make_static_options(ends, sampled, ngrams, parameters)
    parameters = make_parameters(len(prompts), **parameters)
    return run(model, tf.constant(token_ids), tf.constant(mask), static, parameters)


def make_static_options(ends, sampled, ngrams, parameters):
    return StaticOptions(
        end_token_ids=tuple(ends),
        sampled=sampled,
        repetition=bool({"repetition_penalty", "presence_penalty"} & set(parameters)),
        min_new_tokens="min_new_tokens" in parameters,
        no_repeat_ngram_size=ngrams,
        bad_words="bad_words" in parameters,
    )


def new_tokens(state):
    """The new ids of each row, as lists."""
    token_ids, mask = state.token_ids.numpy(), state.mask.numpy()
    start = int(state.prompt_length)
    return [ids[start:][real[start:]].tolist() for ids, real in zip(token_ids, mask, strict=True)]
