"""What the files of all Hugging Face tokenizers have in common."""

import dataclasses
import pathlib

from lmzoo.json_files import read_json, read_text
from lmzoo.tokenizers.vocabulary import AddedToken

__all__ = [
    "CHAT_TEMPLATE",
    "ANY_CLASS",
    "FileCheck",
    "describe_token",
    "describe_tokens",
    "find_special",
    "get_content",
    "read_added_token",
    "read_additional",
    "read_chat_template",
    "read_more_added",
    "read_named",
    "read_class_name",
    "read_vocabulary",
]

CHAT_TEMPLATE = "chat_template.jinja"
# Of a token id that is a key of a JSON object.
_MAX_DIGITS = 9
# The class of transformers that takes a tokenizer.json as it is, and its names.
ANY_CLASS = "PreTrainedTokenizerFast"
_ANY_CLASSES = (ANY_CLASS, "TokenizersBackend")
# The class of a model type, where no file names one: that of transformers' `AutoTokenizer`.
_CLASSES_OF_MODEL_TYPES = {
    **{"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer"},
    **dict.fromkeys(("roberta", "bart", "longformer"), "RobertaTokenizer"),
    "mpnet": "MPNetTokenizer",
}
# Model types whose folders name a class that they do not mean.
_WRONG_CLASSES = {"mistral": ("LlamaTokenizer",)}
# A longer token would make whatever is looked up in it slow. Published ones have at most some
# hundred characters, in the byte-level alphabet.
_MAX_TOKEN_CHARACTERS = 1 << 12


