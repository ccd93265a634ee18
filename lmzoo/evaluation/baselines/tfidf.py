"""Logistic regression on words and pairs of words, by scikit-learn."""

import importlib

import numpy as np

from lmzoo.tasks import TextClassifier
from lmzoo.tasks.discriminative.labels import LabelSet

__all__ = ["TfidfClassifier"]


class TfidfClassifier:
    """Classifies texts by TF-IDF of their words and word pairs, and logistic regression.

    It needs scikit-learn: `pip install lmzoo[baselines]`. Labels are those of a `TextClassifier`,
    and so is `classify`.

    Args:
        labels: list of str. The names of the classes, by id.
        multi_label: bool. Whether a text may have any number of them.
        seed: int.
    Raises:
        ImportError: if scikit-learn is not installed.
        TypeError, ValueError: if `labels` are not different names, two at least.

    Example:
        baseline = TfidfClassifier(["bad", "good"]).fit(train_rows)
        print(lmzoo.evaluate(baseline, test_rows))
    """

    # It reads labels as a task does.
    label_rule = TextClassifier.label_rule
    prediction_kind = TextClassifier.prediction_kind
    read_label = TextClassifier.read_label
    label_rows = TextClassifier.label_rows

    def __init__(self, labels, multi_label=False, seed=0):
        _import_scikit_learn()
        self.labels = LabelSet(labels=labels)
        self.multi_label = multi_label
        self.seed = seed
        self._vectorizers = self._models = None

    @classmethod
    def build(cls, task, rows, seed=0, verbose=True):
        """A baseline for a classifier, fitted on rows with its columns."""
        return cls(list(task.labels.names), task.multi_label, seed).fit(rows)

    def fit(self, rows):
        """Learns rows with the columns `text`, `label` and maybe `pair`.

        Args:
            rows: lmzoo.data.Rows.
        Returns:
            TfidfClassifier, itself.
        Raises:
            ValueError: if a label is none of the task's, or no text has a word.
        """
        labelled = list(self.label_rows(rows))
        columns = [[row["text"] for row in labelled]]
        if "pair" in rows.columns:
            columns.append([row["pair"] for row in labelled])
        text_module, linear = _import_scikit_learn()
        # Each side of a pair has words of its own.
        self._vectorizers = [
            text_module.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(column)
            for column in columns
        ]
        features, labels = self._vectorize(columns), np.array([row["label"] for row in labelled])
        # One model for all classes, or for each whether it is there.
        targets = labels.T > 0.5 if self.multi_label else [labels]
        self._models = [self._fit_one(linear, features, target) for target in targets]
        return self

    def _fit_one(self, linear, features, target):
        if len(np.unique(target)) == 1:
            # scikit-learn refuses to learn from one class.
            return int(target[0])
        model = linear.LogisticRegression(max_iter=1000, random_state=self.seed)
        return model.fit(features, target)

    def _vectorize(self, columns):
        sparse = importlib.import_module("scipy.sparse")
        pairs = zip(self._vectorizers, columns, strict=True)
        return sparse.hstack([vectorizer.transform(column) for vectorizer, column in pairs])

    def classify(self, texts, pairs=None, *, top_k=None, threshold=0.5, batch_size=None):
        """Predicts labels and their probabilities; see `TextClassifier.classify`.

        Args:
            texts: list of str.
            pairs: list of str, or None.
            top_k, threshold: as there.
            batch_size: not used.
        Returns:
            list of lists of dicts with `label` and `score`, the best first.
        """
        features = self._vectorize([texts] if pairs is None else [texts, pairs])
        size = len(self.labels)
        if self.multi_label:
            columns = [_predict(model, features, 2)[:, 1] for model in self._models]
            scores = np.stack(columns, axis=1)
        else:
            scores = _predict(self._models[0], features, size)
        results = []
        for row in scores:
            order = np.argsort(-row, kind="stable")[: top_k or size]
            if top_k is None and self.multi_label:
                order = [number for number in order if row[number] >= threshold]
            names = self.labels.names
            results.append([{"label": names[n], "score": float(row[n])} for n in order])
        return results


def _predict(model, features, num_classes):
    """Probabilities, float (n, C); classes that were never seen have 0."""
    scores = np.zeros([features.shape[0], num_classes])
    if isinstance(model, int):
        scores[:, model] = 1.0
    else:
        scores[:, model.classes_.astype(int)] = model.predict_proba(features)
    return scores


def _import_scikit_learn():
    try:
        return tuple(
            importlib.import_module(f"sklearn.{name}")
            for name in ("feature_extraction.text", "linear_model")
        )
    except ImportError as error:
        raise ImportError(
            "A TF-IDF baseline must have scikit-learn. Received: no module "
            f"{error.name!r}. Run `pip install lmzoo[baselines]`."
        ) from error
