"""The matrix products of a training step, alone: what a processor gives for these shapes.

A step cannot be faster than its products. Their time over that of the step is the share of the
product rate that the step reaches.
"""

from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant

FAMILY = "products"


def add_shares(rows):
    """Adds to each row of a table its share of the product rate, and prints them.

    Args:
        rows: list of dict as `common.compare` gives them, one of them of the family "products".
    """
    speed = next((row["tokens_per_second"] for row in rows if row["family"] == FAMILY), None)
    for row in rows:
        own = row["tokens_per_second"]
        row["share_of_products"] = own / speed if own and speed else None
        if row["share_of_products"] and row["family"] != FAMILY:
            share = f"{row['share_of_products']:.0%} of the rate of its products alone"
            print(f"{row['family']} {row['name']}: {share}", flush=True)


def open_products(size, threads, shape, num_scored, precision):
    """The products of a step of a model whose head scores some of the tokens.

    Args:
        size: common.Size.
        threads: int.
        shape: (int, int), B and T.
        num_scored: int. How many tokens get logits.
        precision: "float32" or "mixed_bfloat16".
    """
    set_tensorflow_threads(threads)
    import tensorflow as tf

    dtype = tf.float32 if precision == "float32" else tf.bfloat16
    batch_size, length = shape
    rows, width = batch_size * length, size.hidden_dim
    heads, head_dim = batch_size * size.num_heads, width // size.num_heads

    def make(*sizes):
        return tf.Variable(tf.cast(tf.random.stateless_uniform(sizes, (0, 1), -1, 1), dtype))

    # Each block reads weights of its own; what it multiplies them with is in the cache anyway.
    dense = [
        (make(count, inner), make(inner, outer), make(count, outer))
        for count, inner, outer in (
            [(rows, width, 3 * width), (rows, width, width)]
            + [(rows, width, 4 * width), (rows, 4 * width, width)]
        )
        * size.num_layers
        + [(num_scored, width, size.vocabulary_size)]
    ]
    query = make(heads, length, head_dim)
    scores = make(heads, length, length)

    @tf.function(autograph=False)
    def run():
        results = []
        for inputs, kernel, outputs in dense:
            results += _differentiate(tf, inputs, kernel, outputs)
        for _ in range(size.num_layers):
            results += _differentiate(tf, query, tf.linalg.matrix_transpose(query), scores)
            results += _differentiate(tf, scores, query, query)
        # A number of each: TensorFlow leaves out products that nobody reads.
        return tf.add_n([tf.cast(tf.reshape(each, [-1])[0], tf.float32) for each in results])

    return {"alone": Contestant(precision, lambda: float(run()))}


def _differentiate(tf, inputs, kernel, outputs):
    """A product and the two of its gradient, each in the order in which a step has them."""
    return [
        tf.matmul(inputs, kernel),
        tf.matmul(outputs, kernel, transpose_b=True),
        tf.matmul(inputs, outputs, transpose_a=True),
    ]
