"""Completing text: a decoder that is asked for the next token."""

import keras
import numpy as np
import tensorflow as tf

from lmzoo.generation.pipeline import check_not_empty, check_tokenizer, left_pad, list_prompts
from lmzoo.generation.text_generation import TextGeneration
from lmzoo.tasks.generative.language_model import LanguageModel
from lmzoo.tasks.generative.packed_text_input import PackedTextInput
from lmzoo.tasks.task import Task
from lmzoo.tracing import trace_once

__all__ = ["CausalLM"]


@keras.saving.register_keras_serializable(package="lmzoo")
class CausalLM(PackedTextInput, LanguageModel, TextGeneration, Task):
    """Predicts each next token of a text, and so completes it.

    Trained on `fit(texts)`, see `fit`, or on token batches as `lmzoo.data.causal_lm` gives them.

    Args:
        backbone: `lmzoo.models.GPTBackbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        generation_defaults: dict of options of `lmzoo.generation.GenerationOptions`, or None. What
            `generate`, `stream` and `export` begin with where they are not given an option.
        end_token_ids: ints, or None for the tokenizer's. The tokens that end a text.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `document_ids` int (B, T).
    Returns:
        Logits, float (B, T, V).
    Raises:
        TypeError: if a default is unknown or of the wrong type.
        ValueError: if the tokenizer does not fit the backbone, or a default or an id is out of its
            range.

    Example:
        >>> backbone = lmzoo.models.GPTBackbone(100, num_layers=1, num_heads=2, hidden_dim=8)
        >>> lm = lmzoo.tasks.CausalLM(backbone)
        >>> lm({"token_ids": np.array([[1, 2, 3]])}).shape
        TensorShape([1, 3, 100])
    """

    backbone_kinds = ("decoder",)
    prediction_kind = "completions"

    def __init__(
        self, backbone, tokenizer=None, generation_defaults=None, end_token_ids=None, **kwargs
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        self.generation_defaults = generation_defaults
        self.end_token_ids = end_token_ids

    def call(self, inputs, training=None):
        return self.score_tokens(self.backbone(inputs, training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape["token_ids"], self.backbone.vocabulary_size)

    # Training

    def _make_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    # Generation: the protocol `lmzoo.generation.protocol.GenerativeTask`.

    @property
    def max_sequence_length(self):
        """int. How many tokens the context holds, prompt and new ones."""
        return self.backbone.max_sequence_length

    def encode_prompts(self, texts, allow_special=False):
        """Texts, string (B,), to left-padded ids and their mask.

        A prompt begins with a start token where the tokenizer says so, and where it is empty.
        """
        return left_pad(self.tokenizer.tokenize_prompts(texts, allow_special))

    def make_prompt(self, token_ids, padding_mask):
        """The tokens before the first new one, (B, P), and their mask: the prompt itself."""
        return token_ids, padding_mask

    def prefill(self, token_ids, padding_mask, num_slots):
        """Reads the prompts: the logits (B, V) of what comes next, and a cache of `num_slots`."""
        cache = self.backbone.make_cache(tf.shape(token_ids)[0], num_slots)
        return self.step(token_ids, padding_mask, cache, 0)

    def step(self, token_ids, padding_mask, cache, slot):
        """Reads tokens (B, T) into the cache from `slot` on: the next logits (B, V), the cache."""
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        hidden, cache = self.backbone(inputs, cache=cache, position=slot)
        # (B, T, D) -> (B, 1, D) -> (B, V): only the last position is asked
        return tf.squeeze(self.backbone.compute_logits(hidden[:, -1:]), 1), cache

    # Scoring

    def score(self, texts, prompts=None, batch_size=8, *, allow_special=False):
        """The log-probability of each token of some texts.

        Args:
            texts: str or list of str (without a tokenizer: ids, or a list of them).
            prompts: what each text follows, in the same form; None for the start of a document.
            batch_size: int. Texts that are computed together.
            allow_special: bool or list of str. Which special tokens may be written in texts and
                prompts, as for `generate`.
        Returns:
            float32 array, one number for each token of the text; for a list, a list of arrays.
        Raises:
            TypeError: if a text or a prompt is of the wrong type.
            ValueError: if a prompt with its text is longer than the context, an id is not in the
                vocabulary, or the lists differ in length.
        """
        if allow_special:
            check_tokenizer(self.tokenizer, "allow_special")
        texts, is_single = self._list_prompts(texts, "texts")
        if prompts is None:
            prompts = self._fill_empty([[]] * len(texts))
        else:
            prompts = self._to_prompt_ids(prompts, allow_special)
        if len(prompts) != len(texts):
            raise ValueError(
                "`prompts` must be as many as `texts`. Received: "
                f"{len(prompts)} prompts, {len(texts)} texts."
            )
        if self.tokenizer is not None and texts:
            texts = self.tokenizer.tokenize(tf.constant(texts), allow_special).to_list()
        rows = list(zip(prompts, texts, strict=True))
        for index, (prompt, ids) in enumerate(rows):
            if len(prompt) + len(ids) > self.max_sequence_length:
                raise ValueError(
                    f"`texts` must fit the context of {self.max_sequence_length} tokens. Received: "
                    f"text {index} of {len(prompt) + len(ids)} tokens with its prompt."
                )
        scores = []
        for start in range(0, len(rows), batch_size):
            scores += self._score_batch(rows[start : start + batch_size])
        return scores[0] if is_single else scores

    def _to_prompt_ids(self, prompts, allow_special):
        """Prompts as lists of ids, none of them empty."""
        batch, _ = self._list_prompts(prompts, "prompts")
        if self.tokenizer is None or not batch:
            return self._fill_empty(batch)
        return self.tokenizer.tokenize_prompts(batch, allow_special).to_list()

    def _list_prompts(self, prompts, name):
        has_tokenizer = self.tokenizer is not None
        return list_prompts(prompts, self.backbone.vocabulary_size, has_tokenizer, name)

    def _fill_empty(self, rows):
        """Lists of ids, those without any as the start of a document."""
        if self.tokenizer is None:
            check_not_empty(rows)
        return [ids or [self.tokenizer.start_token_id] for ids in rows]

    def _score_batch(self, rows):
        prompts, texts = (tf.ragged.constant(ids, tf.int32) for ids in zip(*rows, strict=True))
        spec = tf.RaggedTensorSpec([None, None], tf.int32)
        graph = self._get_graph(
            "score",
            lambda: trace_once(self.compute_log_probs, [spec, spec]),
        )
        return [np.array(row, np.float32) for row in graph(prompts, texts).numpy()]

    def compute_text_logits(self, prompts, texts):
        """In the graph: the logits that predict each token of some texts.

        Args:
            prompts: tf.RaggedTensor int32 (B, None). What each text follows, at least one token.
            texts: tf.RaggedTensor int32 (B, None). With its prompt, each may have one token more
                than the context, as the last one is not read.
        Returns:
            (float (B, M, V), int32 (B, M)): the logits, and the tokens of `texts`, padded.
        """
        # The last token of each row predicts nothing.
        read = tf.concat([prompts, texts], axis=1)[:, :-1]
        mask = tf.sequence_mask(read.row_lengths(), read.bounding_shape()[1])
        token_ids = read.to_tensor()
        hidden = self.backbone({"token_ids": token_ids, "padding_mask": mask}, training=False)
        # The logits of the prompts, V numbers a token, are not asked for.
        targets = texts.to_tensor()
        positions = tf.expand_dims(prompts.row_lengths() - 1, 1) + tf.range(
            tf.shape(targets, tf.int64)[1]
        )
        positions = tf.clip_by_value(positions, 0, tf.shape(token_ids, tf.int64)[1] - 1)
        # (B, T, D) -> (B, M, D) -> (B, M, V)
        return self.backbone.compute_logits(tf.gather(hidden, positions, batch_dims=1)), targets
