"""Writes metrics.json: what scikit-learn, SciPy, seqeval, torchmetrics and t5 say of random data.

Run once by hand, where these five are installed; of t5 one file is enough.
"""

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import scipy.stats
import seqeval.metrics
import sklearn.metrics
from torchmetrics.functional.text import squad

TAGS = {
    "iob": ["O", "B-A", "I-A", "B-B", "I-B"],
    "iobes": ["O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"],
}
WORDS = "a the An cat Cat cat's dog, dog big! of The. 7 x-y é".split()


def main():
    generator = np.random.default_rng(5)
    record = {
        "single_label": [make_single_label(generator, size) for size in (2, 3, 7)],
        "multi_label": [make_multi_label(generator, size) for size in (2, 5)],
        "spans": [make_spans(generator, scheme) for scheme in TAGS for _ in range(8)],
        "squad": make_squad(generator),
        "squad_1.1": make_squad_1_1(np.random.default_rng(6)),
        "correlations": [make_correlations(generator, kind) for kind in ("real", "tied", "far")],
    }
    path = Path(__file__).with_name("metrics.json")
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    print(path.name, path.stat().st_size, "bytes")


def f1_scores(true, predicted, labels, weights, averages):
    scores = {}
    for average in averages:
        options = {"labels": labels, "average": average, "zero_division": 0}
        value = sklearn.metrics.f1_score(true, predicted, sample_weight=weights, **options)
        scores[str(average)] = np.asarray(value).tolist()
    return scores


def make_single_label(generator, num_classes):
    # The last class but one is never there, and the last never predicted.
    true = generator.integers(0, num_classes, 150)
    if num_classes > 3:
        true[true == num_classes - 2] = 0
    predicted = np.where(generator.random(150) < 0.5, true, generator.integers(0, num_classes, 150))
    if num_classes > 3:
        predicted[predicted == num_classes - 1] = 0
    weights = generator.integers(0, 4, 150)
    labels, averages = list(range(num_classes)), ["macro", "micro", "weighted", None]
    case = {"num_classes": num_classes, "true": true.tolist(), "predicted": predicted.tolist()}
    case["weights"] = weights.tolist()
    for name, sample_weight in (("plain", None), ("weighted", weights)):
        pair = (true, predicted)
        case[name] = {
            "accuracy": sklearn.metrics.accuracy_score(*pair, sample_weight=sample_weight),
            "matthews": sklearn.metrics.matthews_corrcoef(*pair, sample_weight=sample_weight),
            "f1": f1_scores(*pair, labels, sample_weight, averages),
        }
        if num_classes == 2:
            case[name]["f1"] |= f1_scores(*pair, None, sample_weight, ["binary"])
    return case


def make_multi_label(generator, num_classes):
    true = generator.integers(0, 2, (80, num_classes))
    predicted = np.where(generator.random(true.shape) < 0.7, true, 1 - true)
    weights = generator.integers(0, 4, 80)
    case = {"num_classes": num_classes, "true": true.tolist(), "predicted": predicted.tolist()}
    case["weights"] = weights.tolist()
    for name, sample_weight in (("plain", None), ("weighted", weights)):
        case[name] = {
            "accuracy": sklearn.metrics.accuracy_score(
                true, predicted, sample_weight=sample_weight
            ),
            "f1": f1_scores(
                true, predicted, None, sample_weight, ["macro", "micro", "weighted", None]
            ),
        }
    return case


def make_spans(generator, scheme):
    """150 texts of up to 12 words, as one digit a word, with the scores of all together."""
    tags = TAGS[scheme]
    true, predicted = [], []
    for length in generator.integers(1, 13, 150):
        row = generator.integers(0, len(tags), length)
        drawn = generator.integers(0, len(tags), length)
        true.append(row)
        predicted.append(np.where(generator.random(length) < 0.8, row, drawn))
    texts = [[[tags[tag] for tag in row] for row in rows] for rows in (true, predicted)]
    scores = {}
    for average in ("micro", "macro", None):
        for name in ("precision", "recall", "f1"):
            function = getattr(seqeval.metrics, f"{name}_score")
            value = function(*texts, average=average, zero_division=0)
            scores[f"{average} {name}"] = np.asarray(value).tolist()
    encoded = [["".join(map(str, row)) for row in rows] for rows in (true, predicted)]
    return {"tags": tags, "true": encoded[0], "predicted": encoded[1], "scores": scores}


def make_squad(generator):
    def text(most):
        return " ".join(generator.choice(WORDS, generator.integers(0, most)))

    predictions = [text(5) for _ in range(300)]
    references = [[f"cat {text(4)}" for _ in range(generator.integers(1, 4))] for _ in predictions]
    scores = squad(
        [{"prediction_text": text, "id": str(n)} for n, text in enumerate(predictions)],
        [
            {"answers": {"answer_start": [0] * len(gold), "text": gold}, "id": str(n)}
            for n, gold in enumerate(references)
        ],
    )
    scores = {name: float(value) for name, value in scores.items()}
    return {"predictions": predictions, "references": references, "scores": scores}


def make_squad_1_1(generator):
    """Golds of articles and marks alone as well, where the 1.1 script and the 2.0 script differ."""

    def text(most):
        return " ".join(generator.choice(WORDS, generator.integers(0, most)))

    predictions = [text(3) for _ in range(300)]
    references = [[text(3) for _ in range(generator.integers(1, 4))] for _ in predictions]
    scorer = load_t5_scorer()
    scores = scorer.qa_metrics(
        [[scorer.normalize_squad(text) for text in golds] for golds in references],
        [scorer.normalize_squad(text) for text in predictions],
    )
    scores = {"exact": float(scores["em"]), "f1": float(scores["f1"])}
    return {"predictions": predictions, "references": references, "scores": scores}


def load_t5_scorer():
    """T5's rendering of evaluate-v1.1.py, without the rest of the package that its import loads."""
    folder = importlib.util.find_spec("t5").submodule_search_locations[0]
    path = Path(folder, "evaluation", "qa_utils.py")
    spec = importlib.util.spec_from_file_location("qa_utils", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_correlations(generator, kind):
    true = generator.normal(size=120)
    predicted = true + generator.normal(size=120)
    if kind == "tied":
        true, predicted = np.round(2 * true), np.round(2 * predicted)
    if kind == "far":
        # The spread is a millionth of the mean.
        true, predicted = 1000 + 1e-3 * true, -5000 + 5e-3 * predicted
    true, predicted = np.round(true, 7), np.round(predicted, 7)
    return {
        "true": true.tolist(),
        "predicted": predicted.tolist(),
        "pearson": float(scipy.stats.pearsonr(true, predicted).statistic),
        "spearman": float(scipy.stats.spearmanr(true, predicted).statistic),
    }


if __name__ == "__main__":
    warnings.simplefilter("error", RuntimeWarning)
    main()
