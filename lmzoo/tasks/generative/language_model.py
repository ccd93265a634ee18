"""What the generative tasks share: the loss, perplexity in validation, and log-probabilities."""

import tensorflow as tf

from lmzoo.metrics import Perplexity
from lmzoo.tasks.head_loss import HeadLoss

__all__ = ["LanguageModel"]


class LanguageModel(HeadLoss):
    """A mixin before `Task`: `evaluate` and validation report the perplexity.

    Training steps do not. They would read all the logits a second time, and the loss says the same.
    """

    is_generative = True
    reads_predictions = False
    _call_remedy = "For texts, use `generate` or `score`."

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.perplexity = Perplexity(name="perplexity")

    def compute_logits(self, hidden):
        return self.backbone.compute_logits(hidden)

    def split_head(self, hidden):
        return *self.backbone.split_head(hidden), None

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            self.perplexity.update_state(y, y_pred, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_log_probs(self, prompts, texts):
        """In the graph: the log-probability of each token of some texts.

        Args:
            prompts, texts: tf.RaggedTensor int32 (B, None). As for `compute_text_logits`.
        Returns:
            tf.RaggedTensor float32 (B, None), with the row lengths of `texts`.
        """
        logits, targets = self.compute_text_logits(prompts, texts)
        log_probs = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        return tf.RaggedTensor.from_tensor(log_probs, texts.row_lengths())

    def train_step(self, data):
        logs = super().train_step(data)
        del logs["perplexity"]
        return logs
