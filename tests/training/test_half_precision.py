"""A T5 trained in mixed_float16, where published T5s exceed the range of float16."""

import keras
import numpy as np
import pytest

from lmzoo.models import T5Backbone
from lmzoo.tasks import Seq2SeqLM
from lmzoo.training import AdamW

IDS = np.random.default_rng(0).integers(3, 50, (8, 9))
ROWS = {"encoder_token_ids": IDS, "decoder_token_ids": IDS[:, :-1]}, IDS[:, 1:]


def train(policy, options):
    """The losses of 40 steps, with a residual path beyond 65504 from the first block on."""
    keras.utils.set_random_seed(1)
    backbone = T5Backbone(50, 2, 2, 2, 8, 4, 16, dropout=0.0, dtype=policy, **options)
    for block in (backbone.encoder_blocks[0], backbone.decoder_blocks[0]):
        kernel = block.feed_forward.output_dense.kernel
        kernel.assign(kernel * 1e5)
    task = Seq2SeqLM(backbone)
    task.compile(AdamW(1e-2, global_clipnorm=1.0))
    losses = task.fit(*ROWS, batch_size=8, epochs=40, verbose=0).history["loss"]
    return losses, task


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "gelu_tanh", "gated": True, "tied": False}],
    ids=["t5", "t5 1.1"],
)
def test_a_t5_learns_in_float16_what_it_learns_in_float32(options):
    expected, full = train("float32", options)
    outputs = full.backbone.encoder_blocks[0].feed_forward.output_dense.kernel
    assert np.abs(outputs.numpy()).max() > 1e4, "the residual path is still beyond float16"
    losses, half = train("mixed_float16", options)
    assert int(half.optimizer.skipped_steps.numpy()) == 0
    assert all(np.isfinite(weight.numpy()).all() for weight in half.weights)
    assert expected[-1] < 0.75 * expected[0]
    # Products in float16 are off by 2 ** -11 of a value, and 40 steps add to that.
    np.testing.assert_allclose(losses, expected, rtol=2e-2)
