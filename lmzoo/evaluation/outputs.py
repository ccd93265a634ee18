"""What a model predicted on some rows, beside what is true of them."""

import dataclasses

__all__ = ["Outputs", "Settings"]


@dataclasses.dataclass
class Settings:
    """How to evaluate; see `lmzoo.evaluate`, whose keyword arguments these are."""

    references: object = None
    columns: dict | None = None
    batch_size: int | None = None
    stride: int | None = None
    generation: dict | None = None
    tokens: str = "words"
    bleu_tokenize: str = "13a"
    num_resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0
    name: str | None = None
    verbose: bool = True


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The predictions of one model on n rows.

    Args:
        columns: dict of name to a list or an array with n entries; `lmzoo.evaluation.kinds` says
            which a kind of task has.
        num_rows: int. n.
        unit: str. What one of the n is, in the plural, such as "rows" or "documents".
        labels: tuple of str. The names of the classes, by id; empty without classes.
    """

    columns: dict
    num_rows: int
    unit: str = "rows"
    labels: tuple = ()
