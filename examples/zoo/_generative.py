"""What the scripts of models that write share: figures, and an LSTM and n-grams that write."""

import _zoo as zoo
import numpy as np
import tensorflow as tf
from _helpers.completions import train_lstm

import lmzoo
from lmzoo.data.pipeline import step_dataset
from lmzoo.evaluation.resampling import find_interval, resample
from lmzoo.evaluation.scoring import list_windows


def score_answers(task, name, rows, answers, metrics, groups):
    """Evaluates answers to all rows, and the share that is right in each group.

    Args:
        task: the task of the model, for the form of its rows.
        name: str. Who wrote the answers.
        rows: list of dict of `source` and `target`.
        answers: list of str.
        metrics: list of str, of `lmzoo.evaluate`.
        groups: dict of name to list of bool, for each row whether it is in it.
    Returns:
        `lmzoo.evaluation.Evaluation`. Its metrics are `metrics`, then the groups.
    """
    written = dict(zip([row["source"] for row in rows], answers, strict=True))
    writer = zoo.Baseline(task, generate=lambda sources, **_: [written[one] for one in sources])

    def evaluate(rows, metrics):
        columns = {key: [row[key] for row in rows] for key in ("source", "target")}
        return lmzoo.evaluate(writer, columns, metrics, name=name)

    evaluation = evaluate(rows, metrics)
    for group, chosen in groups.items():
        part = [row for row, is_in in zip(rows, chosen, strict=True) if is_in]
        if len(part) > 1:
            evaluation.scores[group] = evaluate(part, ["match_rate"]).scores["match_rate"]
    return evaluation


def measure_accuracy(predict, tokenizer, texts, length, batch_size=32):
    """How often the most probable next token is the right one, with its interval over texts.

    Args:
        predict: function from int (B, T) to the most probable next tokens, int (B, T), or -1 where
            it was not asked.
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        texts: list of str.
        length: int. Tokens that are read at once; half of them are read again in each window.
        batch_size: int.
    Returns:
        `lmzoo.evaluation.Score`.
    """
    start, counts = tokenizer.start_token_id, np.zeros([2, len(texts)])
    windows = [
        (number, *window)
        for number, text in enumerate(texts)
        for window in list_windows(
            tokenizer.tokenize([text]).to_list()[0], start, length, length // 2
        )
    ]
    for first in range(0, len(windows), batch_size):
        chosen = windows[first : first + batch_size]
        ids = np.zeros([len(chosen), length + 1], "int32")
        for row, (_, before, scored) in zip(ids, chosen, strict=True):
            row[: len(before) + len(scored)] = [*before, *scored]
        for best, (number, before, scored) in zip(predict(ids[:, :-1]), chosen, strict=True):
            best = best[len(before) - 1 :][: len(scored)]
            counts[:, number] += (best == scored).sum(), (best >= 0).sum()

    def compute(weights):
        return weights @ counts[0] / (weights @ counts[1])

    low, high = find_interval(resample([compute], len(texts), 1000, seed=0)[:, 0], 0.95)
    return lmzoo.evaluation.Score(
        compute(np.ones(len(texts))), low, high, len(texts), "documents", True
    )


class WritingNGrams:
    """The n-grams of `lmzoo.evaluation.baselines`, which write as well.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        texts: list of str. What they are counted in.
    """

    def __init__(self, tokenizer, texts):
        self.tokenizer = tokenizer
        self.baseline = lmzoo.evaluation.baselines.KneserNeyLM(tokenizer).fit(texts)
        self._generator = np.random.default_rng(0)

    def find_best(self, ids):
        """The next token, int. It depends on no more than the last tokens."""
        return int(self.baseline.predict(ids[1 - self.baseline.order :]).argmax())

    def find_some(self, ids, every=50):
        """The next token at one position in `every`, drawn at random, and -1 elsewhere."""
        best = np.full(ids.shape, -1)
        for row, end in np.argwhere(self._generator.random(ids.shape) < 1 / every):
            best[row, end] = self.find_best(ids[row, : end + 1].tolist())
        return best

    def write(self, prompts, max_new_tokens):
        """As `WritingLSTM.write`, until the first line break."""
        texts = []
        for prompt in prompts:
            ids, text = list(prompt), ""
            while len(ids) < len(prompt) + max_new_tokens and "\n" not in text:
                ids.append(self.find_best(ids))
                text = self.tokenizer.detokenize(ids[len(prompt) :]).numpy().decode()
            texts.append(text)
        return texts


