"""A recurrent language model in Keras."""

import keras
import numpy as np
import tensorflow as tf

from lmzoo.data.objectives.causal_lm import pack_texts
from lmzoo.data.progress import progress_bar
from lmzoo.data.rows.texts import list_texts
from lmzoo.layers.checks import check_size
from lmzoo.tracing import trace_once

__all__ = ["LSTMLM"]

_BATCH_SIZE = 16


class LSTMLM:
    """An LSTM of one layer, and a dense one whose outputs are compared with the embeddings.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers` with an end token.
        hidden_dim: int. D, of embeddings and state.
        max_sequence_length: int. Tokens of a training example, and where documents are cut into
            windows when they are scored.
        dropout: float in [0, 1). On embeddings and outputs.
        seed: int. Of weights, order and dropout.
    Raises:
        TypeError, ValueError: if a number is out of its range.

    Example:
        baseline = LSTMLM(lm.tokenizer).fit(texts, epochs=3)
        print(lmzoo.evaluate(baseline, {"text": held_out_texts}))

    Reference: Hochreiter and Schmidhuber 1997, "Long short-term memory"; Press and Wolf 2017,
        https://arxiv.org/abs/1608.05859, for the shared weights.
    """

    prediction_kind = "likelihoods"

    def __init__(self, tokenizer, hidden_dim=256, max_sequence_length=128, dropout=0.1, seed=0):
        check_size(hidden_dim=hidden_dim, max_sequence_length=max_sequence_length)
        self.tokenizer = tokenizer
        self.max_sequence_length = max_sequence_length
        self.model = _build_model(tokenizer.vocabulary_size, hidden_dim, dropout, seed)
        spec = tf.TensorSpec([None, None], tf.int32)
        self._score = trace_once(self._compute_log_probs, [spec])

    @classmethod
    def build(cls, task, rows, seed=0, verbose=True):
        """A baseline for a language model, fitted on rows with a column `text`."""
        baseline = cls(task.tokenizer, max_sequence_length=task.max_sequence_length, seed=seed)
        return baseline.fit([row["text"] for row in rows], verbose=verbose)

    def fit(self, texts, epochs=3, batch_size=16, learning_rate=2e-3, verbose=True):
        """Trains on texts, packed into examples as `CausalLM.fit` packs them.

        Args:
            texts: list of str, each a document.
            epochs: int.
            batch_size: int.
            learning_rate: float. Adam's, which falls to 0 along a cosine.
            verbose: bool. Whether a terminal shows progress.
        Returns:
            LSTMLM, itself.
        Raises:
            TypeError, ValueError: if there is no text, or a number is out of its range.
        """
        check_size(epochs=epochs, batch_size=batch_size)
        examples = pack_texts(
            list_texts(texts), self.tokenizer, self.max_sequence_length, batch_size
        )
        num_steps = epochs * -(-examples.num_examples // batch_size)
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
        self.model.compile(
            keras.optimizers.Adam(rate, global_clipnorm=1.0),
            keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            ),
            jit_compile=False,
        )
        data = examples.dataset().map(lambda x, y, weights: (x["token_ids"], y, weights))
        with progress_bar("Training an LSTM", num_steps, verbose) as advance:
            report = keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs=None: advance(1)
            )
            self.model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=[report])
        return self

    def _compute_log_probs(self, token_ids):
        """In the graph: of each token but the first, float32 (B, T - 1)."""
        logits = self.model(token_ids[:, :-1], training=False)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(token_ids[:, 1:], logits)

    def score_windows(self, windows):
        """Scores the tokens of windows; see `lmzoo.evaluation.scoring.list_windows`.

        Args:
            windows: list of (list of int, list of int): what stands before, and what is scored.
        Returns:
            list of float32 arrays, the log-probabilities of the scored tokens.
        """
        whole = [[*before, *scored] for before, scored in windows]
        order = sorted(range(len(whole)), key=lambda index: -len(whole[index]))
        results = [None] * len(whole)
        for start in range(0, len(order), _BATCH_SIZE):
            chosen = order[start : start + _BATCH_SIZE]
            # Padding stands behind what is scored, so it changes nothing.
            batch = np.zeros([len(chosen), len(whole[chosen[0]])], "int32")
            for row, index in zip(batch, chosen, strict=True):
                row[: len(whole[index])] = whole[index]
            log_probs = self._score(batch).numpy()
            for row, index in zip(log_probs, chosen, strict=True):
                before, scored = windows[index]
                results[index] = row[len(before) - 1 :][: len(scored)]
        return results


def _build_model(vocabulary_size, hidden_dim, dropout, seed):
    token_ids = keras.Input([None], dtype="int32")
    embedding = keras.layers.ReversibleEmbedding(
        vocabulary_size,
        hidden_dim,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05, seed=seed),
    )
    hidden = keras.layers.Dropout(dropout, seed=seed)(embedding(token_ids))
    hidden = keras.layers.LSTM(
        hidden_dim,
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
    )(hidden)
    hidden = keras.layers.Dropout(dropout, seed=seed + 1)(hidden)
    # The states are below 1 in size, which alone would hold all logits near 0.
    hidden = keras.layers.Dense(
        hidden_dim, kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 1)
    )(hidden)
    return keras.Model(token_ids, embedding(hidden, reverse=True))
