"""Makes the root a place to import `tests` from, whichever test is run alone."""

import gc
import os

import pytest

# Graphs and models are many objects that stay: to look through all of them as often as Python does
# takes nearly a tenth of the time of a run.
gc.set_threshold(100_000, 20, 20)


# Two processes share the cores: threads of their own would wait for each other. Measured on two
# cores, the tests of export take a tenth less time.
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture
def eagerly():
    """Runs functions without graphs: a few steps are done before a graph is traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
