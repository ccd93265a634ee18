"""What each command does, a module for each product. `parsers` says what it may be given."""

__all__ = []
