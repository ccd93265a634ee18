"""The signatures of a SavedModel that generates: `serving_default`, `generate` and `tokens`."""

import tensorflow as tf

from lmzoo.generation import GenerationOptions
from lmzoo.generation.generator import Generator
from lmzoo.generation.pipeline import encode_bad_words, left_pad
from lmzoo.runtime.generation.merging import check_defaults, merge_options
from lmzoo.tasks.request_checks import check_texts, check_token_batch, require, require_range

__all__ = ["make_generative_signatures"]

# What a caller of the signature `generate` may choose.
_SERVED = ("max_new_tokens", "temperature", "top_k", "top_p", "seed")


def make_generative_signatures(task, jit_compile, return_prompt, truncate_prompts, options):
    """The functions of a task that generates.

    Args:
        task, jit_compile, return_prompt, truncate_prompts: as for `export_saved_model`, but that
            `jit_compile` is True or False.
        options: dict, what is given to `GenerationOptions`.
    Returns:
        (tf.Module, dict of name to tf.function): the module holds what the functions read.
    Raises:
        TypeError, ValueError: as `export_saved_model`.
    """
    merged = merge_options(task.generation_defaults, check_defaults(options))
    options = GenerationOptions(**{"seed": 0, **merged})
    if options.num_return_sequences > 1:
        raise ValueError(
            "`num_return_sequences` must be 1 in an exported model, whose rows are those of its "
            f"input. Received: num_return_sequences={options.num_return_sequences}."
        )
    # It holds no optimizer, as the task does.
    module = tf.Module()
    module.weights = list(task.backbone.variables)
    module.tokenizer = task.tokenizer
    return module, _make_functions(task, options, jit_compile, return_prompt, truncate_prompts)


def _make_functions(task, options, jit_compile, return_prompt, truncate_prompts):
    """The three functions, or the one that needs no tokenizer: dict of name to tf.function."""
    # One graph for all functions, with sampling: whoever calls `generate` may ask for it.
    sampled = options.num_beams == 1 and task.tokenizer is not None
    generator = Generator(task, options, jit_compile, sampled or None, shared=True)
    bad_words = None
    if options.bad_words:
        bad_words = encode_bad_words(task.tokenizer, options.bad_words)

    num_fixed = _count_fixed(task) if truncate_prompts else 0

    def complete(text, chosen):
        (text,) = check_texts(("text",), (text,))
        token_ids, mask = task.encode_prompts(text)
        parameters = _fill_parameters(options, tf.shape(text)[0], chosen, bad_words)
        if truncate_prompts:
            new = parameters["max_new_tokens"]
            token_ids, mask = _truncate_left(task, token_ids, mask, new, num_fixed)
        results = _require_finite(generator.generate(token_ids, mask, parameters))
        texts = generator.to_texts(results)[:, 0]
        if return_prompt and not task.is_encoder_decoder:
            texts = tf.strings.join([text, texts])
        return {"text": texts, "log_prob": results["log_prob"][:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def serving_default(text):
        return complete(text, {})

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "text"),
            tf.TensorSpec(None, tf.int32, "max_new_tokens"),
            tf.TensorSpec(None, tf.float32, "temperature"),
            tf.TensorSpec(None, tf.int32, "top_k"),
            tf.TensorSpec(None, tf.float32, "top_p"),
            tf.TensorSpec(None, tf.int32, "seed"),
        ]
    )
    def generate(text, max_new_tokens, temperature, top_k, top_p, seed):
        values = (max_new_tokens, temperature, top_k, top_p, seed)
        return complete(text, dict(zip(_SERVED, values, strict=True)))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, "token_ids"),
            tf.TensorSpec([None, None], tf.bool, "padding_mask"),
        ]
    )
    def tokens(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        inputs = check_token_batch(inputs)
        # Whatever side the padding is on: it goes to the left.
        ragged = tf.ragged.boolean_mask(inputs["token_ids"], inputs["padding_mask"])
        has_tokens = tf.reduce_all(ragged.row_lengths() > 0)
        rules = [
            ("Each row of `padding_mask` must have a True.", has_tokens),
            require_range("token_ids", ragged.values, task.backbone.vocabulary_size),
        ]
        token_ids, mask = left_pad(ragged.with_values(require(ragged.values, rules)))
        parameters = _fill_parameters(options, tf.shape(token_ids)[0], {}, bad_words)
        results = _require_finite(generator.generate(token_ids, mask, parameters))
        return {
            "token_ids": results["token_ids"][:, 0],
            "padding_mask": results["mask"][:, 0],
            "log_prob": results["log_prob"][:, 0],
        }

    if task.tokenizer is None:
        return {"tokens": tokens}
    return {"tokens": tokens, "serving_default": serving_default, "generate": generate}


def _require_finite(results):
    message = "The model's scores must be finite, and are not: it cannot answer this request."
    return require(results, [(message, tf.reduce_all(results["is_finite"]))])


def _count_fixed(task):
    """How many first tokens of a prompt are not its text: a start token, or the `prefix`."""
    if not task.is_encoder_decoder:
        return int(task.tokenizer.add_start_token)
    _, mask = task.encode_prompts(tf.constant([""]))
    # Its last one is the end token.
    return int(tf.reduce_sum(tf.cast(mask, tf.int32))) - 1


def _truncate_left(task, token_ids, mask, max_new_tokens, num_fixed):
    """Prompts (B, P) and their mask, those beyond the context cut on the left of their text."""
    longest = task.max_sequence_length
    room = 0 if task.is_encoder_decoder else tf.clip_by_value(max_new_tokens, 0, longest // 2)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    # (B, P): the index of each token in its prompt
    index = tf.cumsum(tf.cast(mask, tf.int32), axis=1) - 1
    first = tf.expand_dims(lengths - (longest - room) + num_fixed, 1)
    fits = tf.expand_dims(lengths <= longest, 1)
    return left_pad(
        tf.ragged.boolean_mask(token_ids, mask & (fits | (index < num_fixed) | (index >= first)))
    )


def _fill_parameters(options, batch_size, chosen, bad_words):
    """The options as tensors (B,); those in `chosen` come with the request and are checked."""
    defaults, parameters = options.make_parameters(1), {}
    for name, spec in options.make_signature().items():
        value = chosen[name] if name in chosen else defaults[name]
        value = tf.cast(tf.reshape(value, [-1]), spec.dtype)
        if name in chosen:
            count = tf.size(value)
            rule = f"`{name}` must be one number, or one for each row."
            value = require(value, [(rule, (count == 1) | (count == batch_size))])
        parameters[name] = tf.broadcast_to(value, [batch_size])
    parameters["rng_stream"] = tf.range(batch_size)
    if "seed" in chosen:
        # As in `generate`: with its own seed a row draws by nothing else, whatever its neighbours.
        own = tf.size(chosen["seed"]) > 1
        parameters["rng_stream"] = tf.where(own, 0, parameters["rng_stream"])
    if bad_words is not None:
        parameters["bad_words"] = bad_words
    return require(parameters, _list_rules(parameters) if chosen else [])


def _list_rules(parameters):
    temperature, top_p = parameters["temperature"], parameters["top_p"]
    is_finite = (temperature >= 0) & tf.math.is_finite(temperature)
    rules = {
        "`max_new_tokens` must be at least 0.": parameters["max_new_tokens"] >= 0,
        "`top_k` must be at least 0.": parameters["top_k"] >= 0,
        "`temperature` must be finite and at least 0.": is_finite,
        "`top_p` must be in (0, 1].": (top_p > 0) & (top_p <= 1),
    }
    return [(rule, tf.reduce_all(holds)) for rule, holds in rules.items()]
