"""A model as the harness's requests need it: a task in memory, or an exported SavedModel.

A backend has
    name: str.
    is_encoder_decoder: bool.
    longest: int. Tokens that the model reads at once.
    start_token_id: int. What stands before a text.
    prefix: str. What stands before each source.
    encode(texts) -> list of lists of int; a decoder's as its prompts are.
    score(windows, batch_size, verbose) -> as `lmzoo.evaluation.scoring.score_tokens`.
    generate(contexts, max_new_tokens, temperature, stop_strings, **others) -> list of str.
"""

import os
import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.data.progress import progress_bar
from lmzoo.evaluation.scoring import score_tokens
from lmzoo.hub import load

__all__ = ["SavedModelBackend", "TaskBackend", "open_backend"]

_SAVED_MODEL = "saved_model.pb"
_SAMPLING = {"top_k": 0, "top_p": 1.0, "seed": 0}


def open_backend(source, dtype=None):
    """A backend of a task, of the folder of a SavedModel, or of any source of `lmzoo.load`."""
    if isinstance(source, str | os.PathLike):
        if (pathlib.Path(source) / _SAVED_MODEL).is_file():
            return SavedModelBackend(source)
        return TaskBackend(load(source, dtype=dtype), str(source))
    return TaskBackend(source, type(source).__name__)


class TaskBackend:
    """A `CausalLM` or `Seq2SeqLM`.

    Args:
        task: the task.
        name: str.
    Raises:
        TypeError: if it does not generate.
        ValueError: if it has no tokenizer.
    """

    def __init__(self, task, name):
        if not task.is_generative:
            raise TypeError(
                "`source` must be a model that generates. Received: a "
                f"{type(task).__name__}. `lmzoo.evaluate` takes it."
            )
        if task.tokenizer is None:
            raise ValueError("`source` must have a tokenizer. Received: tokenizer=None.")
        self.name = name
        self.task = task
        self.is_encoder_decoder = task.is_encoder_decoder
        self.longest = task.max_sequence_length
        self.prefix = task.prefix if task.is_encoder_decoder else ""
        self.start_token_id = (
            task.start_token_id if task.is_encoder_decoder else task.tokenizer.start_token_id
        )

    def encode(self, texts):
        if not texts:
            return []
        tokenizer = self.task.tokenizer
        encode = tokenizer.tokenize if self.is_encoder_decoder else tokenizer.tokenize_prompts
        return encode(tf.constant(texts)).to_list()

    def score(self, windows, batch_size, verbose):
        return score_tokens(self.task, windows, batch_size, verbose)

    def generate(self, contexts, max_new_tokens, **options):
        # As the harness has it, a context that is too long loses its beginning.
        room = self.longest - (0 if self.is_encoder_decoder else max_new_tokens)
        contexts = [self._truncate(context, room) for context in contexts]
        options["max_new_tokens"] = max_new_tokens
        return self.task.generate(contexts, return_prompt=False, **options)

    def _truncate(self, context, room):
        """A context whose tokens fit, with a prefix and an end token or a start token."""
        num_others = len(self.encode([self.prefix])[0]) + 1 if self.is_encoder_decoder else 0
        ids = self.encode([context])[0]
        while len(ids) + num_others > room:
            # Of what is left some tokens may be others.
            kept = tf.ragged.constant([ids[len(ids) + num_others - room :]], tf.int32)
            context = self.task.tokenizer.detokenize(kept).numpy()[0].decode("utf-8", "ignore")
            shorter = self.encode([context])[0]
            ids = shorter if len(shorter) < len(ids) else ids[1:]
        return context


