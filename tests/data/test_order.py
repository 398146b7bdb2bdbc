"""The order of batches: a pure function of seed and step, also across processes."""

from itertools import chain

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from attncompare.data.order import Loader, Order, bucketed, generator, shuffled


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
