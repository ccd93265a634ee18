"""The command line."""

__all__ = ["main"]


def main():
    raise SystemExit("not yet")
