"""The command line: `main` runs one command and prints its failure in one line.

`parsers` has the arguments of each command, and `commands` what it does. Nothing here imports
TensorFlow before a command needs it, so that `--help` and a mistyped option are answered at once.
Public: `main`.
"""

import os
import sys

from lmzoo.cli.parser import EXIT_USAGE, make_parser
from lmzoo.cli.printing import make_printable

__all__ = ["main"]

_EXIT_INTERRUPTED = 130


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: list of str or None. What follows the program's name; None for `sys.argv`.
    Returns:
        int, the exit code: 0; 1 if a check failed or the program has a defect; 2 for wrong use; 130
        after Ctrl-C.
    """
    options = make_parser().parse_args(arguments)
    # TensorFlow reads it once, when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return options.run(options) or 0
    except KeyboardInterrupt as interrupt:
        return _fail(options, _EXIT_INTERRUPTED, str(interrupt) or "interrupted")
    except BrokenPipeError:
        # The reader of our output is gone; Python must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FileExistsError as error:
        # The library's remedy in the words of the command line.
        words = str(error).replace("overwrite=True", "--overwrite")
        return _fail(options, EXIT_USAGE, f"error: {words}")
    except (ValueError, TypeError, OSError, ImportError) as error:
        return _fail(options, EXIT_USAGE, f"error: {error}")
    except Exception as error:
        return _fail(options, 1, f"error: {type(error).__name__}: {error}")


def _fail(options, code, message):
    if options.debug:
        raise
    text = make_printable(" ".join(message.split()))
    print(f"lmzoo: {text}", file=sys.stderr)
    return code
