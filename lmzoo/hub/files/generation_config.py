"""generation_config.json: the generation defaults of a model, read and written."""

import warnings

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.json_files import read_json

__all__ = ["GENERATION_CONFIG", "make_generation_config", "read_generation"]

GENERATION_CONFIG = "generation_config.json"
_MOST = 2**24
# Key for options that transformers does not have, or warns about.
_OWN_KEY = "lmzoo_options"
# option -> default, here and in transformers
_SIZES = {"min_new_tokens": 0, "no_repeat_ngram_size": 0, "num_beams": 1, "num_return_sequences": 1}
# As `lmzoo.generation.GenerationOptions` limits them: each is a row of the model's cache.
_MOST_ROWS = {"num_beams": 1024, "num_return_sequences": 1024}
# name -> (how many, how many bytes each), likewise
_MOST_STRINGS = {"stop_strings": (128, 512), "bad_words": (4096, 512)}
# option -> default, lowest, highest
_NUMBERS = {"repetition_penalty": (1.0, 1e-6, 1e6), "length_penalty": (1.0, -1e6, 1e6)}
# Used only with `do_sample`; a missing `top_k` is 50 then.
_SAMPLING = {"temperature": (1.0, 0, 1e6), "top_p": (1.0, 1e-9, 1), "min_p": (0.0, 0, 1)}
_TOP_K = 50
# transformers warns about these without beam search.
_BEAM_OPTIONS = ("length_penalty", "early_stopping")
# Fields that do not change the text, or only with an assistant model.
_IGNORED = (
    *("_from_model_config", "transformers_version", "use_cache", "cache_implementation"),
    *("cache_config", "return_legacy_cache", "return_dict_in_generate", "output_attentions"),
    *("output_hidden_states", "output_scores", "output_logits", "is_assistant"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind", "max_matching_ngram_size", "compile_config"),
    *("disable_compile", "max_cache_len"),
)
# Values that switch an unsupported field off, beside null, false and empty ones.
_NEUTRAL = {
    **{"typical_p": 1.0, "guidance_scale": 1.0, "encoder_repetition_penalty": 1.0},
    **{"num_beam_groups": 1, "min_length": 0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0},
    **{"diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0},
}


def read_generation(folder, vocabulary_size, tokenizer=None, start_token_id=None, config=None):
    """Reads generation_config.json into arguments of a generative task.

    One warning names the fields that lmzoo does not support. `max_length` of a decoder-only model
    is one: it counts the prompt too. So does it name ids outside the vocabulary, which transformers
    writes beside small vocabularies; they are passed over. Without the file, `eos_token_id` of
    config.json is used, as in transformers.

    Args:
        folder: pathlib.Path.
        vocabulary_size: int. The model's.
        tokenizer: the task's, or None.
        start_token_id: int, the first decoder token of a `Seq2SeqLM`; None for a `CausalLM`.
        config: dict, the content of config.json, or None.
    Returns:
        dict with `generation_defaults` and `end_token_ids`. Without the file only the latter, or
        empty.
    Raises:
        ValueError: if the file is too large or not a JSON object, or a field has the wrong type or
            is out of range.
    """
    path = folder / GENERATION_CONFIG
    if not path.is_file():
        ends = _read_eos_of_config(config or {}, vocabulary_size)
        return {"end_token_ids": ends} if ends and not _is_tokenizers_own(ends, tokenizer) else {}
    try:
        config = read_json(path)
        ends, outside = _read_ids(config, vocabulary_size)
        options, used = _read_options(config)
        if start_token_id is not None:
            options, used = _add_total_lengths(config, options, used)
        if tokenizer is None and options.pop("stop_strings", None):
            used = used - {"stop_strings"}
        if any(item.startswith("decoder_start") for item in outside):
            used = used | {"decoder_start_token_id"}
        unsupported = _list_unsupported(config, used, options, start_token_id)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} cannot be used: {error}") from error
    reasons = []
    if unsupported:
        reasons.append(
            f"has fields that lmzoo does not support and leaves out: {', '.join(unsupported)}"
        )
    if outside:
        reasons.append(
            f"has ids outside the vocabulary of {vocabulary_size} tokens and leaves out: "
            f"{', '.join(outside)}"
        )
    if reasons:
        warnings.warn(
            f"{GENERATION_CONFIG} {'; it '.join(reasons)}. Received: {str(path)!r}.",
            stacklevel=3,
        )
    ends = None if _is_tokenizers_own(ends, tokenizer) else ends
    return {"generation_defaults": options, "end_token_ids": ends}


def _is_tokenizers_own(ends, tokenizer):
    """Whether the end tokens are the tokenizer's, the default of a task."""
    return tokenizer is not None and ends == [tokenizer.end_token_id]


def _read_eos_of_config(config, vocabulary_size):
    """The end token ids in config.json; ids outside the vocabulary are passed over."""
    found = config.get("eos_token_id")
    ends = found if isinstance(found, list) else [found]
    return [end for end in ends if type(end) is int and 0 <= end < vocabulary_size]


def _read_ids(config, vocabulary_size):
    """The end token ids or None, and the ids outside the vocabulary as "name=value"."""
    ends, outside = None, []
    for name in ("bos_token_id", "pad_token_id", "decoder_start_token_id", "eos_token_id"):
        found = config.get(name)
        ids = found if name == "eos_token_id" and isinstance(found, list) else [found]
        known = []
        for token in ids:
            # Any integer is read: files of other vocabularies, and -1 for none, are common.
            token = read_size({name: token}, name, None, 2**63, optional=True, lowest=-(2**63))
            if token is not None and 0 <= token < vocabulary_size:
                known.append(token)
            elif token is not None and (name, token) != ("pad_token_id", -1):
                outside.append(f"{name}={token}")
        if name == "eos_token_id":
            ends = list(dict.fromkeys(known)) or None
    outside = list(dict.fromkeys(outside))
    # A file may have thousands of them.
    return ends, outside[:8] + ["..."] * (len(outside) > 8)


def _read_options(config):
    """Options of `generate`, and the set of fields that were used."""
    config = {name: value for name, value in config.items() if value is not None}
    options = {}
    if "max_new_tokens" in config:
        options["max_new_tokens"] = read_size(config, "max_new_tokens", None, _MOST)
    for name, default in _SIZES.items():
        highest = _MOST_ROWS.get(name, _MOST)
        options[name] = read_size(config, name, default, highest, lowest=default)
    for name, limits in _NUMBERS.items():
        options[name] = read_number(config, name, *limits)
    options["early_stopping"] = config.get("early_stopping", False)
    if not isinstance(options["early_stopping"], bool):
        read_choice(config, "early_stopping", None, ("never",))
    if "stop_strings" in config:
        options["stop_strings"] = _read_texts(config, "stop_strings")
    options = {name: value for name, value in options.items() if value != _neutral(name)}
    sampling = {name: read_number(config, name, *limits) for name, limits in _SAMPLING.items()}
    sampling["top_k"] = read_size(config, "top_k", _TOP_K, _MOST, lowest=0)
    used = {"max_new_tokens", *_SIZES, *_NUMBERS, "early_stopping", "stop_strings", *sampling}
    if read_flag(config, "do_sample", False) and "num_beams" not in options:
        always = ("temperature", "top_k")
        options |= {
            name: value
            for name, value in sampling.items()
            if name in always or value != _neutral(name)
        }
        used.add("do_sample")
    options |= _read_own(config)
    beams = options.get("num_beams", 1)
    if 1 < beams < options.get("num_return_sequences", 1):
        read_size(config, "num_return_sequences", None, beams)
    sampled = options.get("temperature", 0) > 0
    if beams == 1 and not sampled and options.pop("num_return_sequences", None):
        # transformers refuses it too, where it generates.
        used = used - {"num_return_sequences"}
    return options, used | {_OWN_KEY}


def _neutral(name):
    if name in _SIZES:
        return _SIZES[name]
    return (_NUMBERS | _SAMPLING).get(name, (False,))[0]


def _read_texts(config, name):
    texts = config[name]
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(
            f"`{name}` must hold strings that are not empty. Received: {name}={texts!r:.80}."
        )
    most, longest = _MOST_STRINGS[name]
    sizes = [len(text.encode()) for text in texts]
    if len(texts) > most or max(sizes, default=0) > longest:
        raise ValueError(
            f"`{name}` must hold at most {most} strings of at most {longest} bytes. Received: "
            f"{len(texts)} strings, the longest of {max(sizes)} bytes."
        )
    return texts


def _read_own(config):
    """The options under our own key."""
    found = config.get(_OWN_KEY, {})
    known = ("presence_penalty", "bad_words", "seed", *_BEAM_OPTIONS)
    if not isinstance(found, dict) or found.keys() - set(known):
        raise ValueError(
            f"`{_OWN_KEY}` must be an object with {', '.join(known)}. Received: {found!r:.80}."
        )
    options = {}
    for name in ("presence_penalty", "length_penalty"):
        if name in found:
            options[name] = read_number(found, name, None, -1e6, 1e6)
    if "seed" in found:
        options["seed"] = read_size(found, "seed", None, 2**63, lowest=-(2**63))
    if "bad_words" in found:
        options["bad_words"] = _read_texts(found, "bad_words")
    if "early_stopping" in found:
        options["early_stopping"] = found["early_stopping"]
        if not isinstance(found["early_stopping"], bool):
            read_choice(found, "early_stopping", None, ("never",))
    return options


def _add_total_lengths(config, options, used):
    """Adds `max_length` and `min_length`, which count the start token of a decoder too."""
    longest = read_size(config, "max_length", None, _MOST, optional=True, lowest=2)
    shortest = read_size(config, "min_length", None, _MOST, optional=True, lowest=0)
    if longest is not None:
        options = {"max_new_tokens": longest - 1, **options}
    if shortest is not None and shortest > 1:
        options = {"min_new_tokens": shortest - 1, **options}
    return options, used | {"max_length", "min_length"}


def _list_unsupported(config, used, options, start_token_id):
    """The fields that have an effect and are not supported, as "name=value", sorted."""
    known = {*used, *_IGNORED, "bos_token_id", "eos_token_id", "pad_token_id"}
    if config.get("decoder_start_token_id") == start_token_id:
        known.add("decoder_start_token_id")
    # `max_new_tokens` takes precedence over `max_length` in transformers.
    if "max_new_tokens" in options:
        known.add("max_length")
    unsupported = []
    for name, value in sorted(config.items()):
        is_off = value in (None, False, "", [], {}) or value == _NEUTRAL.get(name)
        if name not in known and not is_off:
            # Control characters of a foreign file must not reach the terminal.
            shown = name if name.isprintable() else repr(name)
            unsupported.append(f"{shown:.40}={value!r:.40}")
    return unsupported


def make_generation_config(task):
    """Content of generation_config.json for a generative task.

    Args:
        task: `CausalLM` or `Seq2SeqLM`.
    Returns:
        dict, or None if the task has neither defaults nor end tokens.
    """
    defaults, ends = dict(task.generation_defaults), list(task.end_token_ids)
    if not defaults and not ends:
        return None
    config = {"eos_token_id": ends[0] if len(ends) == 1 else ends or None}
    if task.tokenizer is not None:
        config["bos_token_id"] = task.tokenizer.start_token_id
        config["pad_token_id"] = task.tokenizer.pad_token_id
    if task.start_token_id is not None:
        config["decoder_start_token_id"] = task.start_token_id
    config |= _make_sampling(task.make_options({}))
    own = {name: defaults[name] for name in ("presence_penalty", "bad_words") if name in defaults}
    if defaults.get("seed") is not None:
        own["seed"] = int(defaults["seed"])
    for name in ("max_new_tokens", *_SIZES):
        if name in defaults and defaults[name] != _SIZES.get(name):
            config[name] = int(defaults[name])
    for name in (*_NUMBERS, "early_stopping", "stop_strings"):
        if name in defaults and defaults[name] != _neutral(name):
            place = own if name in _BEAM_OPTIONS and "num_beams" not in config else config
            place[name] = float(defaults[name]) if name in _NUMBERS else defaults[name]
    return {**config, **({_OWN_KEY: own} if own else {})}


def _make_sampling(options):
    if not options.is_sampled:
        return {}
    temperature = 1.0 if options.temperature is None else float(options.temperature)
    found = {"do_sample": True, "temperature": temperature, "top_k": int(options.top_k)}
    for name in ("top_p", "min_p"):
        value = float(getattr(options, name))
        if value != _neutral(name):
            found[name] = value
    return found
