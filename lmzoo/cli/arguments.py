"""Arguments that several commands have, and how a command is added to a parser."""

import argparse
import importlib
import sys

__all__ = [
    "add_command",
    "add_dtype",
    "add_generation_options",
    "add_json",
    "add_labels",
    "add_names",
    "add_overwrite",
    "add_recipe",
    "add_source",
    "add_task",
    "add_texts",
    "check_workers",
    "repeat_command",
]


def add_command(commands, function, summary, description, example, name=None):
    """Adds a command.

    Args:
        commands: what `argparse.ArgumentParser.add_subparsers` returns.
        function: str. The module of `lmzoo.cli.commands` and the function in it, "exported.run".
        summary, description, example: str. For its help.
        name: str or None. None for the name of the function.
    Returns:
        argparse.ArgumentParser.
    """
    module, _, own_name = function.partition(".")
    command = commands.add_parser(
        name or own_name,
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=_HelpFormatter,
    )
    command.set_defaults(run=_defer(module, own_name))
    # Left out here, it must not undo the one before the command.
    command.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    return command


def add_source(parser):
    parser.add_argument("source", metavar="SOURCE", help="a folder, hf://org/name or a name")
    parser.add_argument(
        "--revision", metavar="NAME", help="a branch, tag or commit of a SOURCE on the hub"
    )


def add_recipe(parser, example, dry_run, workers):
    """The arguments of a command that runs a recipe.

    Args:
        parser: argparse.ArgumentParser.
        example: str. A key with another value.
        dry_run, workers: str. What these options do.
    """
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a file such as recipe.toml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"another value for a key, such as {example}; may be given again",
    )
    parser.add_argument(
        "--keys", action="store_true", help="print all keys of a recipe and what they are"
    )
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    parser.add_argument("--workers", type=int, metavar="N", help=workers)
    add_json(parser, "print the report as JSON")


def check_workers(arguments):
    """Raises ValueError where local workers are asked for a dry run."""
    if arguments.dry_run and arguments.workers is not None:
        raise ValueError("`--workers` must not be given with `--dry-run`. Leave one of them out.")


def repeat_command(name, arguments):
    """The command line of a process that runs the same recipe: list of str.

    Args:
        name: str. The command.
        arguments: argparse.Namespace of a command with `add_recipe`.
    """
    command = [sys.executable, "-m", "lmzoo.cli", name, arguments.recipe]
    command += [part for value in arguments.set for part in ("--set", value)]
    return command + ["--json"] * arguments.json


def add_texts(parser, metavar, name):
    parser.add_argument(
        name,
        metavar=metavar,
        nargs="+",
        help="a text; - reads one from each line of standard input",
    )


def add_task(parser):
    parser.add_argument(
        "--task", metavar="CLASS", help="another class of lmzoo.tasks, with a fresh head"
    )
    add_labels(parser)


def add_labels(parser):
    add_names(
        parser,
        "--labels",
        "the names of the classes; another number than the model's makes a fresh head",
    )


def add_names(parser, option, text):
    """Adds an option that takes names with commas between them."""
    parser.add_argument(option, type=_split_names, metavar="NAME,NAME", help=text)


def _split_names(text):
    return [name.strip() for name in text.split(",")]


def add_generation_options(parser, with_beams=True):
    """What is left out has the default of `lmzoo.generation.GenerationOptions`."""
    group = parser.add_argument_group("generation")
    for name, kind, metavar, text in (
        ("max-new-tokens", int, "N", "the most new tokens (default: 64)"),
        ("temperature", float, "T", "0 is greedy (default: 0; 1 if sampling)"),
        ("top-k", int, "K", "sample among the K most probable tokens"),
        ("top-p", float, "P", "sample among the most probable tokens that together reach P"),
        ("min-p", float, "P", "leave out tokens below this share of the most probable one"),
        ("repetition-penalty", float, "X", "divide the logits of tokens seen by X"),
        ("num-beams", int, "N", "beam search with N beams"),
        ("seed", int, "SEED", "the same seed gives the same text"),
    ):
        if with_beams or name != "num-beams":
            group.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    group.add_argument(
        "--stop", action="append", metavar="TEXT", help="end before this text; may be given again"
    )


def add_dtype(parser):
    parser.add_argument(
        "--dtype", metavar="POLICY", help="a Keras dtype policy, such as mixed_bfloat16"
    )


def add_overwrite(parser, folder):
    parser.add_argument("--overwrite", action="store_true", help=f"replace {folder} if it is there")


def add_json(parser, help="print JSON"):
    parser.add_argument("--json", action="store_true", help=help)


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps a description and leaves an example's lines as they are."""

    def _fill_text(self, text, width, indent):
        if text.startswith("example:"):
            return text
        return super()._fill_text(text, width, indent)


def _defer(module, name):
    """A command's function, whose module is imported when the command runs."""

    def run(options):
        return getattr(importlib.import_module(f"lmzoo.cli.commands.{module}"), name)(options)

    return run
