"""Labelled text, row by row: memory, tables, CoNLL, SQuAD, GLUE, folders.

Public: `Rows`, `make_rows` and the functions `read_...`.
"""

__all__ = []
