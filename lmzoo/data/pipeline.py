"""A `tf.data.Dataset` over a function of the step, for Keras and `tf.distribute`."""

import functools
import inspect
import weakref

import numpy as np
import tensorflow as tf

__all__ = ["Cursor", "step_dataset", "without_owning"]


def step_dataset(
    fetch, signature, num_steps, initial_step=0, advances=True, encode=None, find_samples=None
):
    """Makes a dataset of `num_steps` batches from a function of the step.

    The dataset is a window on an infinite sequence of steps. Its first iteration has the steps
    from `initial_step` on, and each iteration that is read to its end moves the window by
    `num_steps`. An iteration that is not read to its end does not move it: reading a first batch,
    as Keras does under a strategy, changes no later one. (A strategy prefetches, so a dataset of
    two or three steps may move early there.)

    Args:
        fetch: callable. Takes a step (int), returns arrays in the order of `signature`
            flattened. Must be a pure function.
        signature: nested structure of tf.TensorSpec. The structure of a batch.
        num_steps: int. The batches of an iteration, the cardinality of the dataset.
        initial_step: int.
        advances: bool. If False, every iteration has the same steps.
        encode: callable or None. Takes a batch and its step, int64 (), both as tensors in a graph,
            and returns the batch that the dataset yields. Several calls may run in parallel.
        find_samples: callable or None. Takes a step (int), returns the numbers of its B examples.
    Returns:
        tf.data.Dataset, with a `Cursor` as its attribute `cursor`.
    """
    specs = tf.nest.flatten(signature)
    window = Cursor(initial_step, num_steps, advances, find_samples)
    # The dataset keeps what it calls; each iterator and what derives from the dataset keep that.
    # A dataset within a graph is kept by nobody.
    called = without_owning if tf.executing_eagerly() else lambda function: function

    # Nothing here needs AutoGraph, which would rewrite everything that `encode` calls.
    @tf.autograph.experimental.do_not_convert
    def find_first(_):
        return tf.ensure_shape(tf.numpy_function(called(window.get_step), [], tf.int64), ())

    @tf.autograph.experimental.do_not_convert
    def steps_from(first):
        steps = tf.data.Dataset.range(first, first + num_steps)
        return steps.map(lambda step: (step, step == first + num_steps - 1))

    @tf.autograph.experimental.do_not_convert
    def read(step, is_last):
        dtypes = [spec.dtype for spec in specs]
        arrays = tf.numpy_function(called(fetch), [step], dtypes, stateful=False)
        for array, spec in zip(arrays, specs, strict=True):
            array.set_shape(spec.shape)
        batch = tf.nest.pack_sequence_as(signature, arrays)
        return step, is_last, batch if encode is None else encode(batch, step)

    @tf.autograph.experimental.do_not_convert
    def finish(step, is_last, batch):
        if not advances:
            return batch
        move = functools.partial(tf.numpy_function, called(window.set_step), [step + 1], tf.int64)
        moved = tf.cond(is_last, move, lambda: step)
        with tf.control_dependencies([moved]):
            return tf.nest.map_structure(tf.identity, batch)

    # The window is read with the first batch, not when an iterator is made, because Keras makes
    # iterators that it never uses. It moves after the prefetching.
    dataset = tf.data.Dataset.from_tensors(0).map(find_first).flat_map(steps_from)
    threads = None if encode is None else tf.data.AUTOTUNE
    dataset = dataset.map(read, threads).prefetch(tf.data.AUTOTUNE).map(finish)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_steps))
    options = tf.data.Options()
    options.deterministic = True
    # Every worker computes all batches and keeps its share: there are no files to shard.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = dataset.with_options(options)
    dataset.cursor = window
    dataset.fetch = fetch
    return dataset


def without_owning(function):
    """A function that calls `function`, but does not keep it alive, for `tf.numpy_function`.

    TensorFlow keeps what that calls until the process ends, and with it rows, the task that reads
    them and its variables.

    Args:
        function: callable, of which something else has hold as long as it is called.
    Returns:
        callable.
    """
    is_method = inspect.ismethod(function)
    reference = weakref.WeakMethod(function) if is_method else weakref.ref(function)
    return lambda *arguments: reference()(*arguments)


class Cursor:
    """Where the next iteration of a dataset begins, which can be set, to go on with a run.

    Args:
        step: int. The first step of the next iteration.
        num_steps: int. The steps of an iteration.
        advances: bool. Whether each iteration goes on where the one before it ended.
        find_samples: callable or None. Takes a step, returns the numbers of its B examples.
    """

    def __init__(self, step, num_steps, advances, find_samples=None):
        self.initial_step = self._step = step
        self.num_steps = num_steps
        self.advances = advances
        self._find_samples = find_samples

    def go_to(self, num_done):
        """Makes the next iteration begin after `num_done` steps of the run, counted from its start.

        Args:
            num_done: int, at least 0.
        """
        self._step = self._find_step(num_done)

    def find_samples(self, num_done):
        """The numbers of the examples of the step after `num_done` steps: int array (B,) or None.

        They count the windows of a corpus, or rows, before the shuffle.
        """
        return self._find_samples and self._find_samples(self._find_step(num_done))

    def _find_step(self, num_done):
        if not self.advances:
            num_done %= self.num_steps
        return self.initial_step + num_done

    def get_step(self):
        """The first step of the next iteration: int64 array ()."""
        return np.int64(self._step)

    def set_step(self, step):
        """Moves to a step, int64 array (), and returns it."""
        self._step = int(step)
        return np.int64(step)
