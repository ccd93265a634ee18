"""What `lmzoo tune` does."""

from lmzoo.cli.arguments import check_workers, repeat_command
from lmzoo.cli.printing import print_record

__all__ = ["tune"]


def tune(arguments):
    """Searches by a recipe and prints the best trial.

    Args:
        arguments: argparse.Namespace of `lmzoo tune`.
    Returns:
        int. The exit code: of local workers that of the first one that failed.
    Raises:
        ImportError, OSError, RuntimeError, ValueError: as `lmzoo.tuning.search`; ValueError also if
            options do not go together.
    """
    if arguments.keys:
        from lmzoo.runs.schema import describe_schema
        from lmzoo.tuning.schema import TUNING_SCHEMA

        print(describe_schema(TUNING_SCHEMA))
        return 0
    if arguments.recipe is None:
        raise ValueError("`RECIPE` must be given, or `--keys` to see what it may hold.")
    check_workers(arguments)
    # Wrong keys are found before TensorFlow is imported.
    from lmzoo.tuning.driver import search
    from lmzoo.tuning.plan import read_plan

    plan = read_plan(arguments.recipe, arguments.set)
    if arguments.dry_run:
        found = plan.describe()
        print_record(found, found.items(), arguments.json)
        return 0
    if arguments.workers is not None:
        return _tune_with_workers(arguments)
    found = search(arguments.recipe, overrides=arguments.set, verbose=True)
    if found.report:
        print_record(found.report, _list_rows(found), arguments.json)
    return 0


def _list_rows(found):
    """The numbers of a search for people: list of (name, value)."""
    report = found.report
    best = next(trial for trial in report["trials"] if trial["rank"] == 1)
    rows = [
        ("trials", f"{len(report['trials'])}, {report['failed']} failed"),
        ("best trial", best["trial"]),
        (report["objective"], f"{best['objective']:.6g}"),
        *best["values"].items(),
        ("seconds", f"{report['seconds']:.0f}"),
    ]
    if report["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in report["importance"].items())
        rows.append(("importance", shares))
    return [*rows, ("report", found.folder / "report.html"), ("model", found.best)]


def _tune_with_workers(arguments):
    from lmzoo.tuning.local_workers import run_local_workers

    return run_local_workers(repeat_command("tune", arguments), arguments.workers)
