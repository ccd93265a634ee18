"""Keyword arguments: of other libraries, refused with the name that is meant; and shared ones."""

import dataclasses
import difflib
import functools
import inspect

__all__ = ["check_keywords", "explain_keywords", "takes_options"]

# What transformers and KerasHub call arguments, and what they may be here: the first one that the
# called function has.
_MEANT = {
    **dict.fromkeys(("vocab_size", "n_vocab"), ("vocabulary_size",)),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers"), ("num_layers",)),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads"), ("num_heads",)),
    "num_query_heads": ("num_heads",),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim"), ("hidden_dim",)),
    **dict.fromkeys(("intermediate_size", "n_inner", "d_ff"), ("intermediate_dim",)),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), ("max_sequence_length",)),
    **dict.fromkeys(("hidden_act", "activation_function"), ("activation",)),
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps"), ("norm_epsilon",)),
    **dict.fromkeys(("hidden_dropout_prob", "resid_pdrop", "dropout_rate"), ("dropout",)),
    **{"type_vocab_size": ("num_segments",), "tie_word_embeddings": ("tied",)},
    **{
        "d_kv": ("head_dim",),
        "rope_theta": ("max_wavelength",),
        "classifier_dropout": ("dropout",),
    },
    **{"num_labels": ("num_classes", "num_targets"), "preprocessor": ("tokenizer",)},
    **dict.fromkeys(("id2label", "label2id", "label_names"), ("labels",)),
    **dict.fromkeys(("max_length", "max_seq_length"), ("sequence_length",)),
    **{"eos_token_id": ("end_token_ids",), "decoder_start_token_id": ("start_token_id",)},
    **{"pooling_mode": ("pooling",), "problem_type": ("multi_label",)},
    **{"skip_special_tokens": ("skip_special",), "add_special_tokens": ("add_special",)},
    **dict.fromkeys(("files", "iterator", "data", "filenames"), ("files_or_iterator",)),
    **dict.fromkeys(("input_ids", "token_ids", "sequences"), ("ids",)),
    **{"texts": ("text",), "inputs": ("text",)},
}
# What Keras's own layers and models take.
_KERAS = ("activity_regularizer", "autocast", "dtype", "name", "trainable")


def check_keywords(function, keywords, known=_KERAS):
    """Refuses keyword arguments that a function does not have.

    Args:
        function: callable, such as a class.
        keywords: dict. What was given beside the arguments that it names.
        known: tuple of str. What it passes on.
    Raises:
        TypeError: if there are others. The message has the name that is meant, if there is one.
    """
    own = [name for name in inspect.signature(function).parameters if name != "self"]
    for name, value in keywords.items():
        if name in known:
            continue
        meant = next((ours for ours in _MEANT.get(name, ()) if ours in own), None)
        close = difflib.get_close_matches(name, own, 1)
        if meant is not None:
            remedy = f"Use `{meant}`."
        elif close:
            remedy = f"Did you mean `{close[0]}`?"
        else:
            names = (each for each in own if each not in ("args", "kwargs"))
            remedy = f"It takes {', '.join(names)}."
        raise TypeError(
            f"{function.__qualname__} takes no argument `{name}`. Received: "
            f"{name}={value!r:.60}. {remedy}"
        )


def explain_keywords(function):
    """Decorates a function so that unknown keyword arguments are refused by `check_keywords`."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not kwargs.keys() <= set(known):
            check_keywords(function, kwargs, known)
        return function(*args, **kwargs)

    return call


def takes_options(kind):
    """Gives a function the fields of a dataclass as keyword arguments.

    The function has a keyword argument `options`, which it gets as an instance of the dataclass.
    Its callers give the fields by their own names. The signature, which `help` shows, has each of
    them with its default, and a keyword that is not in it raises TypeError, as in every function.

    Args:
        kind: a dataclass whose fields have defaults.
    Returns:
        callable. A decorator of functions and methods.
    Example:
    >>> @dataclasses.dataclass
    ... class Options:
    ...     seed: int = 0
    >>> @takes_options(Options)
    ... def shuffle(rows, *, options):
    ...     return options.seed
    >>> shuffle([], seed=3), str(inspect.signature(shuffle))
    (3, '(rows, *, seed=0)')
    """
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in dataclasses.fields(kind)
    ]

    def decorate(function):
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.name != "options"]
        further = [each for each in own if each.kind is each.VAR_KEYWORD]
        own = [each for each in own if each not in further]
        signature = signature.replace(parameters=[*own, *shared, *further])

        @functools.wraps(function)
        def call(*args, **kwargs):
            if not further and not kwargs.keys() <= signature.parameters.keys():
                check_keywords(call, kwargs, tuple(signature.parameters))
            signature.bind(*args, **kwargs)
            given = {each.name: kwargs.pop(each.name) for each in shared if each.name in kwargs}
            return function(*args, options=kind(**given), **kwargs)

        call.__signature__ = signature
        return call

    return decorate
