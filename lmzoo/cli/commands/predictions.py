"""What `lmzoo classify`, `tag`, `fill`, `answer` and `embed` do."""

import pathlib

from lmzoo.cli.opening import check_task, open_task, read_texts
from lmzoo.cli.printing import make_printable, print_json

__all__ = ["answer", "classify", "embed", "fill", "tag"]


def classify(arguments):
    """Prints the labels of texts.

    Args:
        arguments: argparse.Namespace of `lmzoo classify`.
    Raises:
        ValueError: if `SOURCE` is no classifier, or with `--candidate-labels` no model for
            zero-shot classification.
    """
    texts, options = read_texts(arguments.texts), {"top_k": arguments.top_k}
    if arguments.candidate_labels is None:
        task = _open(arguments, "TextClassifier")
        found = task.classify(texts, **options)
    else:
        if arguments.labels is not None:
            raise ValueError(
                "`--labels` must not be given with `--candidate-labels`, which needs no head of "
                "its own. Leave one of them out."
            )
        task = open_task(arguments)
        from lmzoo.tasks import ZeroShotClassifier

        found = ZeroShotClassifier(task).classify(texts, arguments.candidate_labels, **options)
    rows = [[row] if isinstance(row, dict) else row for row in found]
    _print(
        arguments,
        [{"text": text, "labels": row} for text, row in zip(texts, rows, strict=True)],
        lambda record: ", ".join(f"{x['label']} {x['score']:.3f}" for x in record["labels"]),
    )


def tag(arguments):
    """Prints the spans of texts, such as names.

    Args:
        arguments: argparse.Namespace of `lmzoo tag`.
    Raises:
        ValueError: if `SOURCE` is no token classifier.
    """
    texts = read_texts(arguments.texts)
    rows = _open(arguments, "TokenClassifier").tag(texts)
    _print(
        arguments,
        [{"text": text, "spans": row} for text, row in zip(texts, rows, strict=True)],
        lambda record: ", ".join(
            f"{x['label']} {x['text']} {x['score']:.3f} ({x['start']}-{x['end']})"
            for x in record["spans"]
        ),
    )


def fill(arguments):
    """Prints the most probable tokens for the mask tokens of texts.

    Args:
        arguments: argparse.Namespace of `lmzoo fill`.
    Raises:
        ValueError: if `SOURCE` is no masked language model, or a text has no mask token.
    """
    texts = read_texts(arguments.texts)
    rows = _open(arguments, "MaskedLM").fill(texts, top_k=arguments.top_k)
    # With one mask the library gives no list of masks.
    rows = [row if isinstance(row[0], list) else [row] for row in rows]
    _print(
        arguments,
        [{"text": text, "masks": row} for text, row in zip(texts, rows, strict=True)],
        lambda record: " | ".join(
            ", ".join(f"{x['token']} {x['score']:.3f}" for x in mask) for mask in record["masks"]
        ),
    )


def answer(arguments):
    """Prints the answers to questions about one context.

    Args:
        arguments: argparse.Namespace of `lmzoo answer`.
    Raises:
        OSError: if the file of `--context-file` cannot be read.
        ValueError: if `SOURCE` does not answer questions.
    """
    questions = read_texts(arguments.texts)
    context = arguments.context
    if context is None:
        context = pathlib.Path(arguments.context_file).read_text(encoding="utf-8")
    rows = _open(arguments, "QuestionAnswerer").answer(questions, [context] * len(questions))
    _print(
        arguments,
        [{"question": text, **row} for text, row in zip(questions, rows, strict=True)],
        lambda record: (
            f"{record['answer']} {record['score']:.3f} ({record['start']}-{record['end']})"
            if record["start"] >= 0
            else f"no answer {record['no_answer_score']:.3f}"
        ),
    )


def embed(arguments):
    """Prints the vectors of texts.

    Args:
        arguments: argparse.Namespace of `lmzoo embed`.
    Raises:
        ValueError: if `SOURCE` gives no embeddings.
    """
    texts = read_texts(arguments.texts)
    rows = _open(arguments, "TextEmbedder").embed(texts)
    _print(
        arguments,
        [{"text": text, "embedding": row.tolist()} for text, row in zip(texts, rows, strict=True)],
        lambda record: " ".join(f"{number:.6g}" for number in record["embedding"]),
    )


def _open(arguments, name):
    task = open_task(arguments, task=name)
    check_task(arguments, task, name)
    return task


def _print(arguments, records, describe):
    """Prints records as JSON, or one line each: the text, if there are several, and the result."""
    if arguments.json:
        print_json(records)
        return
    for record in records:
        line = describe(record) or "nothing found"
        if len(records) > 1 and "embedding" not in record:
            line = f"{next(iter(record.values()))} -> {line}"
        print(make_printable(line))
