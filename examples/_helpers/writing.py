"""What the examples that generate text share: a small GPT, baselines that write, figures."""

import argparse

import lmzoo
from _helpers import common

# A text is drawn token by token: less probable tokens are left out, as `generate` does.
SAMPLING = {"temperature": 0.8, "top_p": 0.95}
NAMES = ["length", "distinct-2", "repetition", "self-BLEU", "fluency"]
# Of these a lower figure is the better one; a length only describes.
LOWER = ["repetition", "self-BLEU", "fluency", "bits/byte"]


# Models


def make_gpt(tokenizer, smoke=False, **sizes):
    """A fresh GPT that is small enough for two cores: `CausalLM`."""
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 128} | sizes
    if smoke:
        sizes |= {"num_layers": 1, "num_heads": 2, "hidden_dim": 32}
    backbone = lmzoo.models.GPTBackbone(
        tokenizer.vocabulary_size,
        **{"max_sequence_length": 128, "positions": "rotary", **sizes},
    )
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


def train_lm(lm, texts, arguments, learning_rate, batch_size=16, warmup=0):
    """Trains a `CausalLM` on packed texts for the epochs that are left; see `common.train`."""
    rows = lmzoo.data.make_rows(text=texts)
    sizes = (lm.tokenizer, lm.backbone.max_sequence_length, batch_size)
    data = lmzoo.data.causal_lm(rows, *sizes)
    epoch = common.count_epochs(lm, len(data))
    data = lmzoo.data.causal_lm(rows, *sizes, initial_epoch=epoch)
    common.train(lm, data, arguments, learning_rate, warmup=warmup)


def take_stage(arguments, name, epochs=None):
    """The arguments of one of several trainings, with a folder in `--folder` of its own.

    Args:
        arguments: what `common.parse` gave.
        name: str.
        epochs: int or None. Those of a training that `--epochs` does not speak of.
    """
    folder = None if arguments.folder is None else arguments.folder / name
    if epochs is None or arguments.smoke:
        epochs = arguments.epochs
    return argparse.Namespace(**{**vars(arguments), "folder": folder, "epochs": epochs})


# Texts


def measure_bits(model, texts):
    """Bits per byte of texts: float."""
    score = lmzoo.evaluate(model, {"text": texts}, ["bits_per_byte"], verbose=False)
    return score.scores["bits_per_byte"].value


def write_texts(model, prompts, max_new_tokens, seed=0, end_token_ids=None, min_new_tokens=0):
    """Texts that a `CausalLM` or a baseline draws, each with its prompt: list of str.

    The arguments are those of `write_with_lm`. A `CausalLM` gets `end_token_ids` for good.
    """
    if not isinstance(model, lmzoo.tasks.CausalLM):
        ends = (end_token_ids, min_new_tokens)
        return write_with_lm(model, prompts, max_new_tokens, seed, *ends)
    if end_token_ids is not None:
        model.end_token_ids = end_token_ids
    options = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens, "seed": seed}
    return model.generate(prompts, **options, **SAMPLING)


def write_with_lm(baseline, prompts, max_new_tokens, seed=0, end_token_ids=None, min_new_tokens=0):
    """Texts that a baseline language model draws: list of str, each with its prompt.

    Args:
        baseline: a fitted `LSTMLM` or `KneserNeyLM` of `lmzoo.evaluation.baselines`.
        prompts: list of str.
        max_new_tokens: int. Kneser-Ney does not know where a text ends, and always writes so many.
        seed: int.
        end_token_ids: list of int. What ends a text; None for the end token alone.
        min_new_tokens: int. How many tokens a text has before one of them may end it.
    """
    import numpy as np
    import tensorflow as tf

    tokenizer, generator = baseline.tokenizer, np.random.default_rng(seed)
    start, ends = tokenizer.start_token_id, end_token_ids or [tokenizer.end_token_id]
    rows = [[start, *ids] for ids in tokenizer.tokenize(prompts).to_list()]
    for num_written in range(max_new_tokens):
        is_open = [row for row in rows if row[-1] not in ends or len(row) == 1]
        if not is_open:
            break
        for row, probabilities in zip(is_open, predict_next(baseline, is_open), strict=True):
            allowed = np.array(probabilities, "float64")
            if num_written < min_new_tokens:
                allowed[ends] = 0.0
            row.append(draw(allowed, generator))
    texts = [row[1:-1] if row[-1] in ends else row[1:] for row in rows]
    texts = tokenizer.detokenize(tf.ragged.constant(texts, tf.int32, ragged_rank=1))
    return [text.decode("utf-8", "replace") for text in texts.numpy()]


