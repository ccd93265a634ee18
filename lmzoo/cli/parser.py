"""The parser of the command line: each command, in the order of `lmzoo --help`.

Nothing here imports TensorFlow, so that `--help` and a mistyped option are answered at once.
"""

import argparse
import sys

import lmzoo
from lmzoo.cli.parsers import evaluation, exported, models, prediction, training

__all__ = ["EXIT_USAGE", "make_parser"]

EXIT_USAGE = 2
_DESCRIPTION = """\
Language models for Keras: from text files to one file that takes text and gives text.

A SOURCE is a model: a folder in Hugging Face's layout, hf://org/name, or a name that
`lmzoo list` prints."""


def make_parser():
    """The parser of the command line; its result has the function of the command as `run`."""
    parser = _Parser(
        prog="lmzoo",
        description=_DESCRIPTION,
        epilog="example:\n  lmzoo demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lmzoo {lmzoo.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        training.add_demo,
        prediction.add_generate,
        prediction.add_predictions,
        prediction.add_explain,
        training.add_train,
        training.add_tune,
        evaluation.add_evaluate,
        exported.add_serve,
        models.add_export,
        exported.add_run,
        exported.add_bench,
        models.add_list,
        models.add_info,
        models.add_convert,
    ):
        add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in the one line that all errors have, and names the remedy."""

    def error(self, message):
        print(f"lmzoo: error: {message}. See `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)
