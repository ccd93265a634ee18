"""The keys of a recipe in one table, from which its checks, its errors and its page come."""

import dataclasses
import difflib

__all__ = ["SCHEMA", "TASKS", "Key", "describe_schema", "find_nearest"]

TASKS = (
    *("CausalLM", "MaskedLM", "Seq2SeqLM", "TextClassifier", "TextRegressor", "TokenClassifier"),
    *("QuestionAnswerer", "TextEmbedder"),
)
OBJECTIVES = ("causal_lm", "masked_lm", "span_corruption", "prefix_lm")
READERS = ("table", "folders", "conll", "squad", "glue")
_KINDS = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a string or a list of strings",
    dict: "a table",
}


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a recipe.

    Args:
        kind: type. str, int, float, bool, list (of str) or dict (a table of any keys).
        default: the value where the recipe has none.
        help: str. What it is, in one line.
        minimum: float or None. The least value.
        choices: tuple of str. The values that it may have; empty for any.
    """

    kind: type
    default: object
    help: str
    minimum: float | None = None
    choices: tuple = ()

    def read(self, value):
        """A value as the run takes it.

        Raises:
            ValueError: if it has another type, is no choice or too small; the message says what it
                must be.
        """
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind is list and isinstance(value, str):
            value = [value]
        if self.kind is float and is_number:
            value = float(value)
        is_right = isinstance(value, self.kind) and (self.kind is not int or is_number)
        if self.kind is list:
            is_right = is_right and all(isinstance(each, str) for each in value)
        if not is_right:
            raise ValueError(f"must be {_KINDS[self.kind]}")
        if self.choices and value not in self.choices:
            near = difflib.get_close_matches(str(value), self.choices, 1)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"must be one of {', '.join(self.choices)}{hint}")
        if self.minimum is not None and not value >= self.minimum:
            raise ValueError(f"must be at least {self.minimum}")
        return value


SCHEMA = {
    "run_dir": Key(str, None, "the folder of the run; `runs/` and the recipe's name by default"),
    "data.kind": Key(
        str,
        None,
        "what the files hold: text for an objective of pretraining, or labelled rows; the task's "
        "objective by default",
        choices=(*OBJECTIVES, *READERS),
    ),
    "data.files": Key(list, None, "files, or patterns such as `corpus/*.txt`; needed"),
    "data.sequence_length": Key(
        int, None, "T, tokens of an example; the model's longest, at most 1,024, by default", 1
    ),
    "data.batch_size": Key(int, 32, "B, examples of a step, over all devices", 1),
    "data.options": Key(
        dict,
        {},
        "arguments of the function of `lmzoo.data`, such as `mask_rate`, `document_separator`, or "
        "a table's `text` and `label`",
    ),
    "validation.files": Key(list, None, "held-out files of the same kind"),
    "validation.split": Key(float, None, "the share of the data to hold out instead", 0.0),
    "validation.every_steps": Key(
        int, None, "with `training.steps`, which it must divide: steps between two validations", 1
    ),
    "validation.steps": Key(int, None, "batches of a validation; all by default", 1),
    "tokenizer.source": Key(str, None, "a folder, `hf://org/name` or a name of `lmzoo list`"),
    "tokenizer.kind": Key(
        str,
        None,
        "the class to train, where there is no source",
        choices=(
            *("BytePairTokenizer", "ByteTokenizer", "SentencePieceTokenizer", "WordPieceTokenizer"),
        ),
    ),
    "tokenizer.vocabulary_size": Key(int, 8000, "how many tokens to train", 1),
    "tokenizer.files": Key(list, None, "what it is trained on; `data.files` by default"),
    "tokenizer.options": Key(dict, {}, "further arguments of the class's `train`"),
    "model.task": Key(
        str, None, "the class of `lmzoo.tasks`; of a source its own by default", choices=TASKS
    ),
    "model.source": Key(
        str, None, "fine-tuning: a folder, `hf://org/name` or a name of `lmzoo list`"
    ),
    "model.size": Key(
        str, None, "pretraining: a name of `lmzoo list`, whose size the fresh backbone has"
    ),
    "model.backbone": Key(
        str,
        None,
        "pretraining: a class of `lmzoo.models`",
        choices=("BertBackbone", "GPTBackbone", "ModernBertBackbone", "T5Backbone"),
    ),
    "model.backbone_options": Key(dict, {}, "arguments of the fresh backbone"),
    "model.options": Key(dict, {}, "arguments of the task, such as `labels`"),
    "model.frozen_layers": Key(
        int, 0, "how many of the lowest blocks are not trained, nor the embeddings below them", 0
    ),
    "optimizer.name": Key(
        str,
        "AdamW",
        "a class of `lmzoo.training`",
        choices=("AdamW", "Adafactor", "Lion", "Muon"),
    ),
    "optimizer.learning_rate": Key(
        float, None, "the highest rate; 3e-4 for pretraining and 5e-5 for fine-tuning by default", 0
    ),
    "optimizer.global_clipnorm": Key(float, 1.0, "gradients are clipped to this global norm", 0),
    "optimizer.options": Key(dict, {}, "further arguments, such as `weight_decay`"),
    "optimizer.layer_decay": Key(
        float, None, "a factor on the rate for each layer below the head, up to 1", 0
    ),
    "optimizer.ema_momentum": Key(
        float, None, "validate and save moving averages of the weights, with this momentum", 0
    ),
    "schedule.name": Key(
        str,
        "cosine",
        "how the learning rate falls after warm-up",
        choices=("constant", "cosine", "linear", "inverse_sqrt"),
    ),
    "schedule.warmup_steps": Key(
        int, None, "steps in which the rate rises from 0; a twentieth of the run by default", 0
    ),
    "schedule.warmup_share": Key(
        float, None, "the same as a share of all steps, below 1, instead of `warmup_steps`", 0
    ),
    "schedule.cooldown_steps": Key(
        int, 0, "of a constant rate: the last steps, in which it falls", 0
    ),
    "schedule.end_share": Key(
        float, 0.1, "what is left of the rate at the end; not of inverse_sqrt", 0
    ),
    "training.steps": Key(int, None, "steps of the run; one of `steps` and `epochs` is needed", 1),
    "training.epochs": Key(int, None, "passes over the data", 1),
    "training.seed": Key(int, 0, "of weights, shuffling, dropout and noise"),
    "training.precision": Key(
        str,
        None,
        "float32 for a fresh model and that of its files for a source, by default",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    ),
    "training.accumulation_steps": Key(
        int, 1, "parts in which a batch is computed, with the memory of one", 1
    ),
    "training.remat": Key(
        bool, False, "compute each block again in the backward pass, in place of keeping it"
    ),
    "training.label_smoothing": Key(float, None, "of a cross-entropy over tokens or classes", 0),
    "training.z_loss": Key(float, None, "the same", 0),
    "training.strategy": Key(
        str,
        "auto",
        "which devices; `auto` takes the hosts of TF_CONFIG, or all GPUs, or the one device",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
    ),
    "checkpoints.every_seconds": Key(float, 60.0, "seconds between two checkpoints", 0),
    "checkpoints.every_steps": Key(int, None, "steps between two checkpoints", 1),
    "checkpoints.keep": Key(int, 3, "how many of the newest stay", 1),
    "checkpoints.monitor": Key(str, "val_loss", "whose best epoch is kept as `checkpoints/best`"),
    "checkpoints.mode": Key(str, "min", "whether the best is the lowest", choices=("min", "max")),
    "export.saved_model": Key(bool, False, "write `saved_model/1`, text in and text out"),
    "export.litert": Key(bool, False, "write `model.tflite`"),
    "export.quantization": Key(str, None, "of `model.tflite`", choices=("float16", "int8", "int4")),
}


def find_nearest(name, section="", schema=SCHEMA):
    """The key that is meant by a name that no recipe has, or None.

    Args:
        name: str. A dotted key.
        section: str. The table that it stands in, whose keys come first.
        schema: dict of dotted key to Key.
    """
    own = {key: key.rpartition(".")[2] for key in schema if key.rpartition(".")[0] == section}
    last = name.rpartition(".")[2]
    near = difflib.get_close_matches(last, own.values(), 1)
    if near:
        return next(key for key in own if own[key] == near[0])
    same = [key for key in schema if key.rpartition(".")[2] == last]
    return next(iter(same or difflib.get_close_matches(name, schema, 1)), None)


def describe_schema(schema=SCHEMA):
    """The table as Markdown, which the page of this room holds."""
    lines = ["| key | value | default | what it is |", "|---|---|---|---|"]
    for name, key in schema.items():
        value = " ".join(f"`{choice}`" for choice in key.choices) or _KINDS[key.kind]
        empty = key.default is None or key.default == {}
        default = (
            "" if empty else f"`{str(key.default).lower() if key.kind is bool else key.default}`"
        )
        lines.append(f"| `{name}` | {value} | {default} | {key.help} |")
    return "\n".join(lines)
