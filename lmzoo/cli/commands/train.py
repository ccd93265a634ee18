"""What `lmzoo train` does."""

from lmzoo.cli.arguments import check_workers, repeat_command
from lmzoo.cli.printing import print_record

__all__ = ["train"]


def train(arguments):
    """Trains by a recipe and prints the report.

    Args:
        arguments: argparse.Namespace of `lmzoo train`.
    Returns:
        int. The exit code: of several local workers that of the first one that failed.
    Raises:
        ValueError, OSError: as `lmzoo.train`; ValueError also if options do not go together.
    """
    if arguments.keys:
        from lmzoo.runs.schema import describe_schema

        print(describe_schema())
        return 0
    if arguments.recipe is None:
        raise ValueError("`RECIPE` must be given, or `--keys` to see what it may hold.")
    overrides = arguments.set
    check_workers(arguments)
    if arguments.workers is not None:
        return _train_workers(arguments)
    # Wrong keys are found before TensorFlow is imported.
    from lmzoo.runs import check, read_recipe
    from lmzoo.runs import train as train_by_recipe

    read_recipe(arguments.recipe, overrides)
    if arguments.dry_run:
        found = check(arguments.recipe, overrides=overrides)
        print_record(found, found.items(), arguments.json)
        return 0
    run = train_by_recipe(arguments.recipe, overrides=overrides, verbose=True)
    if run.report:
        from lmzoo.runs.report import list_rows

        print_record(run.report, [*list_rows(run.report), ("run_dir", run.folder)], arguments.json)
    return 0


def _train_workers(arguments):
    from lmzoo.runs.local_workers import run_workers
    from lmzoo.runs.recipe import read_recipe

    read_recipe(arguments.recipe, arguments.set)
    return run_workers(repeat_command("train", arguments), arguments.workers)
