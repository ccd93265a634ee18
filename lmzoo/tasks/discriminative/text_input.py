"""Raw text for a task's `fit`, `evaluate`, `predict` and its own prediction methods."""

import re

import keras
import tensorflow as tf

from lmzoo.data import Rows, make_rows
from lmzoo.data.corpus.packing import pack
from lmzoo.data.rows.texts import list_arrays, list_texts
from lmzoo.keywords import takes_options
from lmzoo.layers.checks import check_size
from lmzoo.tasks.discriminative.inference import (
    check_finite,
    make_text_function,
    make_tokens_function,
    run_in_batches,
)
from lmzoo.tasks.discriminative.text_arguments import (
    FitOptions,
    check_alone,
    check_tokenizer,
    ints_to_floats,
    is_raw,
    name_columns,
    raw_parts,
    read_weight,
    unwrap_label,
)
from lmzoo.tasks.discriminative.text_batches import (
    Example,
    TruncationReport,
    check_strings,
    make_batches,
)

__all__ = ["Example", "TextInput"]

# A batch size that takes all rows.
_ALL = 2**31
# Tokens that a vocabulary holds in reserve, which nobody misses in a text.
_RESERVED = re.compile(r"extra_id_|unused|reserved", re.IGNORECASE)


class TextInput:
    """A mixin before `Task`: methods of Keras take raw text as well as token batches.

    The flow: arguments of `fit` -> columns -> `Rows` -> batches of strings -> `encode` -> token
    batches. A task defines `encode` (in the graph) and `text_functions`. It may name its columns
    and override `to_columns` (arguments to columns) and `label_rows` (labels to ids, with errors
    that name the row).
    """

    batch_size = 32
    text_columns = ("text", "pair")
    label_column = "label"
    # What the signature `tokens` calls its output.
    output_name = "logits"
    # Whether each row has exactly one class, so that Keras's `class_weight` applies.
    has_classes = False
    # Whether training needs no labels beside the texts.
    makes_labels = False

    def __init__(self, backbone, tokenizer=None, *, allow_special=(), **kwargs):
        super().__init__(backbone, tokenizer, **kwargs)
        self.allow_special = allow_special

    @property
    def allow_special(self):
        """tuple of str. The special tokens that texts may contain; in all other text is text."""
        return self._allow_special

    @allow_special.setter
    def allow_special(self, tokens):
        if isinstance(tokens, str | bool) or not all(isinstance(token, str) for token in tokens):
            raise TypeError(
                "`allow_special` must be a list of special tokens. Received: "
                f"allow_special={tokens!r:.80}."
            )
        unknown = set(tokens) - set(self.tokenizer.special_tokens) if self.tokenizer else ()
        if unknown:
            raise ValueError(
                "`allow_special` must name special tokens of the tokenizer. Received: "
                f"{', '.join(sorted(unknown))!s:.80}, which it does not have as special tokens."
            )
        self._allow_special = tuple(tokens)
        # A traced function holds the choice.
        self._graphs.clear()

    @property
    def unread_special_tokens(self):
        roles = ("pad", "unknown", "start", "end", "mask")
        used = {getattr(self.tokenizer, f"{role}_token", None) for role in roles}
        found = getattr(self.tokenizer, "special_tokens", ())
        return [
            token
            for token in found
            if token not in used | set(self.allow_special) and not _RESERVED.search(token)
        ]

    # Keras's three methods

    @takes_options(FitOptions)
    def fit(self, x=None, y=None, batch_size=None, *, options, **kwargs):
        """Trains as `keras.Model.fit`, on raw text as well as on token batches.

        Args:
            x: list of str, a tuple of two such lists for pairs, `lmzoo.data.Rows`, or a
                tf.data.Dataset of string batches. Eager tensors and arrays of strings are read as
                lists. Or token batches in the form of the task's call arguments.
            y: list of labels in the form that the task's class describes; None where `x` holds
                them, as Rows and datasets do.
            batch_size: int or None. None for 32 with raw text.
            sample_weight: list of float or None. None where `x` holds the weights.
            validation_data: as `x`, or `(x, y)` or `(x, y, sample_weight)`.
            validation_split: float in [0, 1). The share of raw texts to hold out for validation,
                if there is no `validation_data`.
            validation_batch_size: int or None. None for `batch_size`.
            shuffle: bool.
            initial_epoch: int. It also selects the order of the texts, which differs from epoch to
                epoch.
            **kwargs: as for `keras.Model.fit`.
        Returns:
            keras.callbacks.History.
        Raises:
            ValueError, TypeError: if texts and labels do not match, in a message that names the
                row; or if labels or weights come beside Rows or a dataset.
        """
        if kwargs.get("class_weight") is not None and not self.has_classes:
            raise ValueError(
                "`class_weight` must be None where a row is not of one class. Received: "
                f"class_weight={kwargs['class_weight']!r:.60}. Pass `sample_weight`."
            )
        report = self.make_report()
        held_out_size = options.validation_batch_size or batch_size
        if is_raw(x):
            rows = self._to_rows(x, y, options.sample_weight)
            has_split = options.validation_split and options.validation_data is None
            if has_split and isinstance(rows, Rows):
                rows, options.validation_data = rows.split(options.validation_split)
                options.validation_split = 0.0
            order = {"shuffle": options.shuffle, "initial_epoch": options.initial_epoch}
            x = self._to_batches(rows, batch_size, report, training=True, **order)
            y = options.sample_weight = batch_size = None
        held_out = raw_parts(options.validation_data)
        if held_out is not None:
            options.validation_data = self._to_batches(
                self._to_rows(*held_out), held_out_size, report, part="validation"
            )
        if isinstance(x, tf.data.Dataset):
            options.shuffle = False
        try:
            return super().fit(x, y, batch_size, **vars(options), **kwargs)
        finally:
            report.warn()

    def evaluate(self, x=None, y=None, batch_size=None, *, sample_weight=None, **kwargs):
        """Evaluates as `keras.Model.evaluate`, on raw text as well; see `fit`."""
        report = self.make_report()
        if is_raw(x):
            rows = self._to_rows(x, y, sample_weight)
            x = self._to_batches(rows, batch_size, report)
            y = sample_weight = batch_size = None
        results = super().evaluate(x, y, batch_size, sample_weight=sample_weight, **kwargs)
        report.warn()
        return results

    def predict(self, x, batch_size=None, **kwargs):
        """Predicts as `keras.Model.predict`, on raw text as well; see `fit`.

        Returns:
            The outputs of the task as a NumPy array. Where batches differ in their length T, a
            tf.RaggedTensor in which each row has the length of its batch.
        """
        report = self.make_report()
        if is_raw(x):
            rows = self._to_rows(x, labelled=False)
            x = self._to_batches(rows, batch_size, report, labelled=False)
            batch_size = None
        results = super().predict(x, batch_size, **kwargs)
        report.warn()
        return results

    def preprocess(self, x, y=None, sample_weight=None, *, batch_size=None):
        """Token batches of raw text, as `fit` makes them, for a training loop of one's own.

        Args:
            x, y, sample_weight: as for `fit`.
            batch_size: int or None. For Rows; None for 32.
        Returns:
            For lists, one batch of all texts: `inputs`, a dict of tensors; with labels the tuple
            `(inputs, labels)`, with weights `(inputs, labels, weights)`. For Rows and for a
            tf.data.Dataset of string batches, a tf.data.Dataset of such batches. A `MaskedLM`
            masks the texts and gives labels and weights without `y`.
        Raises:
            ValueError, TypeError: as `fit`.

        Example:
            inputs, labels = classifier.preprocess(["so good", "too bad"], ["good", "bad"])
            logits = classifier(inputs, training=True)
        """
        if not is_raw(x):
            raise TypeError(
                "`x` must be raw text. Received: token batches or numbers, which a task takes as "
                "they are."
            )
        labelled = y is not None or self.makes_labels
        if isinstance(x, Rows):
            labelled |= self.label_column in x.columns
        elif isinstance(x, tf.data.Dataset):
            labelled |= isinstance(x.element_spec, tuple) and len(x.element_spec) > 1
            labelled |= isinstance(x.element_spec, dict) and self.label_column in x.element_spec
        report = self.make_report()
        rows = self._to_rows(x, y, sample_weight, labelled=labelled)
        is_stream = isinstance(x, Rows | tf.data.Dataset)
        size = batch_size if is_stream else _ALL
        batches = self._to_batches(rows, size, report, labelled=labelled)
        if is_stream:
            return batches.map(keras.utils.pack_x_y_sample_weight)
        batch = next(iter(batches))
        report.warn()
        return keras.utils.pack_x_y_sample_weight(*batch)

    # What a task may override

    def make_report(self):
        """A `TruncationReport` for the texts of one call."""
        return TruncationReport(self.sequence_length)

    @property
    def sequence_length(self):
        """int. The longest text in tokens, special ones included."""
        return self._sequence_length or self.backbone.max_sequence_length

    @sequence_length.setter
    def sequence_length(self, sequence_length):
        check_size(sequence_length=sequence_length)
        longest = self.backbone.max_sequence_length
        if sequence_length is not None and sequence_length > longest:
            raise ValueError(
                f"`sequence_length` must not exceed the backbone's {longest}. Received: "
                f"sequence_length={sequence_length}."
            )
        self._sequence_length = sequence_length

    def to_columns(self, x, y=None, sample_weight=None):
        """dict of column to values: lists from `fit`, or tensors from a dataset."""
        columns = name_columns(x, self.text_columns)
        given = {self.label_column: y, "weight": ints_to_floats(sample_weight)}
        return {**columns, **{name: given[name] for name in given if given[name] is not None}}

    def label_rows(self, rows):
        """Rows with labels as ids or numbers; raises for a label that the task does not have."""
        return rows

    def read_weight(self, weight):
        """The weight of a row as a float; raises TypeError or ValueError if it is not a number."""
        return read_weight(unwrap_label(weight))

    def encode_inputs(self, columns):
        """In the graph: string batches to token batches; see `pack_texts`."""
        names = ["text", "pair"] if "pair" in columns else ["text"]
        check_strings(columns, names)
        return self.pack_texts(*(columns[name] for name in names))

    def encode(self, columns, seed):
        """In the graph: string batches and labels to an `Example`.

        Args:
            columns: dict of column to tensor (B,) or ragged (B, None).
            seed: int64 (). It differs from batch to batch.
        """
        raise NotImplementedError

    def text_functions(self):
        """dict of signature to tf.function of texts; `serving_default` is one of them."""
        raise NotImplementedError

    def serving_functions(self):
        """dict of signature to tf.function: what is exported; see the class of the task."""
        functions = {"tokens": self.get_tokens_function()}
        return functions if self.tokenizer is None else {**functions, **self.text_functions()}

    # What tasks use

    @property
    def special_tokens(self):
        """dict of `add_start` and `add_end`: the special tokens around texts, as `pack` takes it.

        An encoder has both, the encoder of an encoder-decoder has an end token, and a decoder has
        what its tokenizer adds to texts.
        """
        has_both = self.backbone.kind == "encoder"
        if self.backbone.kind == "decoder":
            has_both = getattr(self.tokenizer, "add_bos_and_eos", False)
            return {"add_start": has_both or self.tokenizer.add_start_token, "add_end": has_both}
        return {"add_start": has_both, "add_end": True}

    def pack_texts(self, *texts):
        """In the graph: one batch of texts or two, string (B,), to token batches.

        Returns:
            inputs: dict of tensors, the inputs of the backbone.
            is_truncated: bool (B,).
        """
        inputs, _, is_truncated = pack(
            [self.tokenize(text) for text in texts],
            self.tokenizer,
            self.sequence_length,
            **self.special_tokens,
        )
        return inputs, is_truncated

    def tokenize(self, texts):
        """In the graph: string (B,) to ids, tf.RaggedTensor int32 (B, None)."""
        return self.tokenizer.tokenize(texts, self.allow_special)

    def read_texts(self, texts, name="texts"):
        """A list of texts, and whether the argument was a single str."""
        self._need_tokenizer()
        is_single = isinstance(texts, str)
        return list_texts([texts] if is_single else texts, name), is_single

    def run_graph(self, function, columns, batch_size=None):
        """Runs a tf.function over lists of strings in batches of texts of similar length.

        Args:
            function: tf.function of string tensors (B,), which returns a dict of tensors (B, ...).
                If it has an `is_truncated` bool (B,), one warning counts the True ones.
            columns: list of lists of str of one length.
            batch_size: int or None. None for the task's own.
        Returns:
            list of dict of arrays, one for each text, in the order of the texts.
        Raises:
            TypeError, ValueError: if `batch_size` is not a positive int, or a score is not finite.
        """
        check_size(batch_size=batch_size)
        results = run_in_batches(function, columns, batch_size or self.batch_size)
        check_finite(results, columns[0])
        report = self.make_report()
        report.add("texts", 0, [result.pop("is_truncated", False) for result in results])
        report.warn(stacklevel=5)
        return results

    def get_text_function(self, name, function, num_texts=1, served=False):
        """A traced function of one text or two, with the names in `text_columns`.

        Args:
            name: str. Unique among the functions of the task.
            function: callable. Takes string tensors (B,), returns a dict of tensors.
            num_texts: int.
            served: bool. Whether it is for export, without `is_truncated`.
        """
        names = self.text_columns[:num_texts]
        return self._get_graph(
            (name, num_texts, served), lambda: make_text_function(function, names, served)
        )

    def get_tokens_function(self):
        """The task on token batches, for export; see `make_tokens_function`."""
        return self._get_graph("tokens", lambda: make_tokens_function(self, self.output_name))

    def _need_tokenizer(self):
        check_tokenizer(self.tokenizer)

    def get_config(self):
        return {**super().get_config(), "allow_special": list(self.allow_special)}

    # From arguments to batches

    def _to_rows(self, x, y=None, sample_weight=None, labelled=True):
        """Rows, or a dataset of string batches unchanged."""
        self._need_tokenizer()
        if isinstance(x, Rows | tf.data.Dataset):
            check_alone(x, self.label_column, y, sample_weight)
        else:
            x = make_rows(**self.to_columns(*map(list_arrays, (x, y, sample_weight))))
        if not labelled or not isinstance(x, Rows):
            return x
        if "weight" in x.columns:
            x = x.with_column("weight", lambda row: self.read_weight(row["weight"]))
        return self.label_rows(x)

    def _to_batches(self, rows, batch_size, report, *, labelled=True, part="training", **options):
        def encode(element, number, seed):
            columns = self.to_columns(*(element if isinstance(element, tuple) else (element,)))
            if labelled:
                return report.count(self.encode(columns, seed), number, part)
            inputs, is_truncated = self.encode_inputs(columns)
            return report.count(Example(inputs, None, None, is_truncated), number, part)

        batch_size = self.batch_size if batch_size is None else batch_size
        return make_batches(rows, encode, batch_size, **options)
