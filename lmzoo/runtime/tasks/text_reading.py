"""What tasks share that read texts: lists of texts to batches, and batches to results."""

import warnings

import numpy as np

from ..batch_engine import BatchEngine
from ..prompts import check_batch_size, list_texts
from .packing import pack_row, pad_rows
from .task import Task

__all__ = ["TextReading", "check_finite", "rank_labels", "softmax", "warn_of_truncation"]

_BATCH_SIZE = 32
_INPUTS = ("token_ids", "padding_mask", "segment_ids")


class TextReading(Task):
    """A task that answers texts with numbers; `lmzoo.tasks.TextInput` is its like.

    Args:
        file, num_threads: as for `Task`.
    """

    @property
    def output_width(self):
        """int. How many numbers the model gives, for a text or for each of its tokens."""
        return len(self.manifest.task_options["labels"])

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self._engine = BatchEngine(file, num_threads)
        options = self.manifest.task_options
        self.sequence_length = options["sequence_length"]
        self._special = {name: options[name] for name in ("add_start", "add_end")}
        self.allow_special = options["allow_special"]
        self._signatures = self._find_signatures()

    def _find_signatures(self):
        """The signatures on tokens by their length, -1 for any."""
        found = {}
        for name, (inputs, outputs) in self.file.signatures.items():
            is_known = "token_ids" in inputs and set(inputs) <= set(_INPUTS)
            if name.split("_")[0] == "tokens" and is_known and len(outputs) == 1:
                found[inputs["token_ids"].shape[-1]] = name
        if not found:
            raise ValueError(
                f"A file of a {self.task} must have the signature 'tokens'. Received: signatures "
                f"{', '.join(self.file.signatures)!s:.200}."
            )
        return found

    def read_texts(self, texts, name="texts"):
        """A list of texts, and whether the argument was a single str."""
        if self.manifest.tokenizer is None:
            raise ValueError(
                "A task must have a tokenizer to take texts. Received: tokenizer=None. Give token "
                "batches to `predict_tokens`."
            )
        is_single = isinstance(texts, str)
        return list_texts([texts] if is_single else texts, name), is_single

    def predict_tokens(self, token_ids, padding_mask=None, segment_ids=None):
        """Runs the model on a token batch.

        Args:
            token_ids: int (B, T).
            padding_mask: bool (B, T), or None for no padding.
            segment_ids: int (B, T), or None for zeros; for a model that reads them.
        Returns:
            float32 array: the output of the task.
        Raises:
            ValueError: if a shape is another one, or an id is out of its range.
        """
        token_ids = np.asarray(token_ids)
        inputs = {
            "token_ids": token_ids,
            "padding_mask": np.ones_like(token_ids) if padding_mask is None else padding_mask,
            "segment_ids": np.zeros_like(token_ids) if segment_ids is None else segment_ids,
        }
        inputs = {name: np.asarray(values) for name, values in inputs.items()}
        for name, values in inputs.items():
            if values.ndim != 2 or values.shape != token_ids.shape:
                raise ValueError(
                    f"`{name}` must be of shape (B, T), that of `token_ids`. Received: "
                    f"{values.shape}."
                )
        if not np.issubdtype(token_ids.dtype, np.integer):
            raise ValueError(f"`token_ids` must be integers. Received: dtype={token_ids.dtype}.")
        size = self.manifest.vocabulary_size
        wrong = token_ids[(token_ids < 0) | (token_ids >= size)]
        if wrong.size:
            raise ValueError(f"`token_ids` must be from 0 to {size - 1}. Received: {wrong[0]}.")
        if token_ids.shape[1] > self.manifest.max_sequence_length:
            raise ValueError(
                f"`token_ids` must have at most {self.manifest.max_sequence_length} tokens a row. "
                f"Received: {token_ids.shape[1]}."
            )
        return self._run_tokens(inputs)

    def pack(self, texts, features=None):
        """One text or a pair, lists of ids, as a PackedRow."""
        return pack_row(
            texts, self.tokenizer, self.sequence_length, features=features, **self._special
        )

    def tokenize(self, text):
        """The ids of a text."""
        return self.tokenizer.tokenize(text, list(self.allow_special))

    def run_texts(self, columns, make_rows, batch_size=None, truncated=None):
        """Runs the model over texts in batches of similar length, with one warning on truncation.

        Args:
            columns: list of lists of str of one length.
            make_rows: callable. One str of each column -> PackedRow.
            batch_size: int or None. None for 32.
        Returns:
            list of (PackedRow, array): the output of each text, with the row's padding.
        Raises:
            TypeError, ValueError: if `batch_size` is not a positive int.
        """
        check_batch_size(batch_size)
        texts = list(zip(*columns, strict=True))
        order = sorted(range(len(texts)), key=lambda index: -sum(map(len, texts[index])))
        results, size = [None] * len(texts), batch_size or _BATCH_SIZE
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            rows = [make_rows(*texts[index]) for index in chosen]
            outputs = self.run_rows(rows)
            for index, row, output in zip(chosen, rows, outputs, strict=True):
                results[index] = row, output
        are_truncated = [row.is_truncated for row, _ in results]
        warn_of_truncation(are_truncated, self.sequence_length, depth=5)
        return results

    def run_rows(self, rows):
        """Runs one batch of packed rows: the output, an array (B, ...)."""
        longest = max(len(row.ids) for row in rows)
        fitting = [length for length in self._signatures if length >= longest]
        length = min(fitting, default=None)
        if length is None and -1 not in self._signatures:
            raise ValueError(
                f"A row must have at most {max(self._signatures)} tokens, as the file was exported "
                f"for. Received: {longest}."
            )
        return self._run_tokens(
            pad_rows(rows, self.tokenizer.pad_token_id, length, self.sequence_length)
        )

    def _run_tokens(self, inputs):
        count, length = inputs["token_ids"].shape
        name = self._signatures.get(length, self._signatures.get(-1))
        if name is None:
            raise ValueError(
                f"`token_ids` must have one of the lengths {sorted(self._signatures)}. Received: "
                f"{length}."
            )
        specs, outputs = self.file.signatures[name]
        size, made = specs["token_ids"].shape[0], []
        (output,) = outputs
        for start in range(0, max(count, 1), count if size == -1 else size):
            batch = {}
            for key, spec in specs.items():
                values = inputs[key][start : start + (count if size == -1 else size)]
                # A file for batches of one size gets the last row again.
                fill = 0 if size == -1 else size - len(values)
                values = np.pad(values, [[0, fill], [0, 0]], mode="edge") if fill else values
                batch[key] = np.ascontiguousarray(values, spec.dtype)
            made.append(self._engine.run(name, batch)[output])
        results = np.concatenate(made)[:count]
        if results.shape[-1] != self.output_width:
            raise ValueError(
                f"A {self.task} of this manifest must give {self.output_width} numbers. Received: "
                f"results of shape {results.shape}."
            )
        return results


def warn_of_truncation(are_truncated, sequence_length, name="texts", depth=4):
    """Warns once, with their number, if texts were truncated; `depth` calls below the user's."""
    if count := sum(are_truncated):
        warnings.warn(
            f"{count} of {len(are_truncated)} {name} ({count / len(are_truncated):.1%}) were "
            f"longer than {sequence_length} tokens and were truncated.",
            stacklevel=depth,
        )


def check_finite(values, text):
    """Refuses scores that are not numbers: ValueError, which shows the text."""
    if not np.isfinite(values).all():
        raise ValueError(
            "The scores of a model must be finite. Received: NaN or infinity for the text "
            f"{text!r:.60}. Its weights have probably diverged in training, or overflow in float16."
        )


def softmax(logits):
    """float32 probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def rank_labels(labels, scores):
    """Labels and their scores, float32 (C,), as list of dict, the best first."""
    order = np.argsort(-scores, kind="stable")
    return [{"label": labels[index], "score": float(scores[index])} for index in order]
