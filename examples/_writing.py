"""What the examples that generate text share: baselines that write, and figures of texts."""

import lmzoo

# A text is drawn token by token: less probable tokens are left out, as `generate` does.
SAMPLING = {"temperature": 0.8, "top_p": 0.95}
NAMES = ["length", "distinct-2", "repetition", "self-BLEU", "fluency"]
# Of these a lower figure is the better one; a length only describes.
LOWER = ["repetition", "self-BLEU", "fluency", "bits/byte"]


def write_with_lm(baseline, prompts, max_new_tokens, seed=0):
    """Texts that a baseline language model draws: list of str, each with its prompt.

    Args:
        baseline: a fitted `LSTMLM` or `KneserNeyLM` of `lmzoo.evaluation.baselines`.
        prompts: list of str.
        max_new_tokens: int. Kneser-Ney does not know where a text ends, and always writes so many.
        seed: int.
    """
    import numpy as np
    import tensorflow as tf

    tokenizer, generator = baseline.tokenizer, np.random.default_rng(seed)
    start, end = tokenizer.start_token_id, tokenizer.end_token_id
    rows = [[start, *ids] for ids in tokenizer.tokenize(prompts).to_list()]
    for _ in range(max_new_tokens):
        is_open = [row for row in rows if row[-1] != end or len(row) == 1]
        if not is_open:
            break
        for row, probabilities in zip(is_open, predict_next(baseline, is_open), strict=True):
            row.append(draw(probabilities, generator))
    texts = [row[1:-1] if row[-1] == end else row[1:] for row in rows]
    texts = tokenizer.detokenize(tf.ragged.constant(texts, tf.int32, ragged_rank=1))
    return [text.decode("utf-8", "replace") for text in texts.numpy()]


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
    score = lmzoo.evaluate(judge, {"text": written}, ["bits_per_byte"], verbose=False)
    return [
        sum(map(count, texts)) / len(texts),
        lmzoo.metrics.distinct_n(texts, 2, tokens),
        lmzoo.metrics.repetition_rate(texts, 3, tokens),
        lmzoo.metrics.self_bleu(texts, tokenize)["self_bleu"] / 100,
        score.scores["bits_per_byte"].value,
    ]
