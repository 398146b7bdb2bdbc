"""The order of batches: a pure function of seed and step, also across processes."""

import itertools
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset

from attncompare.data.order import Loader, Order, bucketed, budgeted, generator, padding, shuffled, within_budget


def flat(lists):
    return list(chain.from_iterable(lists))


class Keys(Dataset):
    """Gives the keys themselves."""

    def __getitem__(self, keys):
        return torch.tensor(keys)

    def __len__(self):
        return 23


def plan(epoch, seed=1, size=4):
    return list(shuffled(range(23), size, generator(seed, epoch)))


def batches(**options):
    return [batch.tolist() for batch in Loader(Keys(), Order(plan, **options))]


def test_each_epoch_has_its_own_order_at_whatever_step_one_begins():
    whole = batches(last=18)  # epochs have six batches
    first, second = whole[:6], whole[6:12]
    assert whole == [batch for epoch in range(3) for batch in plan(epoch)]
    assert first != second
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(23))
    assert all(batches(first=step, last=18) == whole[step:] for step in range(19))
    assert batches() == first
    other = Loader(Keys(), Order(lambda epoch: plan(epoch, seed=2)))
    assert [batch.tolist() for batch in other] != first


def test_a_limit_makes_shorter_epochs():
    assert batches(last=5, limit=2) == [*plan(0)[:2], *plan(1)[:2], plan(2)[0]]
    assert batches(limit=2) == plan(0)[:2]
    assert batches(limit=99) == plan(0)


def test_the_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = batches(last=8)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert batches(last=8) == first


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


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_every_batch(world):
    whole = list(Order(plan))
    parts = [list(Order(plan, rank=rank, world=world)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(whole)}
    for i, batch in enumerate(whole):
        shared = [part[i] for part in parts]
        assert all(shared)  # no process goes without
        assert set(flat(shared)) == set(batch)


def test_a_row_that_a_process_only_repeats_is_known_to_it():
    orders = [Order(plan, last=12, rank=rank, world=4) for rank in range(4)]
    for order in orders:
        list(order)
    assert len(plan(0)[5]) == 3  # the last batch of an epoch
    assert [order.repeated for order in orders] == [set(), set(), set(), {5, 11}]
