"""`python -m lmzoo.cli` is the command `lmzoo`."""

import sys

from lmzoo.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
