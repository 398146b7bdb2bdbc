"""The loss of each test item adds up to that of the whole, whichever batches it came in."""

import math

import pytest
import torch

from attncompare.tasks.item_losses import ItemLosses


@pytest.mark.parametrize("size", [1, 3, 100])
def test_items_add_up_whatever_the_batches(size):
    generator = torch.Generator().manual_seed(0)
    item_N = torch.randint(0, 7, (100,), generator=generator)
    nats_N = torch.rand(100, generator=generator)
    bytes_N = torch.randint(0, 5, (100,), generator=generator)
    losses = ItemLosses()
    for start in range(0, 100, size):
        part = slice(start, start + size)
        losses.add(item_N[part], nats_N[part], bytes=bytes_N[part])
    for row in losses.rows():
        mine = item_N == row["id"]
        assert row["nats"] == pytest.approx(nats_N[mine].double().sum().item(), rel=1e-12)
        assert (row["tokens"], row["bytes"]) == (int(mine.sum()), int(bytes_N[mine].sum()))
    assert losses.mean == pytest.approx(nats_N.double().mean().item(), rel=1e-12)
    assert losses.bits_per("bytes") == pytest.approx(losses.mean * 100 / int(bytes_N.sum()) / math.log(2), rel=1e-12)


def test_an_item_without_tokens_has_no_row():
    losses = ItemLosses()
    losses.add(torch.tensor([4, 1]), torch.tensor([0.5, 0.25]))
    assert losses.rows() == [{"id": 1, "nats": 0.25, "tokens": 1}, {"id": 4, "nats": 0.5, "tokens": 1}]
    assert ItemLosses().total("nats") == 0


@pytest.mark.parametrize("data", ["reverse", "recall", "pydocs"])
def test_the_record_s_losses_are_the_test_loss(make_config, data):
    from attncompare.training.run import train

    task = "translation" if data == "reverse" else "language_model"
    run = train(make_config(f"task={task}", f"data={data}", "trainer=smoke", "tracking=disabled"))
    rows = run.losses()
    tokens = sum(row["tokens"] for row in rows)
    assert run.summary["test"]["loss"] == pytest.approx(sum(row["nats"] for row in rows) / tokens, rel=1e-12)
    if task == "language_model":
        bits = sum(row["nats"] for row in rows) / sum(row["bytes"] for row in rows) / math.log(2)
        assert run.summary["test"]["bits_per_byte"] == pytest.approx(bits, rel=1e-12)
