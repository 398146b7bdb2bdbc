"""The order of batches: a pure function of seed and epoch, also across processes, resumption and Lightning."""

from itertools import chain

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
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
    return shuffled(range(23), size, generator(seed, epoch))


def epoch_of(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return [batch.tolist() for batch in loader]


def test_each_epoch_has_its_own_order_whenever_it_is_asked_for():
    loader = Loader(Keys(), Order(plan))
    first, second = epoch_of(loader, 0), epoch_of(loader, 1)
    assert first != second
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(23))
    assert epoch_of(loader, 0) == first
    assert epoch_of(Loader(Keys(), Order(plan)), 1) == second  # made afresh at a later epoch
    assert epoch_of(Loader(Keys(), Order(lambda epoch: plan(epoch, seed=2))), 0) != first


def test_the_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = epoch_of(Loader(Keys(), Order(plan)), 0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert epoch_of(Loader(Keys(), Order(plan)), 0) == first


def test_buckets_hold_rows_of_like_length_once_each():
    lengths = [int(length) for length in generator(0, 0).integers(1, 60, size=1000)]
    batches = bucketed(range(1000), lengths, 8, generator(1, 0))
    assert sorted(flat(batches)) == list(range(1000))
    padding = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches) / sum(lengths)
    assert padding < 1.1  # in random batches: about 1.8
    heads = [lengths[batch[0]] for batch in batches]
    assert heads != sorted(heads)  # the batches themselves are shuffled
    assert (
        bucketed(range(1000), lengths, 8, generator(1, 0))
        == batches
        != bucketed(range(1000), lengths, 8, generator(1, 1))
    )


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_every_batch(world):
    whole = list(Order(plan))
    parts = [list(Order(plan, rank, world)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(whole)}
    for i, batch in enumerate(whole):
        shared = [part[i] for part in parts]
        assert all(shared)  # no process goes without
        assert set(flat(shared)) == set(batch)


def test_a_loader_goes_on_where_its_state_says():
    loader = Loader(Keys(), Order(plan))
    loader.sampler.set_epoch(3)
    batches = iter(loader)
    head = [next(batches).tolist() for _ in range(2)]
    state = loader.state_dict()
    fresh = Loader(Keys(), Order(plan))
    fresh.load_state_dict(state)
    assert head + epoch_of(fresh, 3) == epoch_of(loader, 3)
    assert epoch_of(fresh, 4) == epoch_of(loader, 4)  # only that once
    fresh.load_state_dict(state)
    assert epoch_of(fresh, 4) == epoch_of(loader, 4)  # and only in that epoch


class Recorder(LightningModule):
    """Writes down what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch):
        self.seen.append((self.current_epoch, batch.tolist()))
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Saver(Callback):
    """Writes a checkpoint after each of some steps, as a run does while it goes on."""

    def __init__(self, folder, steps):
        self.folder, self.steps = folder, steps

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step in self.steps:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def fit(folder, saved=(), checkpoint=None):
    module = Recorder()
    trainer = Trainer(
        max_steps=14,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[Saver(folder, saved)],
    )
    trainer.fit(module, Loader(Keys(), Order(plan)), ckpt_path=checkpoint)
    return module.seen


@pytest.mark.filterwarnings("ignore")
def test_lightning_sets_the_epoch_and_resumes_within_it(tmp_path):
    steps = (1, 4, 6, 8, 12, 13)  # epochs have six batches
    whole = fit(tmp_path, steps)
    assert whole == [(epoch, batch) for epoch in range(3) for batch in plan(epoch)][:14]
    for step in steps:
        assert fit(tmp_path, checkpoint=tmp_path / f"{step}.ckpt") == whole[step:], step
