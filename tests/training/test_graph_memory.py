"""The peak of a graph is that of its tensors while they are needed."""

import tensorflow as tf

from lmzoo.training.graph_memory import find_peak

MEGABYTE = 1 << 20


def trace(compute):
    """The peak of a function of one megabyte, in megabytes."""
    graph = tf.Graph()
    with graph.as_default():
        outputs = compute(tf.raw_ops.Placeholder(dtype=tf.float32, shape=(MEGABYTE // 4,)))
        peak = find_peak(graph, outputs if isinstance(outputs, list) else [outputs])
    # Numbers beside take a few bytes.
    return round(peak / MEGABYTE, 3)


def join(*tensors):
    """An operation that reads all and writes into none of them."""
    return tf.concat(tensors, 0)


def test_a_tensor_is_there_until_its_last_reader():
    assert trace(lambda x: tf.reverse(tf.reverse(x, [0]), [0])) == 2
    assert trace(lambda x: join(tf.reverse(x, [0]), tf.sort(x))) == 4


def test_what_is_given_stays():
    def compute(x):
        first = tf.reverse(x, [0])
        second = tf.reverse(first, [0])
        return [first, tf.reverse(second, [0])]

    assert trace(compute) == 3


def test_elementwise_operations_write_into_what_nothing_else_reads():
    assert trace(lambda x: tf.exp(tf.sqrt(tf.reverse(x, [0])))) == 1

    def compute(x):
        turned = tf.reverse(x, [0])
        return tf.exp(turned) + turned

    assert trace(compute) == 2


def test_views_share_a_buffer_and_dead_branches_take_none():
    def compute(x):
        turned = tf.reverse(x, [0])
        tf.sort(join(turned, turned))
        return join(tf.reshape(turned, (-1,)), tf.identity(turned))

    assert trace(compute) == 3


def test_what_is_computed_twice_is_there_once():
    assert trace(lambda x: join(tf.reverse(x, [0]), tf.reverse(x, [0]))) == 3


def test_a_loop_takes_what_a_round_takes():
    def compute(x):
        return tf.while_loop(
            lambda index, _: index < 3,
            lambda index, total: (index + 1, total + tf.reduce_sum(join(x, x, total))),
            (0, tf.reverse(x, [0])),
        )[1]

    assert trace(compute) == 4
