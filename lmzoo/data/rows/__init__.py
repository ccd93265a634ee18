"""Labelled text, row by row: in-memory rows, tables, CoNLL, SQuAD, GLUE, folders.

A reader indexes its file once (record_files.py, json_elements.py) and returns `Rows`; these read a
row when asked for it and become batches in batches.py. Public: `Rows`, `make_rows`, `read_...`,
`to_iob2`.
"""

__all__ = []
