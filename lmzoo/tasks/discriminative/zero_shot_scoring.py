"""Scores of zero-shot labels: by entailment, or by the likelihood of a language model.

Shapes: B texts, L labels, R = B * L pairs of both, C classes of an entailment model.
"""

import tensorflow as tf

from lmzoo.data.corpus.packing import count_text_tokens, pack

__all__ = ["EntailmentScorer", "LikelihoodScorer"]


class EntailmentScorer:
    """Scores a label by the probability that the text entails the template with the label.

    Args:
        model: `TextClassifier` trained on pairs of premise and hypothesis, not `multi_label`.
        template: str with one `{}`, which the label replaces. The hypothesis.
        entailment_label: str or None. None for the label named "entailment".
        contradiction_label: str or None. None for the label named "contradiction", or the other one
            of two.
    Raises:
        ValueError: if the model has no such label, or is `multi_label`.
    """

    default_template = "This example is {}."

    def __init__(self, model, template, entailment_label=None, contradiction_label=None):
        if model.multi_label:
            raise ValueError(
                "`model` must have one label for each text, as a model of entailment does. "
                f"Received: multi_label={model.multi_label!r}. Train one with multi_label=False."
            )
        self.model = model
        self.before, self.behind = template.split("{}")
        self.entailment = _find_label(model, "entailment", entailment_label)
        if self.entailment is None:
            raise ValueError(
                "`model` must have a label 'entailment'. Received: a model with the labels "
                f"{', '.join(model.labels.names)}. Name its label for it as "
                "`entailment_label`."
            )
        self.contradiction = _find_label(model, "contradiction", contradiction_label)
        if self.contradiction is None and len(model.labels) == 2:
            self.contradiction = 1 - self.entailment

    @property
    def sequence_length(self):
        """int. The longest pair of text and hypothesis in tokens."""
        return self.model.sequence_length

    @property
    def supports_multi_label(self):
        """bool. Whether a label can be scored without the others."""
        return self.contradiction is not None

    def compute_scores(self, texts, labels, multi_label=False):
        """In the graph: string (B,), string (L,) -> probabilities float32 (B, L), bool (B,).

        With `multi_label`, or with a single label, the softmax is over a label's entailment and
        contradiction; otherwise over the labels. The second result is `is_truncated`.
        """
        num_texts, num_labels = tf.shape(texts)[0], tf.shape(labels)[0]
        hypotheses = tf.strings.join([self.before, labels, self.behind])
        inputs, is_truncated = self._pack(texts, hypotheses)
        logits = tf.cast(self.model(inputs, training=False), tf.float32)
        logits = tf.reshape(logits, [num_texts, num_labels, len(self.model.labels)])
        entailed = logits[..., self.entailment]
        if self.contradiction is None:
            return tf.nn.softmax(entailed), is_truncated
        # A softmax of two is a sigmoid of their difference.
        alone = tf.sigmoid(entailed - logits[..., self.contradiction])
        if multi_label:
            return alone, is_truncated
        return tf.where(num_labels == 1, alone, tf.nn.softmax(entailed)), is_truncated

    def _pack(self, texts, hypotheses):
        """Token batches of R pairs, the labels of a text side by side, and is_truncated bool (B,).

        Only the text is truncated: truncated labels could become equal.
        """
        tokenizer, length = self.model.tokenizer, self.sequence_length
        texts, hypotheses = self.model.tokenize(texts), self.model.tokenize(hypotheses)
        # (1, L), (B, 1) -> (B, L)
        special = self.model.special_tokens
        room = count_text_tokens(tokenizer, length, 2, **special) - hypotheses.row_lengths()[None]
        is_truncated = tf.reduce_any(texts.row_lengths()[:, None] > room, axis=1)
        longest = tf.reduce_max(tf.concat([hypotheses.row_lengths(), [0]], 0))
        message = f"`labels` must leave room for a text in {length} tokens with the template."
        check = tf.debugging.Assert(tf.reduce_all(room > 0), [message, "Received tokens:", longest])
        with tf.control_dependencies([check]):
            rows = tf.range(texts.nrows() * hypotheses.nrows())
        text_rows, label_rows = rows // hypotheses.nrows(), rows % hypotheses.nrows()
        kept = tf.gather(texts, text_rows)
        positions = tf.ragged.range(kept.row_lengths())
        kept = tf.ragged.boolean_mask(kept, positions < tf.gather(room[0], label_rows)[:, None])
        inputs, _, _ = pack([kept, tf.gather(hypotheses, label_rows)], tokenizer, length, **special)
        return inputs, is_truncated