class SavedModelBackend:
    """A folder that `export` wrote, which runs without the task's Python.

    Args:
        folder: str or path.
    Raises:
        ValueError: if it has no signature `generate`.
    """

    def __init__(self, folder):
        self.name = str(folder)
        # Held, or its variables would go.
        self._module = tf.saved_model.load(str(folder))
        self._signatures = self._module.signatures
        self._generate = self._get("generate", "was exported from a model that generates")
        self._about = None
        self._returns_prompt = None

    def _get(self, name, remedy):
        if name not in self._signatures:
            raise ValueError(
                f"`source` must have a signature `{name}`: a SavedModel that {remedy}. Received: "
                f"{self.name!r} with {', '.join(self._signatures) or 'none'}."
            )
        return self._signatures[name]

    def _tokenize(self, texts):
        tokenize = self._get("tokenize", "was exported with `scoring=True`")
        return {name: x.numpy() for name, x in tokenize(text=tf.constant(texts)).items()}

    def _describe(self, name):
        if self._about is None:
            self._about = self._tokenize([""])
        return np.asarray(self._about[name]).item()

    @property
    def is_encoder_decoder(self):
        return self._describe("is_encoder_decoder")

    @property
    def longest(self):
        # Without the signature the model itself refuses what it cannot read.
        return self._describe("max_sequence_length") if "tokenize" in self._signatures else 1 << 30

    @property
    def start_token_id(self):
        return self._describe("start_token_id")

    @property
    def prefix(self):
        return self._describe("prefix").decode("utf-8")

    def encode(self, texts):
        if not texts:
            return []
        found = self._tokenize(texts)
        rows = zip(found["token_ids"], found["padding_mask"], strict=True)
        return [ids[mask].tolist() for ids, mask in rows]

    def score(self, windows, batch_size, verbose):
        score = self._get("score", "was exported with `scoring=True`")
        order = sorted(range(len(windows)), key=lambda index: -sum(map(len, windows[index])))
        results = [None] * len(windows)
        with progress_bar("Scoring", len(windows), verbose) as advance:
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                sides = zip(*(windows[index] for index in chosen), strict=True)
                (prompts, prompt_mask), (tokens, mask) = map(_pad, sides)
                outputs = score(
                    prompt_ids=prompts, prompt_mask=prompt_mask, token_ids=tokens, padding_mask=mask
                )
                log_probs, is_best = (outputs[name].numpy() for name in ("log_probs", "is_greedy"))
                for row, index in enumerate(chosen):
                    size = len(windows[index][1])
                    results[index] = (log_probs[row, :size], is_best[row, :size])
                advance(len(chosen))
        return results

    def generate(self, contexts, max_new_tokens, temperature, stop_strings, **options):
        """The strings of `stop_strings` are cut off by the caller."""
        if unknown := set(options) - set(_SAMPLING):
            raise ValueError(
                "A SavedModel takes the options max_gen_toks, temperature, "
                f"{', '.join(_SAMPLING)} and until. Received: {', '.join(sorted(unknown))}."
            )
        texts = self._complete(contexts, max_new_tokens, temperature, {**_SAMPLING, **options})
        if self._returns_prompt is None:
            # It was exported with or without `return_prompt`.
            self._returns_prompt = self._complete(["a"], 0, 0.0, _SAMPLING)[0] == "a"
        if not self._returns_prompt:
            return texts
        return [text[len(prompt) :] for text, prompt in zip(texts, contexts, strict=True)]

    def _complete(self, contexts, max_new_tokens, temperature, sampling):
        outputs = self._generate(
            text=tf.constant(contexts),
            max_new_tokens=tf.constant(max_new_tokens),
            temperature=tf.constant(temperature, tf.float32),
            top_k=tf.constant(int(sampling["top_k"])),
            top_p=tf.constant(sampling["top_p"], tf.float32),
            seed=tf.constant(int(sampling["seed"])),
        )
        return [text.decode("utf-8", "replace") for text in outputs["text"].numpy()]


def _pad(rows):
    """Lists of int -> int32 (B, T) and bool (B, T), filled on the right."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(lengths.max(), 1)) < lengths[:, None]
    ids = np.zeros(mask.shape, "int32")
    ids[mask] = np.concatenate(rows)
    return tf.constant(ids), tf.constant(mask)
