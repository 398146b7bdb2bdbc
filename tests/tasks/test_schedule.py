"""Laws of the learning-rate schedules, for every schedule that a config may name."""

import itertools
import math
import typing

import pytest

from attncompare.config.schema import OptimizerConfig
from attncompare.tasks.base import lr_factor

SCHEDULES = typing.get_args(OptimizerConfig.model_fields["schedule"].annotation)
EVERY_SCHEDULE = pytest.mark.parametrize("schedule", SCHEDULES)
STEPS, WARMUP, LEAST = 200, 20, 0.1


def settings(schedule, warmup=WARMUP, least=LEAST):
    return OptimizerConfig(
        name="adamw",
        lr=1.0,
        betas=(0.9, 0.98),
        eps=1e-8,
        weight_decay=0.0,
        decay_embeddings=False,
        clip_norm=None,
        schedule=schedule,
        warmup_steps=warmup,
        min_lr_ratio=least,
    )


def factors(schedule, steps=STEPS, warmup=WARMUP, least=LEAST):
    config = settings(schedule, warmup, least)
    return [lr_factor(step, config, steps) for step in range(steps)]


@EVERY_SCHEDULE
def test_warm_up_is_linear_and_ends_at_one(schedule):
    values = factors(schedule)
    assert values[: WARMUP + 1] == pytest.approx([(step + 1) / (WARMUP + 1) for step in range(WARMUP + 1)])
    assert max(values) == 1


@EVERY_SCHEDULE
def test_after_warm_up_it_never_rises_nor_jumps_and_stays_positive(schedule):
    values = factors(schedule)[WARMUP:]
    falls = [before - after for before, after in itertools.pairwise(values)]
    assert min(falls) >= 0
    assert max(falls) < 0.05
    assert min(values) >= LEAST - 1e-12


@EVERY_SCHEDULE
@pytest.mark.parametrize("warmup", [0, 1, 20, 500])
@pytest.mark.parametrize("steps", [1, 2, 21])
def test_every_step_of_any_run_has_a_factor_above_zero_and_at_most_one(schedule, warmup, steps):
    assert all(0 < value <= 1 for value in factors(schedule, steps, warmup))


@EVERY_SCHEDULE
def test_without_warm_up_it_starts_at_one(schedule):
    assert factors(schedule, warmup=0)[0] == 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("least", [0, 0.1, 1])
def test_linear_and_cosine_end_at_the_least_factor(schedule, least):
    values = factors(schedule, least=least)
    assert values[-1] == pytest.approx(least)
    middle = WARMUP + (STEPS - 1 - WARMUP) / 2
    assert (values[math.floor(middle)] + values[math.ceil(middle)]) / 2 == pytest.approx((1 + least) / 2)


def test_linear_falls_by_the_same_amount_and_constant_not_at_all():
    values = factors("linear")[WARMUP:]
    assert [a - b for a, b in itertools.pairwise(values)] == pytest.approx(
        [(1 - LEAST) / (STEPS - 1 - WARMUP)] * (STEPS - 1 - WARMUP)
    )
    assert factors("constant")[WARMUP:] == [1] * (STEPS - WARMUP)


def test_inverse_sqrt_halves_when_the_step_quadruples():
    values = factors("inverse_sqrt")
    for step in (20, 33, 49):
        assert values[4 * step] == pytest.approx(values[step] / 2)


def nanogpt_lr(it, learning_rate, min_lr, warmup_iters, lr_decay_iters):
    """The rate of iteration ``it``, as nanoGPT's train.py computes it."""
    if it < warmup_iters:
        return learning_rate * (it + 1) / (warmup_iters + 1)
    if it > lr_decay_iters:
        return min_lr
    decay_ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * decay_ratio)) * (learning_rate - min_lr)


def test_cosine_is_that_of_nanogpt_with_its_last_step_at_the_least_rate():
    expected = [nanogpt_lr(step, 1e-3, 1e-4, 100, 1999) for step in range(2000)]
    assert [1e-3 * factor for factor in factors("cosine", 2000, 100, 0.1)] == pytest.approx(expected, rel=1e-12)


def test_inverse_sqrt_is_that_of_the_transformer_after_its_warm_up():
    def vaswani(step, d_model=512, warmup=4000):  # section 5.3, equation 3
        return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)

    values = factors("inverse_sqrt", 10_000, 4000)
    for step in (4000, 5000, 9999):
        assert values[step] / values[4000] == pytest.approx(vaswani(step) / vaswani(4000))


@EVERY_SCHEDULE
def test_without_a_known_last_step_only_the_schedule_that_needs_none_falls(schedule):
    config = settings(schedule)
    values = [lr_factor(step, config, None) for step in range(STEPS)]
    assert values[:WARMUP] == factors(schedule)[:WARMUP]
    falls = schedule == "inverse_sqrt"
    assert values[WARMUP:] == (factors(schedule)[WARMUP:] if falls else [1.0] * (STEPS - WARMUP))
