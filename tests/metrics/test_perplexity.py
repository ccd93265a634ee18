"""Perplexity against its definition in NumPy."""

import numpy as np
import pytest

from lmzoo.metrics import Perplexity


def make_batch(seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 7, (3, 5))
    return labels, generator.normal(size=(3, 5, 7)).astype("float32"), generator.random((3, 5))


def total_of(labels, logits, weights):
    logits = logits.astype("float64")
    log_sums = np.log(np.exp(logits).sum(-1))
    chosen = np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return ((log_sums - chosen) * weights).sum()


def test_it_is_exp_of_the_mean_over_the_weights_of_all_batches():
    metric, total, count = Perplexity(), 0.0, 0.0
    for seed in range(3):
        labels, logits, weights = make_batch(seed)
        metric.update_state(labels, logits, weights)
        total, count = total + total_of(labels, logits, weights), count + weights.sum()
    assert float(metric.result()) == pytest.approx(np.exp(total / count), rel=1e-6)


def test_rows_may_have_one_weight_for_all_their_tokens():
    labels, logits, _ = make_batch(0)
    metric, rows = Perplexity(), np.array([1.0, 0.0, 3.0])
    metric.update_state(labels, logits, rows)
    weights = np.repeat(rows[:, None], 5, 1)
    wanted = np.exp(total_of(labels, logits, weights) / weights.sum())
    assert float(metric.result()) == pytest.approx(wanted, rel=1e-6)


def test_it_counts_past_what_float32_can_count():
    metric = Perplexity()
    metric.count.assign(2.0**24)
    labels, logits, _ = make_batch(0)
    metric.update_state(labels[:1, :1], logits[:1, :1])
    assert float(metric.count) == 2.0**24 + 1


def test_without_tokens_it_is_one():
    assert float(Perplexity().result()) == 1.0
