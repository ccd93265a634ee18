"""Masked language modelling: the pretraining task of encoders."""

import keras
import tensorflow as tf

from lmzoo.data.corpus.packing import pack
from lmzoo.data.objectives.masking import Masking
from lmzoo.layers import MaskedLMHead
from lmzoo.metrics import Accuracy
from lmzoo.runtime.predictions import MaskFilling
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.head_loss import HeadLoss
from lmzoo.tasks.task import Task

__all__ = ["MaskedLM"]


@keras.saving.register_keras_serializable(package="lmzoo")
class MaskedLM(MaskFilling, TextInput, HeadLoss, Task):
    """Predicts masked tokens (BERT's masked language model).

    Trains on raw text: `fit(texts)`. Each epoch masks other tokens. `lmzoo.data.masked_lm` makes
    the same token batches of files that are too large for memory; they go into `fit` as they are.

    Exported signatures:
        serving_default: `text` string (B,) with mask tokens -> `tokens` string (B, M, 5), the most
            probable tokens for each of at most M masks, and `scores` float32 (B, M, 5). A text with
            fewer masks is filled with empty tokens of score 0.
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `logits` float32 (B, T, V).

    Args:
        backbone: an encoder of `lmzoo.models`, such as `BertBackbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers` with a mask token, or None to work on ids.
        mask_rate: float in (0, 1). The share of tokens to predict.
        whole_word: bool. If True, all tokens of a word are masked together.
        sequence_length, allow_special: as for `TextClassifier`.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T),
            `segment_ids` int (B, T) and `mask_positions` int (B, P).
    Returns:
        Logits, float (B, T, V); with `mask_positions` those of these positions alone, (B, P, V).
    Raises:
        ValueError: if a number is out of its range, or the tokenizer does not fit the backbone or
            has no mask token.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1.

    Example:
        lm = lmzoo.tasks.MaskedLM(backbone, tokenizer)
        lm.fit(texts, epochs=10)
        lm.fill("The [MASK] sat")  # [{"token": "cat", "score": 0.21}, ...]
    """

    backbone_kinds = ("encoder",)
    makes_labels = True
    prediction_kind = "masked_tokens"
    uses_pooler = False

    def __init__(
        self,
        backbone,
        tokenizer=None,
        mask_rate=0.15,
        whole_word=False,
        sequence_length=None,
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        self.mask_rate = mask_rate
        self.whole_word = whole_word
        self.sequence_length = sequence_length
        if tokenizer is not None:
            # A tokenizer without a mask token is refused here and not in the first `fit`.
            Masking(tokenizer, mask_rate, whole_word)
        options = {"activation": backbone.activation, **backbone.masked_lm_head_options}
        self.head = MaskedLMHead(
            backbone.vocabulary_size,
            norm_epsilon=backbone.norm_epsilon,
            initializer=keras.initializers.TruncatedNormal(
                stddev=backbone.initializer_range or 0.02
            ),
            **options,
            dtype=backbone.dtype_policy,
            name="head",
        )
        embeddings = backbone.token_embedding.embeddings
        self.head.build((None, None, backbone.hidden_dim), embeddings.shape)

    def call(self, inputs, training=None):
        hidden = self.backbone(inputs, training=training)["sequence_output"]
        positions = inputs.get("mask_positions")
        if positions is not None:
            # (B, T, D) -> (B, P, D). Logits of other tokens would be computed for nothing.
            hidden = tf.gather(hidden, positions, batch_dims=1)
        return self.score_tokens(hidden)

    def compute_logits(self, hidden):
        return self.head(hidden, embeddings=self.backbone.token_embedding.embeddings)

    def split_head(self, hidden):
        features = self.head.transform(hidden)
        return features, self.backbone.token_embedding.embeddings, self.head.bias

    def compute_output_shape(self, input_shape):
        shape = input_shape.get("mask_positions", input_shape["token_ids"])
        return (*shape, self.backbone.vocabulary_size)

    # Training

    def _make_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def _make_metrics(self):
        return [Accuracy()]

    def to_columns(self, x, y=None, sample_weight=None):
        if y is not None:
            raise ValueError(
                "`y` must be None: the masked tokens are the labels. Received: a "
                f"{type(y).__name__}. A pair of texts goes in as `(texts, pairs)`."
            )
        return super().to_columns(x, y, sample_weight)

    def encode(self, columns, seed):
        inputs, is_truncated = self.encode_inputs(columns)
        masking = Masking(self.tokenizer, self.mask_rate, self.whole_word)
        inputs, labels, weights = masking.apply(inputs, seed)
        if "weight" in columns:
            weights *= tf.cast(columns["weight"], tf.float32)[:, None]
        return Example(inputs, labels, weights, is_truncated)

    # Prediction

    @property
    def mask_token(self):
        """str. What a text has in the place of a masked token."""
        return self.tokenizer.mask_token

    def fill_masks(self, texts, top_k, batch_size):
        """See `MaskFilling`."""
        predictions = []
        for result in self.run_graph(self._get_fill(top_k), [texts], batch_size):
            # Texts with fewer masks than others have empty tokens in the end.
            tokens = [row for row in result["tokens"].tolist() if row[0]]
            scores = result["scores"][: len(tokens)].tolist()
            predictions.append(
                [
                    [
                        {"token": token.decode("utf-8", "replace"), "score": score}
                        for token, score in zip(*both, strict=True)
                    ]
                    for both in zip(tokens, scores, strict=True)
                ]
            )
        return predictions

    def _get_fill(self, top_k, served=False):
        self.check_num_tokens(top_k)
        return self.get_text_function(
            f"fill {top_k}", lambda text: self._fill(text, top_k), served=served
        )

    def _fill(self, text, top_k):
        ids = self.tokenizer.tokenize(text, [self.tokenizer.mask_token, *self.allow_special])
        inputs, _, is_truncated = pack([ids], self.tokenizer, self.sequence_length)
        token_ids = inputs["token_ids"]
        # (B, T) -> (B, M), the masks of each row
        is_mask = token_ids == self.tokenizer.mask_token_id
        all_positions = tf.broadcast_to(tf.range(tf.shape(token_ids)[1]), tf.shape(token_ids))
        found = tf.ragged.boolean_mask(all_positions, is_mask)
        positions = found.to_tensor()
        logits = self({**inputs, "mask_positions": positions}, training=False)
        logits = tf.cast(logits[..., : self.tokenizer.vocabulary_size], tf.float32)
        special = [self.tokenizer.token_to_id(token) for token in self.tokenizer.special_tokens]
        is_special = tf.reduce_max(tf.one_hot(special, self.tokenizer.vocabulary_size), 0) > 0
        scores = tf.where(is_special, 0.0, tf.nn.softmax(logits))
        # (B, M, V) -> (B, M, top_k)
        scores, ids = tf.math.top_k(scores, top_k)
        tokens = self.tokenizer.detokenize(tf.reshape(ids, [-1, 1]))
        is_real = tf.sequence_mask(found.row_lengths(), tf.shape(positions)[1])[..., None]
        return {
            "tokens": tf.where(is_real, tf.reshape(tokens, tf.shape(ids)), ""),
            "scores": tf.where(is_real, scores, 0.0),
            "is_truncated": is_truncated,
        }

    def text_functions(self):
        return {"serving_default": self._get_fill(5, served=True)}

    def get_config(self):
        return {
            **super().get_config(),
            "mask_rate": self.mask_rate,
            "whole_word": self.whole_word,
            "sequence_length": self._sequence_length,
        }
