"""What `lmzoo evaluate` does."""

import argparse
import pathlib
import sys

from lmzoo.cli.opening import list_generation_options, open_task
from lmzoo.cli.printing import make_printable, print_json
from lmzoo.files import check_new_folder

__all__ = ["evaluate"]

_OPTIONS = ("columns", "references", "batch_size", "stride", "confidence", "tokens")


def evaluate(arguments):
    """Prints the scores of a model, and of those that it is compared with.

    Args:
        arguments: argparse.Namespace of `lmzoo evaluate`.
    Raises:
        FileExistsError: if the folder of `--output` has files.
        OSError: if a file is missing.
        ValueError: if a metric does not fit or data has another form.
    """
    _check_files(arguments)
    task = open_task(arguments)
    from lmzoo.evaluation import compare, evaluate
    from lmzoo.evaluation.baselines import check_train, evaluate_baselines
    from lmzoo.evaluation.report import write_report

    options, data = _list_options(arguments, task), list(map(pathlib.Path, arguments.data))
    train = list(map(pathlib.Path, arguments.train)) if arguments.train else None
    # What may be refused is, before anything is predicted.
    if arguments.baselines:
        check_train(task, train)
    other = None if arguments.compare is None else open_task(_replace_source(arguments))
    found = evaluate(task, data, arguments.metrics, name=arguments.source, **options)
    others, names = [], list(found.scores)
    if other is not None:
        others.append(evaluate(other, data, names, name=arguments.compare, **options))
    if arguments.baselines:
        others += evaluate_baselines(task, data, names, train, **options)
    if others:
        found = compare(found, *others)
    if arguments.json:
        print_json(found.to_dict())
    else:
        for line in str(found).split("\n"):
            print(make_printable(line))
    if arguments.output is not None:
        written = write_report(found, arguments.output, arguments.overwrite)
        print(f"Wrote {arguments.output}: {', '.join(written)}.", file=sys.stderr)


def _check_files(arguments):
    """Refuses what is missing before TensorFlow is imported and a model is opened."""
    files = [("DATA", path) for path in arguments.data]
    files += [("--train", path) for path in arguments.train or []]
    files += [("--references", path) for path in filter(None, [arguments.references])]
    for name, path in files:
        if not pathlib.Path(path).exists():
            raise FileNotFoundError(f"`{name}` must exist. Received: {path!r}.")
    if arguments.output is not None:
        check_new_folder(arguments.output, arguments.overwrite)


def _list_options(arguments, task):
    """The arguments of `lmzoo.evaluate` that were given."""
    options = {name: getattr(arguments, name) for name in _OPTIONS}
    options["num_resamples"] = arguments.resamples
    options = {name: value for name, value in options.items() if value is not None}
    generation = list_generation_options(arguments)
    # The seed of sampling is also that of the resamples.
    options["seed"] = generation.get("seed", 0)
    if task.is_generative:
        options["generation"] = generation
    elif unused := sorted(set(generation) - {"seed"}):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ValueError(
            "Options of generation must be for a model that generates. Received: "
            f"{names} for a {type(task).__name__}."
        )
    return options


def _replace_source(arguments):
    """The arguments with the other model as SOURCE."""
    others = {"source": arguments.compare, "revision": None, "task": None, "labels": None}
    return argparse.Namespace(**{**vars(arguments), **others})
