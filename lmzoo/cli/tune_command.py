"""What `lmzoo tune` does."""

import sys

from lmzoo.cli.printing import print_json, print_rows

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
    # Wrong keys are found before TensorFlow is imported.
    from lmzoo.tuning.driver import search
    from lmzoo.tuning.plan import read_plan

    plan = read_plan(arguments.recipe, arguments.set)
    if arguments.dry_run:
        found = plan.describe()
        _print(arguments, found, found.items())
        return 0
    if arguments.workers is not None:
        return _tune_with_workers(arguments)
    found = search(arguments.recipe, overrides=arguments.set, verbose=True)
    if found.report:
        _print(arguments, found.report, _list_rows(found))
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

    command = [sys.executable, "-m", "lmzoo.cli", "tune", arguments.recipe]
    command += [part for value in arguments.set for part in ("--set", value)]
    command += ["--json"] if arguments.json else []
    return run_local_workers(command, arguments.workers)


def _print(arguments, record, rows):
    if arguments.json:
        print_json(record)
    else:
        print_rows(rows)