def write_with_masks(lm, prompts, max_new_tokens, seed=0):
    """Texts of a `MaskedLM`: the token of a mask behind the text is drawn, so many times."""
    import numpy as np

    tokenizer, generator = lm.tokenizer, np.random.default_rng(seed)
    special = [tokenizer.token_to_id(token) for token in tokenizer.special_tokens]
    rows = tokenizer.tokenize(prompts).to_list()
    for _ in range(max_new_tokens):
        ends = [tokenizer.mask_token_id, tokenizer.end_token_id]
        full = [[tokenizer.start_token_id, *row, *ends] for row in rows]
        token_ids = np.zeros([len(full), max(map(len, full))], "int32")
        mask = np.arange(token_ids.shape[1]) < np.array([[len(row)] for row in full])
        token_ids[mask] = np.concatenate(full)
        places = np.array([[len(row) - 2] for row in full], "int32")
        inputs = {"token_ids": token_ids, "padding_mask": mask, "mask_positions": places}
        scores = np.array(lm(inputs, training=False)[:, 0], "float64")
        scores[:, special] = -np.inf
        for row, own in zip(rows, np.exp(scores - scores.max(-1, keepdims=True)), strict=True):
            row.append(draw(own / own.sum(), generator))
    return [tokenizer.detokenize([row]).numpy()[0].decode("utf-8", "replace") for row in rows]


def predict_next(baseline, rows):
    """The distribution of the token after each row: list of float arrays (V,)."""
    import tensorflow as tf

    if not hasattr(baseline, "model"):
        # An n-gram depends on its last tokens alone.
        return [baseline.predict(row[-baseline.order :]) for row in rows]
    ids = tf.ragged.constant(rows, tf.int32, ragged_rank=1)
    logits = baseline.model(ids.to_tensor(), training=False)
    last = tf.gather(logits, ids.row_lengths() - 1, batch_dims=1)
    return list(tf.nn.softmax(tf.cast(last, tf.float64)).numpy())


def draw(probabilities, generator):
    """A token by the temperature and the nucleus of `SAMPLING`: int."""
    import numpy as np

    weights = probabilities ** (1 / SAMPLING["temperature"])
    weights /= weights.sum()
    order = np.argsort(-weights)
    before = np.cumsum(weights[order]) - weights[order]
    kept = order[before < SAMPLING["top_p"]]
    return int(generator.choice(kept, p=weights[kept] / weights[kept].sum()))


def measure_texts(texts, judge, tokens="words"):
    """The figures of `NAMES` for texts.

    Args:
        texts: list of str.
        judge: `KneserNeyLM` that has read more than any of the writers. The fluency is the bits
            that it needs for each byte: low for texts that it expects, dull ones among them.
        tokens: "words" or "characters".
    Returns:
        list of float.
    """
    count = len if tokens == "characters" else lambda text: len(text.split())
    tokenize = "zh" if tokens == "characters" else "13a"
    written = [text for text in texts if text.strip()]
    return [
        sum(map(count, texts)) / len(texts),
        lmzoo.metrics.distinct_n(texts, 2, tokens),
        lmzoo.metrics.repetition_rate(texts, 3, tokens),
        lmzoo.metrics.self_bleu(texts, tokenize)["self_bleu"] / 100,
        measure_bits(judge, written),
    ]
