"""LSTMs in plain Keras that learn from a task's own examples, as baselines of the examples.

Each reads the tokens of the task that it is compared with, cut where that cuts them. Recurrent and
n-gram language models are in `lmzoo.evaluation.baselines`; `writing.py` samples from them.
"""

import collections
import functools

import lmzoo

# A step costs the time of its loop over the tokens, and hardly more for more rows.
BATCH_SIZE = 128
SEED = 0


# Batches


def make_batches(task, rows, batch_size=BATCH_SIZE, shuffle=True):
    """The batches that `task.fit(rows)` trains on, tf.data.Dataset of inputs, labels, weights."""

    def encode(columns, seed):
        # Pairs of an embedder have no labels.
        return tuple(each for each in task.encode(columns, seed)[:3] if each is not None)

    return rows.dataset(batch_size, shuffle=shuffle, encode=encode)


def select_inputs(batches, model):
    """The same batches with the inputs of a model alone."""
    names = [each.name for each in model.inputs]
    return batches.map(lambda inputs, *rest: ({name: inputs[name] for name in names}, *rest))


# Models


def encode_tokens(vocabulary_size, hidden_dim, prefix=""):
    """Embeddings and a bidirectional LSTM: inputs, states (B, T, D), mask (B, T)."""
    import keras

    token_ids = keras.Input([None], dtype="int32", name=f"{prefix}token_ids")
    mask = keras.Input([None], dtype="bool", name=f"{prefix}padding_mask")
    embedding = keras.layers.Embedding(vocabulary_size, hidden_dim)
    lstm = keras.layers.LSTM(hidden_dim // 2, return_sequences=True)
    hidden = keras.layers.Dropout(0.2)(embedding(token_ids))
    hidden = keras.layers.Bidirectional(lstm)(hidden, mask=mask)
    return [token_ids, mask], keras.layers.Dropout(0.2)(hidden), mask, embedding


def build_classifier(vocabulary_size, num_classes, hidden_dim=256):
    """The mean of the states, then a dense layer: logits (B, C)."""
    import keras

    inputs, hidden, mask, _ = encode_tokens(vocabulary_size, hidden_dim)
    pooled = keras.layers.GlobalAveragePooling1D()(hidden, mask=mask)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(pooled))


def build_tagger(vocabulary_size, num_classes, hidden_dim=256):
    """A dense layer on each state: logits (B, T, C)."""
    import keras

    inputs, hidden, _, _ = encode_tokens(vocabulary_size, hidden_dim)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(hidden))


def build_masked(vocabulary_size, hidden_dim=256):
    """A dense layer and the embeddings at the masked positions: logits (B, P, V)."""
    import keras

    inputs, hidden, _, _ = encode_tokens(vocabulary_size, hidden_dim)
    positions = keras.Input([None], dtype="int32", name="mask_positions")
    # (B, T, D) -> (B, P, D) -> (B, P, V)
    hidden = keras.ops.take_along_axis(hidden, positions[:, :, None], axis=1)
    hidden = keras.layers.Dense(hidden_dim, activation="gelu")(hidden)
    return keras.Model([*inputs, positions], keras.layers.Dense(vocabulary_size)(hidden))


def build_embedder(vocabulary_size, hidden_dim=256, scale=20.0):
    """Cosines of each first text of a batch with each second one, times `scale`: logits (B, B)."""
    import keras

    inputs, hidden, mask, _ = encode_tokens(vocabulary_size, hidden_dim)
    pooled = keras.layers.GlobalAveragePooling1D()(hidden, mask=mask)
    encoder = keras.Model(inputs, keras.layers.UnitNormalization()(pooled), name="encoder")
    token_ids = keras.Input([2, None], dtype="int32", name="token_ids")
    masks = keras.Input([2, None], dtype="bool", name="padding_mask")
    # (B, 2, T) -> (B, D) of each side -> (B, B)
    first, second = (encoder([token_ids[:, side], masks[:, side]]) for side in (0, 1))
    logits = scale * keras.ops.matmul(first, keras.ops.transpose(second))
    return keras.Model([token_ids, masks], logits)


