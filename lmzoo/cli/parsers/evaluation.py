"""The arguments of `lmzoo evaluate`."""

from lmzoo.cli import arguments

__all__ = ["add_evaluate"]


def add_evaluate(commands):
    evaluate = arguments.add_command(
        commands,
        "evaluate.evaluate",
        "score a model on labelled data, with confidence intervals",
        "Scores a model on data in the format of its task: a table (CSV, TSV, JSON lines) with the "
        "columns text and label, CoNLL files, SQuAD files, plain text for a language model, or a "
        "table with the columns source and target for texts that are generated. Each score comes "
        "with its bootstrap interval.",
        "lmzoo evaluate runs/films test.csv --metrics accuracy,macro_f1 --columns text=review\n"
        "  lmzoo evaluate runs/gpt book.txt --baselines --train corpus.txt",
    )
    arguments.add_source(evaluate)
    evaluate.add_argument("data", metavar="DATA", nargs="+", help="files of one format")
    arguments.add_names(
        evaluate,
        "--metrics",
        "the usual ones of the task by default; a wrong name lists those that fit",
    )
    evaluate.add_argument(
        "--references",
        metavar="FILE",
        help="a reference in each line, for sources in the lines of DATA",
    )
    evaluate.add_argument(
        "--columns",
        type=_read_columns,
        metavar="NAME=COLUMN,...",
        help="the names of a table's columns, such as text=sentence,label=gold",
    )
    evaluate.add_argument(
        "--compare",
        metavar="SOURCE",
        help="another model, on the same rows, with a paired test of each difference",
    )
    evaluate.add_argument(
        "--baselines",
        action="store_true",
        help="simple models beside it on the same rows; most are trained on --train",
    )
    evaluate.add_argument(
        "--train", nargs="+", metavar="FILE", help="what baselines are trained on, as DATA"
    )
    evaluate.add_argument(
        "--output",
        metavar="FOLDER",
        help="also write report.json, predictions.jsonl and, of a classifier, pictures",
    )
    arguments.add_overwrite(evaluate, "FOLDER")
    for name, metavar, text in (
        ("batch-size", "B", "rows in one forward pass"),
        (
            "stride",
            "N",
            "tokens that each window of a long text scores (default: half of the context)",
        ),
        ("resamples", "N", "how often the rows are drawn anew (default: 1000)"),
    ):
        evaluate.add_argument(f"--{name}", type=int, metavar=metavar, help=text)
    evaluate.add_argument(
        "--confidence", type=float, metavar="P", help="of the intervals (default: 0.95)"
    )
    evaluate.add_argument(
        "--tokens",
        choices=("words", "characters"),
        help="what ROUGE, distinct-n, repetition and length count (default: words)",
    )
    arguments.add_generation_options(evaluate)
    arguments.add_task(evaluate)
    arguments.add_json(evaluate, "print the report as JSON")
    arguments.add_dtype(evaluate)


def _read_columns(text):
    pairs = [pair.partition("=") for pair in text.split(",")]
    # `argparse` turns it into a message with the argument's name.
    if not all(name.strip() and column.strip() for name, _, column in pairs):
        raise ValueError(text)
    return {name.strip(): column.strip() for name, _, column in pairs}


_read_columns.__name__ = "NAME=COLUMN"
