"""Small GPTs that continue text, and the LSTM and the n-grams that do so beside them."""

import lmzoo
from _helpers.writing import predict_next


def make_gpt(tokenizer, length, smoke=False, intermediate_dim=256, **defaults):
    """A decoder of today's form for texts of `length` tokens, small enough for two cores.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        length: int.
        smoke: bool. Whether it is a tiny one.
        intermediate_dim: int. F, unless it is a tiny one.
        **defaults: what `generate` does where it is not told otherwise.
    """
    sizes = {"num_layers": 3, "num_heads": 4, "hidden_dim": 128}
    sizes["intermediate_dim"] = intermediate_dim
    if smoke:
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64}
    backbone = lmzoo.models.GPTBackbone(
        tokenizer.vocabulary_size,
        max_sequence_length=length,
        positions="rotary",
        norm="rms_norm",
        gated=True,
        activation="silu",
        use_bias=False,
        **sizes,
    )
    return lmzoo.tasks.CausalLM(backbone, tokenizer, generation_defaults=defaults or None)


def generate_greedily(lm, prompts, batch_size=50, **options):
    """What a generative task writes for each prompt, each token the most probable: list of str."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    texts = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [prompts[index] for index in chosen]
        found = lm.generate(batch, temperature=0.0, return_prompt=False, **options)
        texts.update(zip(chosen, found, strict=True))
    return [texts[index] for index in range(len(prompts))]


def fit_lstm(tokenizer, batches, length, learning_rate=4e-3):
    """An `LSTMLM` that has read the batches of a `CausalLM` once."""
    lstm = lmzoo.evaluation.baselines.LSTMLM(tokenizer, max_sequence_length=length)
    print("Training the LSTM beside it", flush=True)
    train_lstm(lstm, batches, learning_rate)
    return lstm


def train_lstm(lstm, batches, learning_rate=4e-3, callbacks=()):
    """Trains an `LSTMLM` on one pass over the batches of a `CausalLM`.

    Args:
        lstm: it.
        batches: tf.data.Dataset of (inputs, labels, weights), of known length.
        learning_rate: float. Adam's, which falls to 0 along a cosine.
        callbacks: list of keras.callbacks.Callback.
    """
    import keras

    rate = keras.optimizers.schedules.CosineDecay(learning_rate, len(batches))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    lstm.model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss, jit_compile=False)
    batches = batches.map(lambda inputs, *others: (inputs["token_ids"], *others))
    lstm.model.fit(batches, shuffle=False, verbose=0, callbacks=list(callbacks))


def write_greedily(baseline, prompts, max_new_tokens, is_end, batch_size=50):
    """What an `LSTMLM` or a `KneserNeyLM` writes, each token the most probable: list of str.

    Args:
        baseline: it.
        prompts: list of str. Their special tokens are read as such.
        max_new_tokens: int.
        is_end: function of a token's id. Whether a text ends there.
        batch_size: int.
    """
    import tensorflow as tf

    tokenizer = baseline.tokenizer
    prompts = tokenizer.tokenize(prompts, allow_special=True).to_list()
    rows = [[tokenizer.start_token_id, *ids] for ids in prompts]
    new = [[] for _ in rows]
    for _ in range(max_new_tokens):
        is_open = [index for index, ids in enumerate(new) if not ids or not is_end(ids[-1])]
        for start in range(0, len(is_open), batch_size):
            chosen = is_open[start : start + batch_size]
            found = predict_next(baseline, [rows[index] + new[index] for index in chosen])
            for index, probabilities in zip(chosen, found, strict=True):
                new[index].append(int(probabilities.argmax()))
    texts = tokenizer.detokenize(tf.ragged.constant(new, tf.int32, ragged_rank=1))
    return [text.decode("utf-8", "replace") for text in texts.numpy()]
