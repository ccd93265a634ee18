"""What every task does with Keras's own methods."""

import pytest
import tensorflow as tf
from small_encoders import NAMES, TEXTS, make_encoder, word_pieces

from lmzoo.metrics import F1
from lmzoo.tasks import TextClassifier


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_task_made_under_a_strategy_is_compiled_for_it(method, own):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        classifier = TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
        metrics = [F1(2)]
    if own:
        classifier.compile("adam", weighted_metrics=metrics)
    getattr(classifier, method)(TEXTS, NAMES, verbose=0)
    assert classifier.optimizer.iterations.numpy() == (method == "fit")
