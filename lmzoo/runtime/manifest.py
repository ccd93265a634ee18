"""What an exported file says of itself: the manifest, checked field by field."""

import dataclasses
import json

from .checks import (
    check_added_token,
    check_bool,
    check_id,
    check_length,
    check_number,
    check_options,
    check_string,
    check_strings,
    check_token_ids,
    choice,
    integer,
    optional,
    refuse,
    tuple_of,
)

__all__ = ["FORMAT_VERSION", "TASKS", "Manifest", "TokenizerSpec"]

FORMAT_VERSION = 1
_MAX_BYTES = 1 << 20
_QUANTIZATIONS = (None, "float16", "int8", "int4")
_KINDS = ("byte_pair", "word_piece", "sentence_piece")
_FILES = ("tokenizer.json", "spiece.model")
_SCHEMES = (None, "always", "first", "never")


# What packs texts, of every task that reads them.
_PACKING = {
    "sequence_length": check_length,
    "add_start": check_bool,
    "add_end": check_bool,
    "allow_special": check_strings,
}
# The options of each task: what its methods read beside the model's results.
TASKS = {
    "CausalLM": {},
    "Seq2SeqLM": {
        "prefix": check_string,
        "start_token_id": check_id,
        "allow_special": check_strings,
    },
    "TextClassifier": {**_PACKING, "labels": check_strings, "multi_label": check_bool},
    "TextRegressor": {**_PACKING, "num_targets": integer(1 << 20, 1)},
    "TokenClassifier": {**_PACKING, "labels": check_strings},
    "QuestionAnswerer": {
        **_PACKING,
        "no_answer": check_bool,
        "no_answer_threshold": check_number,
        "stride": integer(1 << 24),
        "max_question_tokens": check_length,
        "max_answer_tokens": check_length,
    },
    "TextEmbedder": {**_PACKING, "embedding_dim": integer(1 << 20, 1)},
    "MaskedLM": _PACKING,
    # Of an entailment model. `contradiction` is None where labels cannot be judged alone.
    "ZeroShotClassifier": {
        **_PACKING,
        "labels": check_strings,
        "template": check_string,
        "entailment": check_id,
        "contradiction": optional(check_id),
    },
}


