"""Token classification: tags for words, and the named entities or other spans they make."""

import keras
import tensorflow as tf

from lmzoo.data.corpus.packing import pack
from lmzoo.data.rows.texts import list_arrays
from lmzoo.layers import ClassificationHead
from lmzoo.metrics import Accuracy, SpanF1
from lmzoo.runtime.predictions import TokenClassification
from lmzoo.tasks.discriminative import tagging
from lmzoo.tasks.discriminative.labels import LabelSet
from lmzoo.tasks.discriminative.text_arguments import read_weight
from lmzoo.tasks.discriminative.text_batches import check_strings
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.discriminative.word_packing import as_ragged, check_lengths, pack_words
from lmzoo.tasks.task import Task

__all__ = ["TokenClassifier"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TokenClassifier(TokenClassification, TextInput, Task):
    """Tags words, such as named entities or parts of speech, and finds the spans the tags make.

    Trains on lists of words: `fit(words, tags)`, both lists of lists of str (tags may be ids), or
    on rows with the columns `words` and `tags`, as `lmzoo.data.read_conll` returns them. Every
    token of a word is trained on the word's tag; tokens after the first have `I-` in place of
    `B-`. A weight belongs to a row, or is a list with a weight for each word.

    The metrics are the accuracy and the span F1 over words. They count every word of the data as
    `tag` tags it, also words that were truncated or that have no token. For token batches without
    `word_positions` they count tokens.

    Exported signatures:
        serving_default: `text` string (B,) -> `spans` int32 (B, S, 2), start and end in characters,
            padded with -1; `labels` string (B, S), padded with ""; `scores` float32 (B, S).
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `logits` float32 (B, T, C).

    Args:
        backbone: a model of `lmzoo.models`; of a `T5Backbone` the encoder.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        labels: list of str. The tags, by id: in IOB2 form, such as "O", "B-PER", "I-PER", or plain,
            such as parts of speech. `lmzoo.data.to_iob2` converts other schemes.
        dropout: float in [0, 1) or None. The dropout rate before the logits; None for the
            backbone's.
        sequence_length: int or None. The longest input in tokens, special tokens included. Longer
            texts are truncated, with one warning that counts them. None for the backbone's
            `max_sequence_length`.
        allow_special: list of str, by keyword. Special tokens that texts may contain, such as the
            entity markers "[E1]" and "[/E1]". All others are read as plain text.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T),
            `segment_ids` int (B, T). For metrics over W words also `word_positions` int (B, W),
            the index of each word's first token, or -1 for none; `word_tags` int (B, W), the
            labels; and `word_weights` float (B, W), 0 at padding.
    Returns:
        Logits, float (B, T, C).
    Raises:
        TypeError: if `labels` are not str.
        ValueError: if there are fewer than two labels, one is repeated, a number is out of its
            range, or the tokenizer has more tokens than the backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 5.3. They train the
        first token of a word alone; here all are trained, so that running text is tagged as well
        as lists of words.

    Example:
        tagger = lmzoo.tasks.TokenClassifier(backbone, tokenizer, ["O", "B-PER", "I-PER"])
        tagger.fit([["Ada", "Lovelace", "wrote"]], [["B-PER", "I-PER", "O"]])
        tagger.tag("Ada Lovelace")  # [{"text": "Ada Lovelace", "label": "PER", "start": 0, ...}]
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    uses_pooler = False
    label_column = "tags"

    def __init__(
        self, backbone, tokenizer=None, labels=None, dropout=None, sequence_length=None, **kwargs
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        self.labels = LabelSet(labels=labels)
        self.dropout = dropout
        self.sequence_length = sequence_length
        self._scheme = tagging.TagScheme(self.labels.names)
        # The tag of a word without a token.
        self._outside_id = self.labels.names.index("O") if "O" in self.labels.names else 0
        self.head = ClassificationHead(
            len(self.labels),
            dropout=backbone.dropout if dropout is None else dropout,
            initializer=keras.initializers.TruncatedNormal(
                stddev=backbone.initializer_range or 0.02
            ),
            **backbone.head_options,
            dtype=backbone.dtype_policy,
            name="head",
        )
        self.head.build((None, None, backbone.hidden_dim))

    def call(self, inputs, training=None):
        hidden = self.backbone.compute_hidden(inputs, training)
        return self.head(hidden, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape["token_ids"], len(self.labels))

    @property
    def prediction_kind(self):
        return "spans" if self._scheme.has_spans else "tags"

    # Training

    def _make_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def _make_metrics(self):
        metrics = [Accuracy()]
        if self._scheme.has_spans:
            metrics.append(SpanF1(list(self.labels.names), name="span_f1"))
        return metrics

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if "word_positions" in x:
            y, sample_weight = x["word_tags"], x["word_weights"]
            # A row in front of the tokens for words without one, which `tag` tags as outside.
            outside = tf.one_hot([[self._outside_id]], len(self.labels), dtype=y_pred.dtype)
            y_pred = tf.concat([tf.tile(outside, [tf.shape(y_pred)[0], 1, 1]), y_pred], axis=1)
            # (B, 1 + T, C) -> (B, W, C)
            y_pred = tf.gather(y_pred, x["word_positions"] + 1, batch_dims=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def to_columns(self, x, y=None, sample_weight=None):
        return super().to_columns(x if isinstance(x, dict) else {_name_of(x): x}, y, sample_weight)

    def label_rows(self, rows):
        for name in ("words", "tags"):
            if name not in rows.columns:
                raise ValueError(
                    "A tagger must have words and a tag for each. Received: rows with columns "
                    f"{', '.join(rows.columns)}, without `{name}`."
                )
        rows = rows.with_column("tags", self._read_tags)
        # Each tag is read once before training begins, not when its batch comes after hours.
        for _ in rows:
            pass
        return rows

    def _read_tags(self, row):
        check_lengths(row)
        return [self.labels.to_id(tag) for tag in row["tags"]]

    def read_weight(self, weight):
        if isinstance(weight, list):
            return [read_weight(each) for each in weight]
        return read_weight(weight)

    def encode_inputs(self, columns):
        if "words" not in columns:
            return super().encode_inputs(columns)
        packed = self._pack_words(columns["words"])
        return packed.inputs, packed.is_truncated

    def encode(self, columns, seed):
        for name in ("words", "tags"):
            if name not in columns:
                raise ValueError(
                    "A tagger must have words and a tag for each. Received: batches of "
                    f"{', '.join(columns)}, without `{name}`."
                )
        packed = self._pack_words(columns["words"])
        tags = self.labels.to_ids(as_ragged(columns["tags"]))
        labels = packed.to_tokens("tags", tags, filler=0)
        labels = tf.where(packed.is_first, labels, tf.gather(self._scheme.continuation_ids, labels))
        weights = tf.cast(packed.word_ids >= 0, tf.float32)
        word_weights = tf.ones_like(tags, tf.float32)
        if "weight" in columns:
            given = columns["weight"]
            if given.shape.rank == 1:
                given = tf.gather(given, tags.value_rowids())
            else:
                given = as_ragged(given).flat_values
            word_weights = tags.with_flat_values(tf.cast(given, tf.float32))
            weights *= packed.to_tokens("weight", word_weights, filler=0.0)
        words = {
            "word_positions": packed.positions,
            "word_tags": tags.to_tensor(0),
            "word_weights": word_weights.to_tensor(0.0),
        }
        return Example({**packed.inputs, **words}, labels, weights, packed.is_truncated)

    def _pack_words(self, words):
        check_strings({"words": words}, ["words"], rank=2)
        return pack_words(
            words,
            self.tokenizer,
            self.sequence_length,
            self.allow_special,
            **self.special_tokens,
        )

    # Prediction

    to_lists = staticmethod(list_arrays)

    def find_spans(self, texts, batch_size):
        """See `TokenClassification`."""
        graph = self.get_text_function("tag", self._tag)
        results = self.run_graph(graph, [texts], batch_size)
        return [_to_spans(text, result) for text, result in zip(texts, results, strict=True)]

    def find_tags(self, rows, batch_size):
        """See `TokenClassification`."""
        graph = self.get_text_function("tag_tokens", self._tag_tokens)
        results = self.run_graph(graph, [[" ".join(words) for words in rows]], batch_size)
        outside = self.labels.names[self._outside_id]
        rows_of_tags = []
        for words, result in zip(rows, results, strict=True):
            tags, start = [], 0
            for word in words:
                # The first token that begins in the word decides.
                inside = (result["starts"] >= start) & (result["starts"] < start + len(word))
                found = result["tags"][inside]
                tags.append(self.labels.names[found[0]] if found.size else outside)
                start += len(word) + 1
            rows_of_tags.append(tags)
        return rows_of_tags

    def _tag_tokens(self, text):
        """In the graph: tag, probability, id, start and end of each token, all (B, T).

        Special tokens and white space have the start and end -1. Also `is_truncated` (B,).
        """
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text, self.allow_special)
        is_visible = tagging.find_visible_tokens(text, starts, ends)
        offsets = [tf.where(is_visible, offsets.flat_values, -1) for offsets in (starts, ends)]
        columns = [ids.flat_values, *offsets]
        inputs, features, is_truncated = pack(
            [ids.with_flat_values(tf.stack(columns, axis=-1))],
            self.tokenizer,
            self.sequence_length,
            **self.special_tokens,
        )
        probabilities = tf.nn.softmax(tf.cast(self(inputs, training=False), tf.float32))
        return {
            "tags": tf.argmax(probabilities, axis=-1, output_type=tf.int32),
            "scores": tf.reduce_max(probabilities, axis=-1),
            "is_finite": tf.reduce_all(tf.math.is_finite(probabilities), axis=[1, 2]),
            "token_ids": inputs["token_ids"],
            "starts": features[..., 0],
            "ends": features[..., 1],
            "is_truncated": is_truncated,
        }

    def _tag(self, text):
        tokens = self._tag_tokens(text)
        about = {name: tokens.pop(name) for name in ("is_truncated", "is_finite")}
        is_text = tokens["starts"] >= 0
        tokens = {name: tf.ragged.boolean_mask(tokens[name], is_text) for name in tokens}
        ids = tokens["token_ids"]
        begins = tagging.find_word_starts(
            text, ids, tokens["starts"], tokens["ends"], self.tokenizer.continues_word
        )
        # A word has the tag of its first token and reaches to the end of its last.
        last = tf.concat([begins, [True]], 0)[1:]
        kept = {
            name: tf.ragged.boolean_mask(tokens[name], ids.with_flat_values(begins))
            for name in ("tags", "scores", "starts")
        }
        kept["ends"] = tf.ragged.boolean_mask(tokens["ends"], ids.with_flat_values(last))
        found = tagging.decode_spans(self._scheme, **kept)
        names = tf.constant([*self._scheme.types, ""])
        return {
            "spans": found["spans"],
            "labels": tf.gather(names, found["types"] % len(self._scheme.types + ("",))),
            "scores": found["scores"],
            **about,
        }

    def text_functions(self):
        return {"serving_default": self.get_text_function("tag", self._tag, served=True)}

    def get_config(self):
        return {
            **super().get_config(),
            "labels": list(self.labels.names),
            "dropout": self.dropout,
            "sequence_length": self._sequence_length,
        }


def _to_spans(text, result):
    spans = []
    for (start, end), label, score in zip(
        result["spans"].tolist(), result["labels"].tolist(), result["scores"].tolist(), strict=True
    ):
        if start >= 0:
            label = label.decode("utf-8")
            span = {"text": text[start:end], "label": label, "start": start, "end": end}
            spans.append({**span, "score": score})
    return spans


def _name_of(x):
    """The column of an argument of `fit` or `predict`: "words" for lists of words, or "text"."""
    if hasattr(x, "shape"):
        return "text" if len(x.shape) == 1 and not hasattr(x, "row_splits") else "words"
    return "text" if len(x) and isinstance(x[0], str) else "words"
