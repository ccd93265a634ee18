"""Texts that a generative task writes, as `Outputs`."""

from lmzoo.data.progress import progress_bar
from lmzoo.evaluation.outputs import Outputs
from lmzoo.evaluation.predicting import list_column

__all__ = ["write_texts"]

_BATCH_SIZE = 16


def write_texts(task, rows, settings):
    """What a task writes for each source, and the references where rows have them."""
    sources, targets = list_column(rows, "source"), list_column(rows, "target")
    size = settings.batch_size or _BATCH_SIZE
    # Prompts of similar length need little padding; the longest come first.
    order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    texts, options = [None] * len(sources), settings.generation or {}
    with progress_bar("Generating", len(sources), settings.verbose) as advance:
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = [sources[index] for index in chosen]
            written = task.generate(batch, return_prompt=False, **options)
            for index, text in zip(chosen, written, strict=True):
                texts[index] = text
            advance(len(chosen))
    columns = {"texts": texts}
    if targets is not None:
        columns["references"] = [[one] if isinstance(one, str) else one for one in targets]
    return Outputs(columns, len(sources))
