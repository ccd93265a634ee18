"""The three forms of a model of the zoo, and its score on the sample that lies beside them.

A form is what `lmzoo.load` opens, the SavedModel, or the .tflite. The SavedModel is opened with
TensorFlow alone, so this file imports nothing of lmzoo until another form is asked for.
"""

import json
import pathlib
from typing import NamedTuple

FORMS = ("model", "saved_model", "tflite")
FIGURES, SAMPLE, EXPORTED = "figures.json", "sample.json", "model.tflite"


class Job(NamedTuple):
    """How a kind of task is asked about a sample, and how its answers are scored.

    metric: str. What the score is.
    ask: function (model, rows) of a task, or of what `lmzoo.runtime.load` gives, to answers.
    ask_saved: function (signatures, rows) of a SavedModel's to the same answers.
    score: function (answers, rows) -> float.
    """

    metric: str
    ask: object
    ask_saved: object
    score: object


def score_form(folder, form):
    """The score of one form of a model on its sample.

    Args:
        folder: path. `saved_models/NAME`.
        form: str. One of `FORMS`.
    Returns:
        float.
    """
    folder = pathlib.Path(folder)
    job = JOBS[read_json(folder / FIGURES)["task"]]
    rows = read_json(folder / SAMPLE)
    if form == "saved_model":
        import tensorflow as tf

        if (folder / "spiece.model").exists():
            # The only tokenizer whose operators are not TensorFlow's own.
            import tensorflow_text  # noqa: F401

        # A name, for as long as its signatures are called.
        saved = tf.saved_model.load(str(folder / "1"))
        return job.score(job.ask_saved(saved.signatures, rows), rows)
    if form == "tflite":
        import lmzoo.runtime

        return job.score(job.ask(lmzoo.runtime.load(str(folder / EXPORTED)), rows), rows)
    import lmzoo

    return job.score(job.ask(lmzoo.load(folder), rows), rows)


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def column(rows, name):
    return [row[name] for row in rows]


def call(signatures, texts):
    """The outputs of a SavedModel's default signature, as NumPy arrays."""
    import tensorflow as tf

    outputs = signatures["serving_default"](text=tf.constant(texts))
    return {name: value.numpy() for name, value in outputs.items()}


# Classes: the rows have `text` and `label`.


def classify(model, rows):
    return [found["label"] for found in model.classify(column(rows, "text"))]


def classify_saved(signatures, rows):
    outputs = call(signatures, column(rows, "text"))
    best = outputs["scores"].argmax(axis=-1)
    names = outputs["labels"].reshape(-1, outputs["scores"].shape[-1])
    return [names[row % len(names)][index].decode() for row, index in enumerate(best)]


def score_equal(answers, rows, name="label"):
    """The share of answers that are what the sample has."""
    return sum(map(str.__eq__, answers, column(rows, name))) / len(rows)


# Spans: the rows have `text` and `spans`, lists of [start, end, label].


def tag(model, rows):
    return [
        [[span["start"], span["end"], span["label"]] for span in spans]
        for spans in model.tag(column(rows, "text"))
    ]


def tag_saved(signatures, rows):
    outputs = call(signatures, column(rows, "text"))
    return [
        [
            [*span, label.decode()]
            for span, label in zip(spans.tolist(), labels, strict=True)
            if span[0] >= 0
        ]
        for spans, labels in zip(outputs["spans"], outputs["labels"], strict=True)
    ]


def score_spans(answers, rows):
    """The F1 of spans that are right in both ends and the label."""
    right = found = wanted = 0
    for spans, row in zip(answers, rows, strict=True):
        mine, true = ({tuple(span) for span in side} for side in (spans, row["spans"]))
        right, found, wanted = right + len(mine & true), found + len(mine), wanted + len(true)
    return 2 * right / max(found + wanted, 1)


# Search: the rows have `text` and `pair`.


def embed(model, rows):
    return [model.embed(column(rows, name)) for name in ("text", "pair")]


def embed_saved(signatures, rows):
    return [call(signatures, column(rows, name))["embedding"] for name in ("text", "pair")]


def score_search(answers, rows):
    """The share of texts whose own pair is nearest among the pairs of the sample."""
    questions, pairs = answers
    return float(((questions @ pairs.T).argmax(axis=1) == range(len(rows))).mean())


# Writing: the rows have `source` and `target`, of one line.


def write(model, rows):
    return model.generate(column(rows, "source"), return_prompt=False, allow_special=True)


def write_saved(signatures, rows):
    """A prompt with special tokens needs the signatures of a running batch, which read them."""
    import tensorflow as tf

    sources = column(rows, "source")
    if "encode" not in signatures:
        texts = call(signatures, sources)["text"]
        return [
            text.decode().removeprefix(source) for text, source in zip(texts, sources, strict=True)
        ]
    prompts = signatures["encode"](text=tf.constant(sources), allow_special=tf.constant(True))
    new = signatures["tokens"](**prompts)
    new = {name: new[name] for name in ("token_ids", "padding_mask")}
    return [text.decode() for text in signatures["decode"](**new)["text"].numpy()]


def score_first_lines(answers, rows):
    """The share of answers whose first line is the target."""
    return score_equal([text.partition("\n")[0].rstrip() for text in answers], rows, "target")


JOBS = {
    "TextClassifier": Job("accuracy", classify, classify_saved, score_equal),
    "TokenClassifier": Job("span F1", tag, tag_saved, score_spans),
    "CausalLM": Job("exact match", write, write_saved, score_first_lines),
    "Seq2SeqLM": Job("exact match", write, write_saved, score_first_lines),
    "TextEmbedder": Job("recall@1", embed, embed_saved, score_search),
}
