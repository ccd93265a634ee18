"""From text to the datasets of an objective: the steps that all objectives share."""

import dataclasses
import os

from lmzoo.data.checks import check_initial_step, check_seed
from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.data.corpus.splits import check_validation_split, split_stream
from lmzoo.data.objectives.text_sources import open_stream
from lmzoo.text_files.bounded_reading import ReadLimits

__all__ = ["DatasetOptions", "ReadOptions", "build_datasets"]


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How text is read and tokenized; `causal_lm` explains each argument."""

    field: str = "text"
    document_separator: str | None = None
    clean: Cleaning | None = None
    cache_dir: str | os.PathLike | None = None
    verbose: bool = True
    limits: ReadLimits | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetOptions(ReadOptions):
    """How text is read, split, shuffled and batched; `causal_lm` explains each argument.

    Raises:
        TypeError: if `seed` is not an integer.
        ValueError: if another number is out of its range.
    """

    seed: int = 0
    shuffle: bool = True
    validation_split: float | None = None
    initial_epoch: int = 0
    initial_step: int = 0

    def __post_init__(self):
        check_initial_step(self.initial_epoch, self.initial_step)
        check_seed(self.seed)
        if self.validation_split is not None:
            check_validation_split(self.validation_split)


def build_datasets(make_examples, files, tokenizer, options, add_start=False):
    """Tokenizes a corpus, holds a share of it out, and batches both parts.

    Args:
        make_examples: callable. Takes a TokenStream, and `seed`, `shuffle`, `drop_remainder` and
            `fixed_noise` by name; returns StreamExamples.
        files: as `causal_lm` takes them.
        tokenizer: tokenizer with an end token.
        options: DatasetOptions.
        add_start: bool. As for `stream_tokens`.
    Returns:
        tf.data.Dataset; with `validation_split` a pair (training, validation) of them.
    """
    stream = open_stream(files, tokenizer, options, add_start=add_start)
    validation = None
    if options.validation_split is not None:
        stream, held_out = split_stream(stream, options.validation_split, options.seed)
        # Validation is the same each time: no shuffle, no new noise, no example left out.
        fixed = {"shuffle": False, "drop_remainder": False, "fixed_noise": True}
        validation = make_examples(held_out, seed=options.seed, **fixed).dataset()
    training = make_examples(stream, seed=options.seed, shuffle=options.shuffle)
    training = training.dataset(options.initial_epoch, options.initial_step)
    return training if validation is None else (training, validation)
