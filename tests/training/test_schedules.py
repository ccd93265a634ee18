"""Learning rate schedules against their formulas in NumPy."""

import keras
import numpy as np
import pytest

from lmzoo.training import (
    AdamW,
    WarmupCosine,
    WarmupInverseSquareRoot,
    WarmupLinear,
    WarmupStableDecay,
)

STEPS = np.arange(130)


def with_warmup(after, warmup):
    return np.where(STEPS < warmup, np.minimum((STEPS + 1) / warmup, 1), after)


def cosine(warmup, total, end):
    progress = np.clip((STEPS - warmup) / (total - warmup), 0, 1)
    return with_warmup(end + (1 - end) * (1 + np.cos(np.pi * progress)) / 2, warmup)


def linear(warmup, total, end):
    return with_warmup(np.interp(STEPS, [warmup, total], [1, end]), warmup)


def inverse_square_root(warmup):
    return with_warmup(np.sqrt(warmup / np.maximum(STEPS, 1)), warmup)


def stable(warmup, total, cooldown, end):
    return with_warmup(np.interp(STEPS, [total - cooldown, total], [1, end]), warmup)


CASES = [
    (WarmupCosine(3e-4, 10, 100, end_share=0.1), cosine(10, 100, 0.1)),
    (WarmupLinear(3e-4, 10, 100), linear(10, 100, 0)),
    (WarmupInverseSquareRoot(3e-4, 10), inverse_square_root(10)),
    (WarmupStableDecay(3e-4, 10, 100, cooldown=20, end_share=0.2), stable(10, 100, 20, 0.2)),
    # Tokens: 2.5 and 25 steps of 64.
    (WarmupCosine(3e-4, 160, 1600, tokens_per_step=64), cosine(2.5, 25, 0)),
    (
        WarmupStableDecay(3e-4, 160, 6400, cooldown=640, tokens_per_step=64),
        stable(2.5, 100, 10, 0),
    ),
]


@pytest.mark.parametrize(("schedule", "shares"), CASES)
def test_a_schedule_is_its_formula(schedule, shares):
    rates = [float(schedule(keras.ops.convert_to_tensor(step, "int64"))) for step in STEPS]
    # 1e-7 of the peak is the resolution of float32.
    np.testing.assert_allclose(rates, 3e-4 * shares, rtol=1e-5, atol=3e-4 * 2e-7)


@pytest.mark.parametrize("kind", [WarmupCosine, WarmupLinear])
def test_without_warmup_the_first_step_has_the_peak(kind):
    assert float(kind(0.5, 0, 10)(0)) == 0.5
    assert float(WarmupStableDecay(0.5, 0, 10, 0)(9)) == 0.5


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in CASES])
def test_an_optimizer_is_saved_with_its_schedule(schedule):
    config = keras.saving.serialize_keras_object(AdamW(schedule))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored._learning_rate) is type(schedule)
    assert restored._learning_rate.get_config() == schedule.get_config()


def test_an_optimizer_follows_its_schedule():
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = keras.optimizers.SGD(WarmupLinear(1.0, 2, 6))
    optimizer.build([variable])
    moved = []
    for _ in range(7):
        before = variable.numpy()[0]
        optimizer.apply([np.ones(1, "float32")], [variable])
        moved.append(before - variable.numpy()[0])
    np.testing.assert_allclose(moved, [0.5, 1, 1, 0.75, 0.5, 0.25, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "received"),
    [
        (lambda: WarmupCosine("1", 1, 2), TypeError, "learning_rate='1'"),
        (lambda: WarmupCosine(0, 1, 2), ValueError, "learning_rate=0"),
        (lambda: WarmupCosine(1e-3, -1, 2), ValueError, "warmup=-1"),
        (lambda: WarmupLinear(1e-3, 2, 2), ValueError, "warmup=2, total=2"),
        (lambda: WarmupLinear(1e-3, 1, 2, end_share=2), ValueError, "end_share=2"),
        (lambda: WarmupLinear(1e-3, 1, 2, end_share="a"), TypeError, "end_share='a'"),
        (lambda: WarmupLinear(1e-3, 1, 2, tokens_per_step=0), ValueError, "tokens_per_step=0"),
        (lambda: WarmupInverseSquareRoot(1e-3, 0), ValueError, "warmup=0"),
        (lambda: WarmupStableDecay(1e-3, 5, 9, 4), ValueError, "total=9, cooldown=4"),
    ],
)
def test_arguments_are_checked(make, error, received):
    with pytest.raises(error, match=received):
        make()
