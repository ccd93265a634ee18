"""Text to text: an encoder reads the source, a decoder writes the target."""

import functools
import numbers

import keras
import numpy as np
import tensorflow as tf

from lmzoo.generation.pipeline import left_pad
from lmzoo.generation.text_generation import TextGeneration
from lmzoo.metrics.question_answering import check_lengths
from lmzoo.tasks.discriminative.text_batches import check_strings
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.generative.language_model import LanguageModel
from lmzoo.tasks.losses import TokenCrossentropy
from lmzoo.tasks.task import Task
from lmzoo.text_files.checks import check_unicode
from lmzoo.tracing import trace_once

__all__ = ["Seq2SeqLM"]


@keras.saving.register_keras_serializable(package="lmzoo")
class Seq2SeqLM(TextInput, LanguageModel, TextGeneration, Task):
    """Writes a text that answers another one: translates, summarises, answers questions.

    Trained on `fit(sources, targets)`, both lists of str, on rows with columns `source` and
    `target`, on a mixture of tasks (`lmzoo.data.mix`), or on token batches as
    `lmzoo.data.span_corruption` gives them. Columns `source_token_ids` and `target_token_ids`,
    lists of int, are tokens that follow those of the texts.

    Args:
        backbone: `lmzoo.models.T5Backbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers` with an end token, or None to work on ids.
        prefix: str. Stands before every source, such as "translate English to German: ".
        label_smoothing: float in [0, 1). Of the loss; see `TokenCrossentropy`.
        z_loss: float. Of the loss; see `TokenCrossentropy`.
        sequence_length: int or None. The longest source, and the longest target, in tokens with
            their end token; longer ones are cut in training, and a warning says how many. None for
            what the backbone takes.
        start_token_id: int or None. What the decoder begins with; None for the tokenizer's padding
            token, as T5 has it, or 0 without a tokenizer. Token batches must begin with it too:
            `lmzoo.data.span_corruption` and `prefix_lm` have the same argument.
        generation_defaults: dict of options of `lmzoo.generation.GenerationOptions`, or None. What
            `generate`, `stream` and `export` begin with where they are not given an option.
        end_token_ids: ints, or None for the tokenizer's. The tokens that end a generated text.
        allow_special: list of str, by keyword. Special tokens that texts may contain, in training,
            prompts and exports. All others are read as plain text.
    Call arguments:
        inputs: dict as `T5Backbone` takes it.
    Returns:
        Logits, float (B, T, V), of the token that follows each one of the target.
    Raises:
        TypeError: if a default is unknown, or it or another argument is of the wrong type.
        ValueError: if the tokenizer does not fit the backbone or a number is out of its range.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683.

    Example:
        lm = lmzoo.tasks.Seq2SeqLM(backbone, tokenizer, prefix="to digits: ")
        lm.fit(["twenty-one"], ["21"])
        lm.generate(["twenty-two"], num_beams=4)
    """

    backbone_kinds = ("encoder_decoder",)
    is_encoder_decoder = True
    prediction_kind = "replies"
    required_inputs = ("encoder_token_ids", "decoder_token_ids")
    text_columns = ("source",)
    label_column = "target"

    def __init__(
        self,
        backbone,
        tokenizer=None,
        prefix="",
        label_smoothing=0.0,
        z_loss=0.0,
        sequence_length=None,
        start_token_id=None,
        generation_defaults=None,
        end_token_ids=None,
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        self.prefix = prefix
        self.label_smoothing = label_smoothing
        self.z_loss = z_loss
        self.sequence_length = sequence_length
        if tokenizer is not None and tokenizer.end_token_id is None:
            raise ValueError("`tokenizer` must have an end token. Received: end_token_id=None.")
        if start_token_id is None:
            start_token_id = 0 if tokenizer is None else tokenizer.pad_token_id
        self.start_token_id = start_token_id
        self.generation_defaults = generation_defaults
        self.end_token_ids = end_token_ids
        self._make_loss()

    @property
    def prefix(self):
        """str. What stands before every source."""
        return self._prefix

    @prefix.setter
    def prefix(self, prefix):
        if not isinstance(prefix, str):
            raise TypeError(f"`prefix` must be a str. Received: prefix={prefix!r:.60}.")
        self._prefix = check_unicode("prefix", prefix)

    @property
    def start_token_id(self):
        """int. What the decoder begins with."""
        return self._start_token

    @start_token_id.setter
    def start_token_id(self, token):
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            raise TypeError(
                f"`start_token_id` must be an int. Received: start_token_id={token!r:.60}."
            )
        if not 0 <= token < self.backbone.vocabulary_size:
            raise ValueError(
                f"`start_token_id` must be from 0 to {self.backbone.vocabulary_size - 1}. "
                f"Received: start_token_id={token}."
            )
        self._start_token = int(token)

    def _get_graph(self, key, build):
        # A graph holds what may be assigned anew; the prefix only where it reads texts.
        prefix = self.prefix if key[0] == "score" else None
        key = (*key, prefix, self.start_token_id, self.sequence_length)
        return super()._get_graph(key, build)

    def call(self, inputs, training=None):
        hidden = self.backbone(inputs, training=training)["decoder_sequence_output"]
        return self.score_tokens(hidden)

    def compute_output_shape(self, input_shape):
        return (*input_shape["decoder_token_ids"], self.backbone.vocabulary_size)

    # Training

    def _make_loss(self):
        return TokenCrossentropy(self.label_smoothing, self.z_loss)

    def label_rows(self, rows):
        _check_columns(rows.columns)
        return rows

    def encode_inputs(self, columns):
        raise ValueError("`predict` takes token batches. Use `generate` or `score` for texts.")

    def encode(self, columns, seed, allow_special=False):
        _check_columns(columns)
        check_strings(columns, ["source", "target"])
        texts = {"source": self._add_prefix(columns["source"]), "target": columns["target"]}
        allow_special = allow_special or self.allow_special
        ids = {side: self.tokenizer.tokenize(texts[side], allow_special) for side in texts}
        for side in ids:
            more = columns.get(f"{side}_token_ids")
            if more is not None:
                ids[side] = tf.concat([ids[side], _check_tokens(more, f"{side}_token_ids")], axis=1)
        source, source_mask, source_is_truncated = self._pad_side(ids["source"])
        labels, mask, target_is_truncated = self._pad_side(ids["target"])
        inputs = {
            "encoder_token_ids": source,
            "encoder_padding_mask": source_mask,
            **self.shift_right(labels, mask),
        }
        weights = tf.cast(mask, tf.float32)
        if "weight" in columns:
            if columns["weight"].shape.rank != 1:
                raise ValueError(
                    "`sample_weight` must hold a number for each source. Received: "
                    f"shape={columns['weight'].shape} in a batch."
                )
            weights *= tf.cast(columns["weight"], tf.float32)[:, None]
        return Example(inputs, labels, weights, source_is_truncated | target_is_truncated)

    def shift_right(self, labels, padding_mask):
        """What the decoder reads while it learns `labels` (B, T): the start token, then they.

        Returns:
            dict of `decoder_token_ids` int32 (B, T) and `decoder_padding_mask` bool (B, T).
        """
        start = tf.fill([tf.shape(labels)[0], 1], self.start_token_id)
        return {
            "decoder_token_ids": tf.concat([start, labels[:, :-1]], axis=1),
            "decoder_padding_mask": padding_mask,
        }

    def _pad_side(self, ids):
        """Ids with their end token, padded on the right, their mask, and which were cut."""
        room = self.sequence_length - 1
        is_truncated = ids.row_lengths() > room
        ids = self._add_end(ids[:, :room])
        mask = tf.sequence_mask(ids.row_lengths())
        return ids.to_tensor(self.tokenizer.pad_token_id), mask, is_truncated

    def _add_end(self, ids):
        end = tf.fill([ids.nrows(), 1], self.tokenizer.end_token_id)
        return tf.concat([ids, tf.cast(end, tf.int32)], axis=1)

    def _add_prefix(self, texts):
        return tf.strings.join([self.prefix, texts]) if self.prefix else texts

    # Generation: the protocol `lmzoo.generation.protocol.GenerativeTask`.

    # Any text of its training may hold the sentinels.
    unread_special_tokens = ()

    @property
    def encode_settings(self):
        return (self.prefix, self.allow_special)

    @property
    def decode_settings(self):
        return (self.start_token_id, self.sequence_length)

    @property
    def max_sequence_length(self):
        """int. The longest source, and the longest target, in tokens."""
        return self.sequence_length

    def encode_prompts(self, texts, allow_special=False):
        """Texts, string (B,), to left-padded ids with prefix and end token, and their mask."""
        allow_special = allow_special or self.allow_special
        ids = self.tokenizer.tokenize(self._add_prefix(texts), allow_special)
        return left_pad(self._add_end(ids))

    def make_prompt(self, token_ids, padding_mask):
        """The tokens before the first new one, (B, 1): the decoder's start token."""
        shape = [tf.shape(token_ids)[0], 1]
        return tf.fill(shape, self.start_token_id), tf.ones(shape, tf.bool)

    def prefill(self, token_ids, padding_mask, num_slots):
        """Reads the sources: the logits (B, V) of the first token, and a cache of `num_slots`."""
        context = self.backbone.encode(token_ids, padding_mask)
        cache = self.backbone.make_cache(context, num_slots, padding_mask)
        return self.step(*self.make_prompt(token_ids, padding_mask), cache, 0)

    def step(self, token_ids, padding_mask, cache, slot):
        """Reads tokens (B, T) into the cache from `slot` on: the next logits (B, V), the cache."""
        hidden, cache = self.backbone.decode(token_ids, padding_mask, cache=cache, position=slot)
        # (B, T, D) -> (B, 1, D) -> (B, V): only the last position is asked
        return tf.squeeze(self.backbone.compute_logits(hidden[:, -1:]), 1), cache

    # Scoring

    def score(self, sources, targets, batch_size=None, *, allow_special=False):
        """The log-probability of each token of some targets.

        Args:
            sources: str or list of str.
            targets: str or list of str, one for each source.
            batch_size: int or None. Pairs that are computed together; None for 32.
            allow_special: bool or list of str. Which special tokens may be written in sources and
                targets, as for `generate`.
        Returns:
            float32 array, one number for each token of the target, the last for its end token; for
            a list, a list of arrays.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if the lists differ in length, a text is longer than `sequence_length`, or
                there is no tokenizer.
        """
        sources, is_single = self.read_texts(sources, "sources")
        targets, _ = self.read_texts(targets, "targets")
        check_lengths(targets=targets, sources=sources)
        specs = [tf.TensorSpec([None], tf.string, name) for name in ("source", "target")]
        graph = self._get_graph(
            ("score", repr(allow_special)),
            lambda: trace_once(functools.partial(self._score, allow_special), specs),
        )
        results = self.run_graph(graph, [sources, targets], batch_size)
        for index, result in enumerate(results):
            if result["is_too_long"]:
                raise ValueError(
                    f"A text must have at most {self.sequence_length} tokens. Received: a longer "
                    f"source or target at index {index}."
                )
        scores = [np.array(result["log_probs"][result["mask"]]) for result in results]
        return scores[0] if is_single else scores

    def _score(self, allow_special, source, target):
        columns = {"source": source, "target": target}
        inputs, labels, _, is_truncated = self.encode(columns, 0, allow_special)
        logits = self(inputs, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return {
            "log_probs": -losses,
            "mask": inputs["decoder_padding_mask"],
            "is_too_long": is_truncated,
        }

    def compute_text_logits(self, prompts, texts):
        """In the graph: the logits that predict each token of some targets.

        Args:
            prompts: tf.RaggedTensor int32 (B, None). The sources, to which their end token is added
                but no `prefix`.
            texts: tf.RaggedTensor int32 (B, None). The targets, without an end token.
        Returns:
            (float (B, M, V), int32 (B, M)): the logits, and the tokens of `texts`, padded.
        """
        sources, targets = self._add_end(prompts), texts.to_tensor()
        inputs = {
            "encoder_token_ids": sources.to_tensor(),
            "encoder_padding_mask": tf.sequence_mask(sources.row_lengths()),
            **self.shift_right(targets, tf.sequence_mask(texts.row_lengths())),
        }
        return self(inputs, training=False), targets

    def get_config(self):
        names = "prefix label_smoothing z_loss start_token_id"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "sequence_length": self._sequence_length,
        }


def _check_columns(columns):
    for name in ("source", "target"):
        if name not in columns:
            raise ValueError(
                "Training must have a target for each source. Received: columns "
                f"{', '.join(columns)}, without `{name}`."
            )


def _check_tokens(ids, name):
    if not ids.dtype.is_integer or ids.shape.rank != 2:
        raise TypeError(
            f"`{name}` must hold a list of integers for each row, in batches. Received: "
            f"dtype={ids.dtype.name}, shape={ids.shape}."
        )
    return tf.cast(ids, tf.int32)