class _Record:
    """A dataclass whose fields are checked by the function in their metadata."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check = field.metadata["check"]
            object.__setattr__(self, field.name, check(field.name, getattr(self, field.name)))

    @classmethod
    def from_dict(cls, name, value):
        """Reads an object of JSON, which has these fields and no others.

        Raises:
            ValueError: if it has not.
        """
        if not isinstance(value, dict):
            refuse(name, "an object", value)
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key in value:
            if key not in known:
                refuse(name, f"an object of {', '.join(known)}", key)
        for key, field in known.items():
            has_default = field.default is not field.default_factory
            if key not in value and not has_default:
                raise ValueError(f"`{name}` must have `{key}`. Received: {', '.join(value)!s:.200}")
        return cls(**value)


def _field(check, **default):
    return dataclasses.field(metadata={"check": check}, **default)


@dataclasses.dataclass(frozen=True)
class TokenizerSpec(_Record):
    """What the tokenizer of a task knows and its file does not say.

    Attributes:
        kind: str. "byte_pair", "word_piece" or "sentence_piece".
        file: str. "tokenizer.json", or of a sentence_piece "spiece.model".
        vocabulary_size: int. How many tokens it has, special and added ones included.
        start_token_id, end_token_id, pad_token_id, unknown_token_id, mask_token_id: int or None.
        special_tokens: dict of str to int. All of them: no text makes one by itself.
        lstrip, rstrip: tuple of str. The special and added tokens that match the white space before
            them, or behind them, too.
        added_tokens: tuple of (str, int, bool). The non-special added tokens: content, id and
            whether it is searched in normalized text.
        add_start_token: bool. Whether a prompt begins with the start token.
        num_separators: int. How many end tokens stand between two texts.
        prepend_scheme: str or None. Of a sentence_piece: "always", "first", "never", or None for
            what the model says.
    """

    kind: str = _field(choice(_KINDS))
    file: str = _field(choice(_FILES))
    vocabulary_size: int = _field(integer(1 << 24, 1))
    start_token_id: int = _field(optional(check_id))
    end_token_id: int = _field(optional(check_id))
    pad_token_id: int = _field(optional(check_id))
    unknown_token_id: int = _field(optional(check_id))
    mask_token_id: int = _field(optional(check_id))
    special_tokens: dict = _field(check_token_ids)
    lstrip: tuple = _field(check_strings, default=())
    rstrip: tuple = _field(check_strings, default=())
    added_tokens: tuple = _field(tuple_of(check_added_token), default=())
    add_start_token: bool = _field(check_bool, default=False)
    num_separators: int = _field(integer(2, 1), default=1)
    prepend_scheme: str = _field(choice(_SCHEMES), default=None)

    def __post_init__(self):
        super().__post_init__()
        wanted = "spiece.model" if self.kind == "sentence_piece" else "tokenizer.json"
        if self.file != wanted:
            refuse("file", f"{wanted!r} where kind={self.kind!r}", self.file)
        roles = ("start", "end", "pad", "unknown", "mask")
        ids = [getattr(self, f"{role}_token_id") for role in roles]
        ids += [*self.special_tokens.values(), *(index for _, index, _ in self.added_tokens)]
        for index in ids:
            if index is not None and index >= self.vocabulary_size:
                refuse("token_id", f"below vocabulary_size={self.vocabulary_size}", index)
        known = {*self.special_tokens, *(content for content, *_ in self.added_tokens)}
        for name in ("lstrip", "rstrip"):
            for token in getattr(self, name):
                if token not in known:
                    refuse(name, "among `special_tokens` and `added_tokens`", token)


def _tokenizer(name, value):
    if value is None or isinstance(value, TokenizerSpec):
        return value
    return TokenizerSpec.from_dict(name, value)


def _keep(name, value):
    return value


@dataclasses.dataclass(frozen=True)
class Manifest(_Record):
    """What is in an exported file beside the model.

    Attributes:
        task: str. A key of `TASKS`.
        parameters: int. How many the model has.
        quantization: str or None. "float16", "int8", "int4", or None for float32.
        vocabulary_size: int. V of the model, which may have more ids than the tokenizer.
        max_sequence_length: int. How many tokens the model may read; of a `CausalLM` prompt and new
            ones together.
        tokenizer: TokenizerSpec, or None for a task on ids.
        task_options: dict. As `TASKS` has them for the task, all of them.
        end_token_ids: tuple of int. The tokens that end a generated text.
        generation_defaults: dict. Options that `generate` begins with.
        lmzoo_version: str. What wrote the file.
    Raises:
        ValueError: if a field is not what is said here; it names the field and the value.
    """

    task: str = _field(choice(tuple(TASKS)))
    parameters: int = _field(integer(1 << 42))
    quantization: str = _field(choice(_QUANTIZATIONS))
    vocabulary_size: int = _field(integer(1 << 24, 1))
    max_sequence_length: int = _field(check_length)
    tokenizer: TokenizerSpec = _field(_tokenizer)
    task_options: dict = _field(_keep)
    end_token_ids: tuple = _field(tuple_of(check_id, 1000), default=())
    generation_defaults: dict = _field(check_options, default_factory=dict)
    lmzoo_version: str = _field(check_string, default="")

    def __post_init__(self):
        super().__post_init__()
        checks, given = TASKS[self.task], self.task_options
        if not isinstance(given, dict) or set(given) != set(checks):
            wanted = ", ".join(sorted(checks)) or "nothing"
            refuse("task_options", f"an object of {wanted} for a {self.task}", given)
        options = {name: check(name, given[name]) for name, check in checks.items()}
        object.__setattr__(self, "task_options", options)
        for index in self.end_token_ids:
            if index >= self.vocabulary_size:
                refuse("end_token_ids", f"below vocabulary_size={self.vocabulary_size}", index)

    @classmethod
    def from_json(cls, data):
        """Reads a manifest.

        Args:
            data: bytes. UTF-8 JSON of at most 1 MiB.
        Returns:
            Manifest.
        Raises:
            ValueError: if it is not one, or of a version that is not known here.
        """
        if len(data) > _MAX_BYTES:
            raise ValueError(
                f"a manifest must have at most {_MAX_BYTES} bytes. Received: {len(data)}"
            )
        try:
            content = json.loads(
                data.decode("utf-8"),
                object_pairs_hook=_unique_keys,
                parse_constant=lambda name: refuse("manifest", "of finite numbers", name),
            )
        except RecursionError as error:
            raise ValueError(
                "a manifest must not be nested deeply. Received: too many brackets"
            ) from error
        if not isinstance(content, dict) or content.pop("format", None) != "lmzoo":
            raise ValueError(f'a manifest must have "format": "lmzoo". Received: {data[:80]!r}')
        version = content.pop("version", None)
        if version != FORMAT_VERSION:
            raise ValueError(
                f"a manifest must be of version {FORMAT_VERSION}, which this release reads. "
                f"Received: version={version!r:.80}"
            )
        return cls.from_dict("manifest", content)

    def to_json(self):
        """bytes. The manifest as `from_json` reads it; the same one gives the same bytes."""
        content = {"format": "lmzoo", "version": FORMAT_VERSION, **dataclasses.asdict(self)}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _unique_keys(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        refuse("manifest", "without duplicate keys", next(k for k in keys if keys.count(k) > 1))
    return found
