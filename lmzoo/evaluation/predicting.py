"""Predictions of tasks, and texts that they write, as `Outputs`."""

import numpy as np

from lmzoo.data.progress import progress_bar
from lmzoo.evaluation.outputs import Outputs
from lmzoo.metrics.question_answering import score_answers
from lmzoo.metrics.spans import find_spans

__all__ = [
    *("compare_pairs", "list_column", "predict_answers", "predict_class_sets"),
    *("predict_classes", "predict_masked_tokens", "predict_numbers", "predict_spans"),
    *("predict_tags", "rank_alone", "rank_pairs", "write_texts"),
]

# Scores that are in memory at once: 32 MB.
_BLOCK = 1 << 22
# Prompts that are continued together.
_PROMPTS = 16


def list_column(rows, name):
    """A column of Rows as a list; None where they have none of that name."""
    return [row[name] for row in rows] if name in rows.columns else None


def predict_classes(task, rows, settings):
    """The best class of each text and its probability, beside the true one."""
    labelled = list(task.label_rows(rows))
    texts, pairs = list_column(rows, "text"), list_column(rows, "pair")
    found = task.classify(texts, pairs, top_k=1, batch_size=settings.batch_size)
    columns = {
        "true_ids": np.array([row["label"] for row in labelled]),
        "predicted_ids": np.array([task.labels.to_id(row[0]["label"]) for row in found]),
        "scores": np.array([row[0]["score"] for row in found]),
    }
    return Outputs(columns, len(texts), labels=tuple(task.labels.names))


def predict_class_sets(task, rows, settings):
    """Which classes each text has, bool (n, C): those with a probability of at least a half."""
    labelled = list(task.label_rows(rows))
    texts, pairs = list_column(rows, "text"), list_column(rows, "pair")
    found = task.classify(texts, pairs, batch_size=settings.batch_size)
    predicted = np.zeros([len(texts), len(task.labels)], bool)
    for row, labels in zip(predicted, found, strict=True):
        row[[task.labels.to_id(one["label"]) for one in labels]] = True
    true = np.array([row["label"] for row in labelled]) > 0.5
    columns = {"true_sets": true, "predicted_sets": predicted}
    return Outputs(columns, len(texts), labels=tuple(task.labels.names))


def predict_numbers(task, rows, settings):
    """The number, or row of numbers, of each text."""
    true = np.array([row["label"] for row in task.label_rows(rows)], "float64")
    texts, pairs = list_column(rows, "text"), list_column(rows, "pair")
    predicted = task.score(texts, pairs, batch_size=settings.batch_size).astype("float64")
    errors = np.abs(true - predicted).reshape(len(texts), -1).mean(axis=1)
    columns = {"absolute_errors": errors, "true_numbers": true, "predicted_numbers": predicted}
    return Outputs(columns, len(texts))


def _tag(task, rows, settings):
    """The true and predicted tags of each row, lists of lists of str."""
    names = task.labels.names
    true = [[names[tag] for tag in row["tags"]] for row in task.label_rows(rows)]
    return true, task.tag(list_column(rows, "words"), batch_size=settings.batch_size)


def predict_tags(task, rows, settings):
    """How many words of each row have the right tag."""
    return _make_tag_outputs(*_tag(task, rows, settings))


def _make_tag_outputs(true, predicted, **more):
    pairs = list(zip(true, predicted, strict=True))
    right = [sum(a == b for a, b in zip(*pair, strict=True)) for pair in pairs]
    columns = {"true_tags": true, "predicted_tags": predicted, "num_right": right}
    columns["num_words"] = [len(tags) for tags in true]
    return Outputs({**columns, **more}, len(true))


def predict_spans(task, rows, settings):
    """As `predict_tags`, and how many spans of each row are correct, true and predicted."""
    true, predicted = _tag(task, rows, settings)
    counts = []
    for pair in zip(true, predicted, strict=True):
        wanted, found = (set(find_spans(tags)) for tags in pair)
        counts.append([len(wanted & found), len(wanted), len(found)])
    return _make_tag_outputs(true, predicted, span_counts=counts)