@dataclasses.dataclass(frozen=True)
class FileCheck:
    """Refuses what a file must not hold, by the file's name.

    Attributes:
        path: pathlib.Path.
        kind: str. The tokenizer that is expected.
    """

    path: pathlib.Path
    kind: str

    def expect(self, name, value, allowed):
        """Refuses a value that is not among those allowed.

        Args:
            name: str. Where the value stands in the file.
            value: what stands there.
            allowed: tuple.
        Raises:
            ValueError: if `value` is not in `allowed`.
        """
        if value not in allowed:
            self.refuse(name, value, " or ".join(repr(plain) for plain in allowed))

    def expect_section(self, name, value):
        """Refuses what is no JSON object.

        Args:
            name, value: as for `expect`.
        Raises:
            ValueError: if `value` is not a dict.
        """
        if not isinstance(value, dict):
            self.refuse(name, value, "an object")

    def refuse(self, name, value, wanted):
        """Says what was wanted instead.

        Args:
            name, value: as for `expect`.
            wanted: str.
        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"{self.path.name} must have {wanted} as `{name}`, {self.kind}. "
            f"Received: {value!r:.80} in {str(self.path)!r}. If another library reads it, give the "
            "model the ids of that: a folder without tokenizer files opens as a model alone."
        )

    def read_added(self, tokens, vocabulary, refused, takes_non_special=False):
        """Reads the added tokens that a file describes, and adds them to the vocabulary.

        Args:
            tokens: what stands as `added_tokens`, a list of dict.
            vocabulary: dict of str to int. New tokens are put into it.
            refused: tuple of str. The options of a token that must be off.
            takes_non_special: bool. If True, a token may be a non-special one.
        Returns:
            list of dict, those of `tokens`, which are now known to have a str as `content` and a
            bool as `special`.
        Raises:
            ValueError: if they are not a list; or if one is not special, has such an option, or
                has another id.
        """
        if not isinstance(tokens, list):
            self.refuse("added_tokens", tokens, "a list")
        for token in tokens:
            if not isinstance(token, dict) or not isinstance(token.get("content"), str):
                self.refuse("added_tokens", token, "objects with a `content`")
            content = token["content"]
            kinds = (True, False) if takes_non_special else (True,)
            self.expect(f"added_tokens.special of {content!r:.60}", token.get("special"), kinds)
            for option in refused:
                name = f"added_tokens.{option} of {content!r:.60}"
                self.expect(name, token.get(option), (None, False))
            for option in ("normalized", "lstrip", "rstrip"):
                self.expect(f"added_tokens.{option}", token.get(option), (None, False, True))
            index = token.get("id")
            if type(index) is not int or vocabulary.setdefault(content, index) != index:
                self.refuse(
                    f"added_tokens.id of {content!r:.60}", index, "its id in the vocabulary"
                )
        return tokens


def read_vocabulary(check, vocabulary):
    """Checks what stands as `model.vocab` of a BPE or WordPiece model.

    Args:
        check: FileCheck. Of the file.
        vocabulary: what stands there.
    Returns:
        dict of str to int. A copy.
    Raises:
        ValueError: if it is not an object of ids, or a token is longer than any that text makes.
    """
    check.expect_section("model.vocab", vocabulary)
    for token, index in vocabulary.items():
        if type(index) is not int:
            check.refuse(f"model.vocab of {token!r:.60}", index, "an int")
        if len(token) > _MAX_TOKEN_CHARACTERS:
            check.refuse(
                "model.vocab", token, f"tokens of at most {_MAX_TOKEN_CHARACTERS} characters"
            )
    return dict(vocabulary)


def read_class_name(folder, named, implied=()):
    """Reads which tokenizer class of transformers a folder is for.

    Args:
        folder: pathlib.Path.
        named: dict, as `read_named` gives it.
        implied: tuple of str. The classes that a model type may stand for where none is named.
    Returns:
        str or None. The class of tokenizer_config.json or else of config.json, without "Fast"; or
        else the one that the model type stands for.
    Raises:
        ValueError: if config.json is broken.
    """
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    name = named.get("tokenizer_class")
    name = name if isinstance(name, str) else config.get("tokenizer_class")
    model_type = config.get("model_type")
    model_type = model_type if isinstance(model_type, str) else None
    if not isinstance(name, str):
        name = _CLASSES_OF_MODEL_TYPES.get(model_type)
        return name if name in implied else None
    name = ANY_CLASS if name in _ANY_CLASSES else name.removesuffix("Fast")
    return None if name in _WRONG_CLASSES.get(model_type, ()) else name


def read_named(folder):
    """Reads the two small files beside a tokenizer's, as far as they are there.

    Args:
        folder: pathlib.Path.
    Returns:
        dict. What `tokenizer_config.json` says, and `special_tokens_map.json` where it does not.
    Raises:
        ValueError: if one of them is too large or broken.
    """
    named = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            named.update(read_json(folder / name))
    return named


def read_chat_template(folder):
    """Reads the chat template of a folder, from its file or, in older folders, its config.

    Args:
        folder: pathlib.Path.
    Returns:
        str, or None if there is no template, or none named "default".
    Raises:
        ValueError: if a file is too large or broken.
    """
    if (folder / CHAT_TEMPLATE).is_file():
        return read_text(folder / CHAT_TEMPLATE)
    if not (folder / "tokenizer_config.json").is_file():
        return None
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict)]
        template = {entry.get("name"): entry.get("template") for entry in named}.get("default")
    return template if isinstance(template, str) else None


def read_more_added(folder, named, kind, roles):
    """Reads the added tokens that stand beside `tokenizer.json`, which old folders do not have.

    Args:
        folder: pathlib.Path.
        named: dict, as `read_named` gives it.
        kind: str. The tokenizer that is expected.
        roles: dict of str to str or None. The keys of `named` that name a token each, and what
            transformers takes where they do not.
    Returns:
        checks and tokens: list of (FileCheck, list of dict), of `tokenizer_config.json` and
        `added_tokens.json`, for `FileCheck.read_added`. What plays a role is special.
    Raises:
        ValueError: if a file is too large or broken.
    """
    check = FileCheck(folder / "tokenizer_config.json", kind)
    described = named.get("added_tokens_decoder") or {}
    check.expect_section("added_tokens_decoder", described)
    special = {get_content(named.get(theirs, default)) for theirs, default in roles.items()}
    special.update(read_additional(folder, named))
    tokens = []
    for index, token in described.items():
        # Python raises an error of its own for numbers of more than 4,300 digits.
        if not index.isdecimal() or len(index) > _MAX_DIGITS or not isinstance(token, dict):
            check.refuse("added_tokens_decoder", {index: token}, "tokens as objects by their ids")
        is_special = get_content(token) in special or token.get("special", False)
        tokens.append({**token, "id": int(index), "special": is_special})
    found = [(check, tokens)]
    if (folder / "added_tokens.json").is_file():
        known = {get_content(token) for token in tokens}
        more = [
            {
                **{"content": token, "id": index},
                **{"special": token in special, "normalized": token not in special},
            }
            for token, index in read_json(folder / "added_tokens.json").items()
            if token not in known
        ]
        found.append((FileCheck(folder / "added_tokens.json", kind), more))
    return found


def read_added_token(token, in_model=False):
    """Reads a non-special added token.

    Args:
        token: dict. What `FileCheck.read_added` gives.
        in_model: bool. As for `AddedToken`.
    Returns:
        AddedToken.
    """
    options = {name: bool(token.get(name)) for name in ("lstrip", "rstrip")}
    normalized = bool(token.get("normalized", True))
    return AddedToken(token["content"], normalized, in_model, **options)


def read_additional(folder, named):
    """Reads the special tokens that play no role.

    Args:
        folder: pathlib.Path.
        named: dict, as `read_named` gives it.
    Returns:
        list of str.
    Raises:
        ValueError: if they are no list.
    """
    found = []
    # The second one is what transformers 5 calls the first.
    for name in ("additional_special_tokens", "extra_special_tokens"):
        more = named.get(name) or []
        if name == "extra_special_tokens" and isinstance(more, dict):
            more = list(more.values())
        if not isinstance(more, list):
            raise ValueError(
                f"tokenizer_config.json must have a list as `{name}`. "
                f"Received: {more!r:.80} in {str(folder)!r}."
            )
        found += more
    return [token for token in map(get_content, found) if token is not None]


def find_special(special_tokens, vocabulary, named, roles, folder):
    """Adds the special tokens that the two small files name.

    Args:
        special_tokens: list of str. Those that are known.
        vocabulary: dict of str to int.
        named: dict, as `read_named` gives it.
        roles: iterable of str. The keys of `named` that name a token each.
        folder: pathlib.Path.
    Returns:
        list of str, each once.
    Raises:
        ValueError: if one is not in the vocabulary, or the additional ones are no list.
    """
    special = dict.fromkeys(special_tokens)
    more = read_additional(folder, named)
    for entry in [*(named.get(theirs) for theirs in roles), *more]:
        token = get_content(entry)
        if token is None:
            continue
        if token not in vocabulary:
            raise ValueError(
                "tokenizer_config.json must name tokens of the vocabulary. "
                f"Received: {token!r:.80} in {str(folder)!r}, which is not one."
            )
        special[token] = None
    return list(special)


def get_content(entry):
    """Reads the name of a token, which stands alone or in an object.

    Args:
        entry: anything.
    Returns:
        str, or None if it is none.
    """
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else None


def describe_token(token, lstrip=False, rstrip=False, special=True, normalized=False):
    """Describes a special or added token as `tokenizer.json` does.

    Args:
        token: str.
        lstrip, rstrip: bool. If True, it matches the white space before it, or behind it, too.
        special: bool. If False, it stays in text when special tokens are skipped.
        normalized: bool. If True, it is searched in normalized text.
    Returns:
        dict.
    """
    return {
        "content": token,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": rstrip,
        "normalized": normalized,
        "special": special,
    }


def describe_tokens(vocabulary, lstrip=(), rstrip=()):
    """Describes the special and added tokens of a vocabulary, by id.

    Args:
        vocabulary: an object with `ids`, `special_tokens` and `added_tokens`.
        lstrip, rstrip: tuple of str. The special tokens that match the white space before them, or
            behind them, too.
    Returns:
        dict of int to dict.
    """
    described = {}
    for token in vocabulary.special_tokens:
        described[vocabulary.ids[token]] = describe_token(token, token in lstrip, token in rstrip)
    for token in vocabulary.added_tokens:
        described[vocabulary.ids[token.content]] = describe_token(
            token.content, token.lstrip, token.rstrip, special=False, normalized=token.normalized
        )
    return dict(sorted(described.items()))
