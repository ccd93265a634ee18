"""From text files to the datasets of an objective: what all objectives do alike."""

from lmzoo.data.checks import check_initial_step, check_seed, check_sizes
from lmzoo.data.corpus.documents import Corpus
from lmzoo.data.corpus.splits import check_validation_split, split_stream
from lmzoo.data.corpus.token_stream import stream_tokens

__all__ = ["make_datasets"]


def make_datasets(
    make_examples,
    files,
    tokenizer,
    held_out_options=None,
    *,
    sequence_length,
    batch_size,
    seed,
    shuffle,
    validation_split,
    field,
    document_separator,
    clean,
    initial_epoch,
    initial_step,
    cache_dir,
    verbose,
):
    """Tokenizes text files once, sets a share aside, and makes datasets; see `causal_lm`.

    Args:
        make_examples: callable. Takes a stream, and `sequence_length`, `batch_size`, `seed`,
            `shuffle` and `drop_remainder` by name; returns StreamExamples.
        held_out_options: dict or None. What `make_examples` is told besides of what is set aside.
    Returns:
        tf.data.Dataset, or a pair (training, validation) of them.
    """
    check_sizes(sequence_length, batch_size)
    check_initial_step(initial_epoch, initial_step)
    check_seed(seed)
    if validation_split is not None:
        check_validation_split(validation_split)
    corpus = Corpus(files, field, document_separator, clean)
    stream = stream_tokens(corpus, tokenizer, cache_dir, verbose)
    options = {"sequence_length": sequence_length, "batch_size": batch_size, "seed": seed}
    validation = None
    if validation_split is not None:
        stream, held_out = split_stream(stream, validation_split, seed)
        options_of_held_out = {**options, **(held_out_options or {})}
        validation = make_examples(
            held_out, **options_of_held_out, shuffle=False, drop_remainder=False
        )
    training = make_examples(stream, **options, shuffle=shuffle)
    dataset = training.dataset(initial_epoch, initial_step)
    return dataset if validation is None else (dataset, validation.dataset())