def build_seq2seq(vocabulary_size, hidden_dim=256):
    """An encoder, and a decoder with dot-product attention: logits (B, T, V).

    Reference: Luong et al. 2015, https://arxiv.org/abs/1508.04025, "global attention", without
    input feeding.
    """
    import keras

    inputs, states, mask, embedding = encode_tokens(vocabulary_size, hidden_dim, "encoder_")
    pooled = keras.layers.GlobalAveragePooling1D()(states, mask=mask)
    first = keras.layers.Dense(hidden_dim, activation="tanh")(pooled)
    token_ids = keras.Input([None], dtype="int32", name="decoder_token_ids")
    hidden = keras.layers.LSTM(hidden_dim, return_sequences=True)(
        embedding(token_ids), initial_state=[first, first]
    )
    context = keras.layers.Attention()([hidden, states], mask=[None, mask])
    hidden = keras.layers.Concatenate()([hidden, context])
    hidden = keras.layers.Dense(hidden_dim, activation="tanh")(hidden)
    return keras.Model([*inputs, token_ids], keras.layers.Dense(vocabulary_size)(hidden))


# Training and prediction


def count_tokens(texts, tokenizer):
    """The most frequent token, and of each token the one that follows most often: int, dict."""
    counts, followers = collections.Counter(), collections.defaultdict(collections.Counter)
    for ids in tokenizer.tokenize(texts).to_list():
        counts.update(ids)
        for before, after in zip([tokenizer.start_token_id, *ids], ids, strict=False):
            followers[before][after] += 1
    after = {before: following.most_common(1)[0][0] for before, following in followers.items()}
    return counts.most_common(1)[0][0], after


def train_lstm(build, batches, epochs, loss=None, learning_rate=4e-3, name="LSTM"):
    """Builds a model and fits it, with the same numbers whatever was computed before.

    Args:
        build: callable without arguments, such as a `functools.partial` of `build_classifier`.
        batches: tf.data.Dataset of inputs, labels and maybe weights.
        epochs: int.
        loss: a Keras loss on logits; None for sparse categorical cross-entropy.
        learning_rate: float. Adam's, which falls to 0 along a cosine.
        name: str. What is said to be trained.
    Returns:
        keras.Model.
    """
    import keras

    print(f"Training the {name} beside it for {epochs} epochs", flush=True)
    keras.utils.set_random_seed(SEED)
    model = build()
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    loss = loss or keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss, jit_compile=False)
    model.fit(select_inputs(batches, model), epochs=epochs, shuffle=False, verbose=0)
    return model


def train_lstm_classifier(task, rows, epochs, hidden_dim=256, batch_size=BATCH_SIZE):
    """An LSTM on the rows that a `TextClassifier` learns: keras.Model to logits (B, C)."""
    import keras

    loss = keras.losses.BinaryCrossentropy(from_logits=True) if task.multi_label else None
    build = functools.partial(
        build_classifier, task.backbone.vocabulary_size, len(task.labels), hidden_dim
    )
    return train_lstm(build, make_batches(task, rows, batch_size), epochs, loss)


def predict_logits(model, task, rows):
    """Its logits for rows with labels, which it does not read: float array (n, C)."""
    batches = make_batches(task, rows, shuffle=False)
    return model.predict(select_inputs(batches, model), verbose=0)


def train_lstm_tagger(task, rows, epochs, hidden_dim=256):
    """An LSTM on the rows that a `TokenClassifier` learns: keras.Model to logits (B, T, C)."""
    build = functools.partial(
        build_tagger, task.backbone.vocabulary_size, len(task.labels), hidden_dim
    )
    return train_lstm(build, make_batches(task, rows), epochs)