def predict_answers(task, rows, settings):
    """Exact match and F1 of each answer, in percent, by the rules of the SQuAD scripts."""
    rows = task.label_rows(rows)
    questions, contexts, gold = (
        list_column(rows, name) for name in ("question", "context", "answers")
    )
    found = [
        answer["answer"]
        for answer in task.answer(questions, contexts, batch_size=settings.batch_size)
    ]
    version = "2.0" if task.no_answer else "1.1"
    scores = score_answers(gold, found, version, ("references", "predictions"))
    columns = {"answers": gold, "predicted_answers": found}
    for column, name in enumerate(("exact_matches", "answer_f1s")):
        columns[name] = [100.0 * score[column] for score in scores]
    return Outputs(columns, len(questions))


def rank_pairs(task, rows, settings):
    """The rank of each text's own pair, by the dot product of embeddings."""

    def make_scorer(candidates):
        vectors = task.embed(candidates, batch_size=settings.batch_size)
        return lambda queries: task.embed(queries, batch_size=settings.batch_size) @ vectors.T

    return _rank(rows, make_scorer)


def rank_alone(model, rows, settings):
    """The same of a model that scores candidates without vectors."""
    return _rank(rows, model.make_scorer)


def _rank(rows, make_scorer):
    """Ranks, from 1, among the different pairs of all rows.

    Candidates that score as high as the right one stand before it, so that a model that gives all
    the same score finds nothing.
    """
    queries, wanted = list_column(rows, "text"), list_column(rows, "pair")
    candidates = list(dict.fromkeys(wanted))
    numbers = {text: number for number, text in enumerate(candidates)}
    own = np.array([numbers[text] for text in wanted])
    ranks = np.empty(len(queries), int)
    size = max(1, _BLOCK // len(candidates))
    score = make_scorer(candidates)
    for start in range(0, len(queries), size):
        # (Q, N)
        scores = np.asarray(score(queries[start : start + size]))
        right = np.take_along_axis(scores, own[start : start + size, None], axis=1)
        ranks[start : start + size] = np.sum(scores >= right, axis=1)
    return Outputs({"ranks": ranks}, len(queries), "queries")


def compare_pairs(task, rows, settings):
    """The cosine of each pair beside its true similarity."""
    one, other = (
        task.embed(list_column(rows, name), batch_size=settings.batch_size).astype("float64")
        for name in ("text", "pair")
    )
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.sum(one * other, axis=1) / np.maximum(lengths, 1e-12)
    true = np.array(list_column(rows, "label"), "float64")
    return Outputs({"true_numbers": true, "predicted_numbers": cosines}, len(true))


def predict_masked_tokens(task, rows, settings):
    """Cross-entropy and hits of masked tokens, which are drawn as in training, by a fixed seed."""
    texts = list_column(rows, "text")
    size = settings.batch_size or task.batch_size
    columns = {"nats": [], "num_tokens": [], "num_right": []}
    for start in range(0, len(texts), size):
        inputs, labels, weights = task.preprocess(texts[start : start + size])
        logits = np.asarray(task(inputs, training=False), "float32")
        labels, weights = np.asarray(labels), np.asarray(weights, "float64")
        # (B, P, V) -> (B, P)
        largest = logits.max(axis=-1, keepdims=True)
        totals = np.log(np.exp(logits - largest).sum(axis=-1)) + largest[..., 0]
        losses = totals - np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
        columns["nats"] += np.sum(losses * weights, axis=1).tolist()
        columns["num_tokens"] += weights.sum(axis=1).tolist()
        columns["num_right"] += np.sum(weights * (logits.argmax(-1) == labels), axis=1).tolist()
    return Outputs({**columns, "num_words": columns["num_tokens"]}, len(texts))


def write_texts(task, rows, settings):
    """What a task writes for each source, and the references where rows have them."""
    sources, targets = list_column(rows, "source"), list_column(rows, "target")
    size = settings.batch_size or _PROMPTS
    # Prompts of similar length need little padding; the longest come first.
    order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    texts, options = [None] * len(sources), settings.generation or {}
    with progress_bar("Generating", len(sources), settings.verbose) as advance:
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = [sources[index] for index in chosen]
            written = task.generate(batch, return_prompt=False, **options)
            for index, text in zip(chosen, written, strict=True):
                texts[index] = text
            advance(len(chosen))
    columns = {"texts": texts}
    if targets is not None:
        columns["references"] = [[one] if isinstance(one, str) else one for one in targets]
    return Outputs(columns, len(sources))
