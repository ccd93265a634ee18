"""An encoder-decoder Transformer in plain Keras: do pretrained word vectors help it?

`build_model` is the model: lmzoo's layers in a functional model of Keras, which `fit` trains. It
writes the first line of a docstring from the rest, once with word vectors as its embeddings and
once without. `--vectors FILE` has them in the format of GloVe or word2vec; without it, small ones
are computed from the docstrings that are not held out, and written in both formats.
"""

import functools
import pathlib

from _helpers import common, lstms, word_vectors, writing
from summarize_docstrings import BODY, MAX_NEW_TOKENS, print_scores

import lmzoo


def build_model(vocabulary_size, hidden_dim, vectors=None, num_layers=2):
    """From tokens of a source (B, S) and of a target (B, T) to logits (B, T, V)."""
    import keras

    block = functools.partial(lmzoo.layers.TransformerBlock, 4, 2 * hidden_dim, dropout=0.1)
    spread = keras.initializers.RandomNormal(stddev=1.0)
    if vectors is not None:
        spread = keras.initializers.Constant(vectors / vectors.std())
    embedding = keras.layers.Embedding(
        vocabulary_size, hidden_dim, embeddings_initializer=spread, mask_zero=True
    )
    source, target = (
        keras.Input([None], dtype="int32", name=f"{side}_token_ids")
        for side in ("encoder", "decoder")
    )
    context, hidden = (
        keras.layers.Add()([embedding(ids), lmzoo.layers.SinePositionEncoding()(embedding(ids))])
        for ids in (source, target)
    )
    for _ in range(num_layers):
        context = block()(context)
    context = keras.layers.LayerNormalization()(context)
    for _ in range(num_layers):
        hidden = block(causal=True, cross_attention=True)(hidden, context=context)
    hidden = keras.layers.LayerNormalization()(hidden)
    model = keras.Model([source, target], keras.layers.Dense(vocabulary_size)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    model.compile("adam", loss, jit_compile=False)
    return model


def make_batches(tokenizer, pairs, batch_size=common.BATCH_SIZE, shuffle=True):
    """Batches of inputs, labels and weights for `fit`: tf.data.Dataset."""
    import tensorflow as tf

    firsts, bodies = zip(*pairs, strict=True)
    bodies = tokenizer.tokenize(list(bodies))[:, :96]
    firsts = tokenizer.tokenize(list(firsts))[:, :MAX_NEW_TOKENS]
    start, end = (
        tf.fill([len(pairs), 1], token)
        for token in (tokenizer.start_token_id, tokenizer.end_token_id)
    )
    source = bodies.to_tensor()
    labels = tf.concat([firsts, end], axis=1).to_tensor()
    inputs = {
        "encoder_token_ids": source,
        "encoder_padding_mask": source > 0,
        "decoder_token_ids": tf.concat([start, firsts], axis=1).to_tensor(),
    }
    weights = tf.cast(labels > 0, tf.float32)
    data = tf.data.Dataset.from_tensor_slices((inputs, labels, weights))
    data = data.shuffle(len(pairs), seed=0) if shuffle else data
    return data.batch(batch_size)


def compare(models, tokenizer, held_out):
    """ROUGE F1 of the lines of each model, of first sentences and of one fixed line."""
    batches = make_batches(tokenizer, held_out, 128, shuffle=False)
    write = functools.partial(lstms.write_targets, tokenizer=tokenizer)
    options = {"start": tokenizer.start_token_id, "max_new_tokens": MAX_NEW_TOKENS}
    answers = {name: write(model, batches, **options) for name, model in models.items()}
    print_scores(answers, held_out)
    question = make_batches(tokenizer, [("x", BODY)], 1, shuffle=False)
    for name, model in models.items():
        for heat in (0.0, 0.7):
            (text,) = write(model, question, **options, temperature=heat)
            print(f"{name}, temperature {heat}: {text}")


def main():
    parser = common.make_parser(__doc__, epochs=6)
    parser.add_argument("--vectors", type=pathlib.Path, metavar="FILE", help="GloVe or word2vec")
    arguments = common.parse(parser)
    training, held_out = common.read_pairs(arguments.smoke)
    print(f"{len(training)} pairs to train on, {len(held_out)} held out", flush=True)
    texts, size = (text for pair in training for text in pair), 800 if arguments.smoke else 4000
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(texts, size)
    matrix = word_vectors.read_matrix(arguments.vectors, tokenizer, arguments.smoke)
    size, data = tokenizer.vocabulary_size, make_batches(tokenizer, training)
    models = {}
    for name, vectors in (("with word vectors", matrix), ("without", None)):
        stage = writing.take_stage(arguments, name)
        build = functools.partial(build_model, size, matrix.shape[1], vectors)
        models[name] = common.open_or_make(stage, build)
        common.train(models[name], data, stage, learning_rate=1e-3, warmup=100)
    build = functools.partial(lstms.build_seq2seq, size, 32 if arguments.smoke else 256)
    batches = make_batches(tokenizer, training, lstms.BATCH_SIZE)
    models["LSTM"] = lstms.train_lstm(build, batches, arguments.epochs)
    compare(models, tokenizer, held_out)


if __name__ == "__main__":
    main()