def tag_words(model, task, rows):
    """The tag of each word by its first token, for rows with tags: list of lists of int."""
    tags = []
    for inputs, *_ in make_batches(task, rows, shuffle=False):
        found = model(inputs_of(model, inputs), training=False).numpy().argmax(-1)
        for row, positions in zip(found, inputs["word_positions"].numpy(), strict=True):
            tags.append([int(row[position]) for position in positions])
    # The positions of a batch are as many as its longest row has words.
    return [row[: len(own["words"])] for row, own in zip(tags, rows, strict=True)]


def train_lstm_embedder(task, rows, epochs, hidden_dim=256):
    """An LSTM on the pairs that a `TextEmbedder` learns, contrastively too: keras.Model."""
    import tensorflow as tf

    # Each first text is to pick its own second text among those of the batch.
    batches = make_batches(task, rows).map(
        lambda inputs, *_: (inputs, tf.range(tf.shape(inputs["token_ids"])[0]))
    )
    build = functools.partial(build_embedder, task.backbone.vocabulary_size, hidden_dim)
    return train_lstm(build, batches, epochs)


def embed_pairs(model, task, rows):
    """Its vectors of length 1 for both texts of each pair: two float arrays (n, D)."""
    import numpy as np

    encoder, sides = model.get_layer("encoder"), ([], [])
    for inputs, *_ in make_batches(task, rows, shuffle=False):
        for side, found in enumerate(sides):
            own = {name: tokens[:, side] for name, tokens in inputs.items()}
            found.append(encoder(inputs_of(encoder, own), training=False).numpy())
    return [np.concatenate(side) for side in sides]


def inputs_of(model, inputs):
    return {each.name: inputs[each.name] for each in model.inputs}


def train_lstm_seq2seq(task, batches, epochs, hidden_dim=256):
    """An LSTM on the batches of a `Seq2SeqLM`: keras.Model to logits (B, T, V)."""
    build = functools.partial(build_seq2seq, task.backbone.vocabulary_size, hidden_dim)
    return train_lstm(build, batches, epochs, name="LSTM encoder-decoder")


def write_with_lstm(model, task, sources, max_new_tokens):
    """Greedy output of `build_seq2seq` for each source of a `Seq2SeqLM`: list of str."""
    rows = lmzoo.data.make_rows(source=sources, target=["x"] * len(sources))
    batches = make_batches(task, rows, shuffle=False)
    return write_targets(model, batches, task.tokenizer, task.start_token_id, max_new_tokens)


def write_targets(model, batches, tokenizer, start, max_new_tokens, temperature=0.0, seed=0):
    """What an encoder-decoder in plain Keras writes, token by token, without a cache.

    Args:
        model: keras.Model from `encoder_token_ids`, maybe `encoder_padding_mask`, and
            `decoder_token_ids` to logits (B, T, V).
        batches: tf.data.Dataset of tuples that begin with such inputs.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, whose end token ends a text.
        start: int. The token that the decoder begins with.
        max_new_tokens: int.
        temperature: float. Tokens are drawn with it; 0 takes the most probable ones.
        seed: int.
    Returns:
        list of str.
    """
    import numpy as np
    import tensorflow as tf

    step = tf.function(functools.partial(model, training=False), reduce_retracing=True)
    generator = np.random.default_rng(seed)
    end, texts = tokenizer.end_token_id, []
    for inputs, *_ in batches:
        written = np.full([len(inputs["encoder_token_ids"]), max_new_tokens + 1], end, "int32")
        written[:, 0] = start
        for position in range(max_new_tokens):
            inputs["decoder_token_ids"] = tf.constant(written[:, :-1])
            scores = step(inputs_of(model, inputs))[:, position].numpy()
            # The largest of scores with Gumbel noise is a draw from their softmax.
            found = (scores + temperature * generator.gumbel(size=scores.shape)).argmax(-1)
            is_open = (written[:, 1 : position + 1] != end).all(axis=1)
            written[:, position + 1] = np.where(is_open, found, end)
            if not is_open.any():
                break
        ids = tf.RaggedTensor.from_tensor(written[:, 1:], padding=end)
        texts += [text.decode("utf-8", "replace") for text in tokenizer.detokenize(ids).numpy()]
    return texts