class WritingLSTM:
    """The LSTM of `lmzoo.evaluation.baselines`, trained to write what follows a prompt.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        end_token_id: int. Where a text ends.
        **options: of `LSTMLM`.
    """

    def __init__(self, tokenizer, end_token_id, **options):
        self.tokenizer, self.end = tokenizer, end_token_id
        self.baseline = lmzoo.evaluation.baselines.LSTMLM(tokenizer, **options)
        self.model = self.baseline.model

    def fit(self, data, path, learning_rate=4e-3):
        """Trains on one pass over batches of inputs, labels and weights, if it was not done.

        Args:
            data: tf.data.Dataset.
            path: pathlib.Path. Where the weights are kept; ends in .weights.h5.
            learning_rate: float. As for `train_lstm`.
        Returns:
            WritingLSTM, itself.
        """
        if path.exists():
            self.model.load_weights(path)
            return self
        progress = lmzoo.training.RichProgress(label="Training an LSTM")
        train_lstm(self.baseline, data, learning_rate, [progress])
        self.model.save_weights(path)
        return self

    def find_best(self, ids):
        """The most probable next tokens, int (B, T)."""
        return tf.argmax(self.model(ids, training=False), axis=-1).numpy()

    def write(self, prompts, max_new_tokens, batch_size=64):
        """The most probable text after each prompt, a list of ids: list of str."""
        texts = [None] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            ids = self._continue([prompts[index] for index in chosen], max_new_tokens)
            rows = self.tokenizer.detokenize(tf.ragged.constant(ids, tf.int32)).numpy()
            for index, text in zip(chosen, rows, strict=True):
                texts[index] = text.decode("utf-8", "replace")
        return texts

    def _continue(self, prompts, max_new_tokens):
        lengths = np.array([len(prompt) for prompt in prompts])
        ids = np.zeros([len(prompts), lengths.max() + max_new_tokens], "int32")
        for row, prompt in zip(ids, prompts, strict=True):
            row[: len(prompt)] = prompt
        done, rows = np.zeros(len(prompts), bool), np.arange(len(prompts))
        for _ in range(max_new_tokens):
            best = self.find_best(ids[:, : lengths.max()])[rows, lengths - 1]
            ids[rows, lengths] = np.where(done, 0, best)
            done |= best == self.end
            lengths += ~done
            if done.all():
                break
        firsts = [len(prompt) for prompt in prompts]
        return [
            row[first:last].tolist() for row, first, last in zip(ids, firsts, lengths, strict=True)
        ]


def make_batches(token_ids, weights, batch_size, num_steps):
    """A dataset of `num_steps` batches of rows, for an LSTM.

    Args:
        token_ids: int array (R, T + 1).
        weights: float array (R, T). Of the tokens behind the first one.
        batch_size, num_steps: int.
    Returns:
        tf.data.Dataset of (inputs, labels, weights).
    """
    shape = (batch_size, token_ids.shape[1] - 1)

    def fetch(step):
        chosen = np.arange(step * batch_size, (step + 1) * batch_size) % len(token_ids)
        ids = token_ids[chosen].astype("int32")
        return [ids[:, :-1], ids[:, 1:], weights[chosen].astype("float32")]

    signature = (
        {"token_ids": tf.TensorSpec(shape, tf.int32)},
        tf.TensorSpec(shape, tf.int32),
        tf.TensorSpec(shape, tf.float32),
    )
    return step_dataset(fetch, signature, num_steps)
