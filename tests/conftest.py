"""Makes the root a place to import `tests` from, whichever test is run alone."""

import gc

import pytest

# Graphs and models are many objects that stay: to look through all of them as often as Python does
# takes nearly a tenth of the time of a run.
gc.set_threshold(100_000, 20, 20)


@pytest.fixture
def eagerly():
    """Runs functions without graphs: a few steps are done before a graph is traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