class LikelihoodScorer:
    """Scores a label by its log-probability after the text and the template.

    Args:
        model: language model with `compute_log_probs` and `max_sequence_length`.
        template: str that ends in `{}`, which the label replaces. It follows the text. Spaces
            before the label are tokenized with the label, as byte-level tokenizers do.
        normalize: bool. If True, the score is the mean over the label's tokens, else the sum.
        calibrate: bool. If True, the label's log-probability without a text is subtracted.
    Raises:
        ValueError: if the template does not end with the label.
    """

    default_template = "\nThis is about {}"
    supports_multi_label = False

    def __init__(self, model, template, normalize=False, calibrate=False):
        self.model = model
        question, behind = template.split("{}")
        if behind:
            raise ValueError(
                "`template` must end with the label for a language model. Received: "
                f"template={template!r}."
            )
        self.question = question.rstrip(" ")
        self.spaces = question[len(self.question) :]
        self.normalize = normalize
        self.calibrate = calibrate

    @property
    def sequence_length(self):
        """int. The longest text in tokens, with template and label."""
        return self.model.max_sequence_length

    def compute_scores(self, texts, labels, multi_label=False):
        """In the graph: string (B,), string (L,) -> probabilities float32 (B, L), bool (B,).

        The second result is `is_truncated`.
        """
        labels = self.model.tokenizer.tokenize(tf.strings.join([self.spaces, labels]))
        log_probs, is_truncated = self._compute_log_probs(texts, labels)
        if self.calibrate:
            log_probs -= self._compute_log_probs(tf.constant([""]), labels)[0]
        return tf.nn.softmax(log_probs), is_truncated

    def _compute_log_probs(self, texts, labels):
        """Of labels (L, None) after texts (B,): float32 (B, L); and is_truncated bool (B,)."""
        num_texts, num_labels = tf.shape(texts)[0], tf.shape(labels.row_lengths())[0]
        prompts, is_truncated = self._encode_prompts(texts, tf.reduce_max(labels.row_lengths()))
        rows = tf.range(num_texts * num_labels)
        log_probs = self.model.compute_log_probs(
            tf.gather(prompts, rows // num_labels), tf.gather(labels, rows % num_labels)
        )
        reduce = tf.reduce_mean if self.normalize else tf.reduce_sum
        return tf.reshape(reduce(log_probs, axis=1), [num_texts, num_labels]), is_truncated

    def _encode_prompts(self, texts, label_length):
        """Texts with the template, ragged (B, None), the text truncated; and is_truncated."""
        tokenizer = self.model.tokenizer
        prompts = tokenizer.tokenize_prompts(tf.strings.join([texts, self.question]))

        # The template is kept, and so are the first tokens of the text.
        question = tf.shape(tokenizer.tokenize(tf.constant([self.question])).values, tf.int64)[0]
        room = self.sequence_length - label_length - question
        message = f"`labels` must fit {self.sequence_length} tokens with the question."
        check = tf.debugging.Assert(room > 0, [message, "Received tokens:", label_length, question])
        with tf.control_dependencies([check]):
            positions = tf.ragged.range(prompts.row_lengths())
        from_end = tf.expand_dims(prompts.row_lengths(), 1) - positions
        is_kept = (positions < room) | (from_end <= question)
        return tf.ragged.boolean_mask(prompts, is_kept), prompts.row_lengths() > room + question


def _find_label(model, meaning, name):
    """The id of the label `name`, or of the one named by its meaning; None if there is none."""
    if name is not None:
        if name not in model.labels.names:
            raise ValueError(
                f"`{meaning}_label` must be one of {', '.join(model.labels.names)}. Received: "
                f"{meaning}_label={name!r}."
            )
        return model.labels.names.index(name)
    found = [i for i, known in enumerate(model.labels.names) if known.lower() == meaning]
    return found[0] if found else None
