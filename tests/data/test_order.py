"""The order of batches: a pure function of seed and step, also across processes."""

import itertools
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attncompare.data.batches import (
    BatchLoader,
    PairBatch,
    bucketed,
    budgeted,
    generator,
    in_order,
    padding,
    within_budget,
)


def flat(lists):
    return list(chain.from_iterable(lists))


class Keys:
    """Gives the keys themselves as a batch of pairs: each row predicts two tokens."""

    def __getitem__(self, keys):
        rows = torch.tensor(keys)
        return PairBatch(rows[:, None] + 9, torch.full((len(keys), 3), 7), rows)


def plan(epoch, seed=1, size=4):
    return list(in_order(generator(seed, epoch).permutation(23), size))


def epochs(loader, count):
    return [[batch.index_B.tolist() for batch in loader] for _ in range(count)]


def test_each_epoch_has_its_own_order():
    first, second, _ = whole = epochs(BatchLoader(Keys(), plan), 3)
    assert whole == [plan(epoch) for epoch in range(3)] and first != second
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(23))
    assert epochs(BatchLoader(Keys(), lambda epoch: plan(epoch, seed=2)), 1) != [first]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_from_any_place_it_goes_on_with_the_very_next_part(parts):
    loader, states, found = BatchLoader(Keys(), plan, parts=parts), [], []
    for _ in range(2):
        for batch in loader:
            found.append(batch.index_B.tolist())
            states.append(loader.state_dict())
    for place, state in enumerate(states[:-1]):
        resumed = BatchLoader(Keys(), plan, parts=parts)
        resumed.load_state_dict(state)
        assert next(iter(resumed)).index_B.tolist() == found[place + 1]


def test_a_limit_makes_shorter_epochs():
    loader = BatchLoader(Keys(), plan, limit=2)
    assert len(loader) == 2 and epochs(loader, 2) == [plan(0)[:2], plan(1)[:2]]
    assert epochs(BatchLoader(Keys(), plan, limit=99), 1) == [plan(0)]


def test_the_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = epochs(BatchLoader(Keys(), plan), 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert epochs(BatchLoader(Keys(), plan), 2) == first


def test_buckets_hold_rows_of_like_length_once_each():
    lengths = [int(length) for length in generator(0, 0).integers(1, 60, size=1000)]
    keys, lengths = np.arange(1000), np.array(lengths)
    batches = list(bucketed(keys, lengths, 8, generator(1, 0)))
    assert sorted(flat(batches)) == list(range(1000))
    padding = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches) / sum(lengths)
    assert padding < 1.1  # in random batches: about 1.8
    heads = [lengths[batch[0]] for batch in batches]
    assert heads != sorted(heads)  # the batches themselves are shuffled
    again, another = (list(bucketed(keys, lengths, 8, generator(1, epoch))) for epoch in (0, 1))
    assert again == batches != another


lengths_of_rows = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60)


@given(lengths_of_rows, st.integers(30, 200), st.integers(0, 3))
def test_no_batch_exceeds_its_budget_and_every_row_comes_once(rows, budget, epoch):
    keys, sides = np.arange(len(rows)) + 5, [np.array(side) for side in zip(*rows, strict=True)]
    plan = budgeted(keys, sides, budget, generator(1, epoch))
    batches = list(plan)
    assert sorted(flat(batches)) == keys.tolist()
    for batch in batches:
        assert len(batch) * max(max(rows[key - 5]) for key in batch) <= budget
    assert list(budgeted(keys, sides, budget, generator(1, epoch))) == batches
    shapes = {
        tuple(sorted(tuple(sorted(rows[key - 5] for key in batch)) for batch in other))
        for other in (budgeted(keys, sides, budget, generator(*seed)) for seed in ((1, 0), (1, 7), (2, 0)))
    }
    assert len(shapes) == 1  # only which of the rows of equal lengths come together is chance
    in_order = within_budget(keys, np.maximum.reduce(sides), budget)
    assert flat(in_order) == keys.tolist()
    # Each batch is as full as it can be: the next row would have been too much.
    for batch, following in itertools.pairwise(in_order):
        assert (len(batch) + 1) * max(max(rows[key - 5]) for key in [*batch, following[0]]) > budget


def test_batches_by_budget_hold_little_padding_and_change_with_the_epoch():
    rng = generator(0, 0)
    target = rng.integers(3, 40, size=5000)
    source = np.clip(target + rng.integers(-4, 5, size=5000), 3, None)
    plans = [budgeted(np.arange(5000), [target, source], 1024, generator(1, epoch)) for epoch in range(3)]
    assert all(padding(plan, [target, source]) < 0.06 for plan in plans)
    assert len({len(plan) for plan in plans}) == 1
    assert list(plans[0]) != list(plans[1])
    longest = [max(target[batch]) for batch in plans[0]]
    assert longest != sorted(longest)


def test_padding_is_the_share_of_places_without_a_token():
    plan = within_budget(np.array([0, 1, 2]), np.array([4, 2, 1]), 8)
    assert list(plan) == [[0, 1], [2]]
    assert padding(plan, [np.array([4, 2, 1])]) == 1 - 7 / 9
    assert padding(plan, [np.array([4, 2, 1]), np.array([1, 2, 1])]) == 1 - 11 / 14


@pytest.mark.parametrize("parts, world", [(2, 1), (1, 2), (2, 2), (5, 1), (1, 5)])
def test_parts_and_ranks_share_every_batch(parts, world):
    ranks = [list(BatchLoader(Keys(), plan, parts=parts, rank=rank, world=world)) for rank in range(world)]
    assert {len(part) for part in ranks} == {len(plan(0)) * parts}
    for number, keys in enumerate(plan(0)):
        shares = [part for rank in ranks for part in rank[number * parts : (number + 1) * parts]]
        assert sorted(flat(part.index_B.tolist() for part in shares if part.share)) == sorted(keys)
        assert sum(part.share for part in shares) == pytest.approx(1)
        assert {part.step_tokens for part in shares} == {2 * len(keys)}
        assert all(len(part.index_B) for part in shares)  # no rank goes without a row
