"""The masked language model: which tokens are masked and how, what it sees, and pseudo-perplexity."""

import math

import pytest
import torch
from commands import base_values

from attncompare.config import parse
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, MASK, PAD, SPECIALS
from attncompare.tasks import build_task

SMALL = (
    *("task=masked_lm", "trainer=smoke", "trainer.threads=1", "tracking=disabled", "task.max_length=32"),
    *("backbone.d_model=16", "backbone.layers=2", "backbone.d_ff=16", "backbone.dropout=0"),
)


def prepared(config):
    data = DataModule(config)
    data.prepare()
    return data


@pytest.fixture(scope="module")
def data():
    return prepared(parse(base_values(*SMALL, "trainer.limit_batches=null")))


def built(config, data):
    return build_task(config, data.tokenizer).eval()


def test_of_fifteen_percent_most_show_the_mask_some_another_token_and_some_themselves(data):
    counts = dict.fromkeys(("text", "chosen", "masked", "same"), 0)
    mask, drawn = data.tokenizer.special(MASK), set()
    for batch in data.train_dataloader():
        read_N, true_N = batch.input_BT[batch.scored_BT], batch.target_BT[batch.scored_BT]
        assert torch.equal(batch.input_BT[~batch.scored_BT], batch.target_BT[~batch.scored_BT])
        assert not torch.isin(true_N, torch.tensor([PAD, BOS, EOS, mask])).any()
        drawn |= set(read_N[(read_N != mask) & (read_N != true_N)].tolist())
        counts["text"] += int((batch.target_BT >= len(SPECIALS)).sum())
        counts["chosen"] += len(read_N)
        counts["masked"] += int((read_N == mask).sum())
        counts["same"] += int((read_N == true_N).sum())
    assert counts["chosen"] / counts["text"] == pytest.approx(0.15, abs=0.01)
    assert counts["masked"] / counts["chosen"] == pytest.approx(0.8, abs=0.01)
    assert counts["same"] / counts["chosen"] == pytest.approx(0.1, abs=0.01)
    assert min(drawn) >= len(SPECIALS) and len(drawn) > 0.9 * data.tokenizer.vocab_size


def first(loader):
    return next(iter(loader))


def same(one, other):
    return torch.equal(one.input_BT, other.input_BT) and torch.equal(one.scored_BT, other.scored_BT)


def test_variants_and_seeds_have_the_same_masks_and_another_order_has_others(make_config, data):
    batch, test = first(data.train_dataloader()), first(data.test_dataloader())
    for changes in (("attention=additive",), ("seed=7", "backbone.dropout=0.4")):
        other = prepared(make_config(*SMALL, *changes))
        assert same(first(other.train_dataloader()), batch) and same(first(other.test_dataloader()), test)
    other = prepared(make_config(*SMALL, "order_seed=9"))
    assert not same(first(other.train_dataloader()), batch) and same(first(other.test_dataloader()), test)


def test_a_row_is_masked_alike_in_each_part_of_a_batch_and_in_any_batch_of_an_evaluation(make_config, data):
    parts = list(prepared(make_config(*SMALL, "trainer.accumulate=3", "trainer.limit_batches=1")).train_dataloader())
    batch = first(data.train_dataloader())
    for number, part in enumerate(parts):
        assert torch.equal(part.input_BT, batch.input_BT[number::3])
        assert part.step_tokens == batch.step_tokens == int(batch.scored_BT.sum())
    assert sum(part.share for part in parts) == pytest.approx(1)
    wide, narrow = (prepared(make_config(*SMALL, f"data.batch_size={size}")).val_dataloader() for size in (8, 2))
    assert torch.equal(first(wide).input_BT[:2], first(narrow).input_BT)


def test_each_epoch_masks_other_tokens_of_a_row(make_config):
    rows = ("data=recall", "data.length=24", "data.train_size=16", "data.val_size=4", "data.test_size=4")
    loader = prepared(make_config(*SMALL, *rows, "data.batch_size=16")).train_dataloader()
    epochs = [first(loader) for _ in range(2)]
    one, other = (
        {tuple(text): places for text, places in zip(batch.target_BT.tolist(), batch.scored_BT.tolist(), strict=True)}
        for batch in epochs
    )
    assert one.keys() == other.keys() and one != other


@pytest.mark.parametrize(("variant", "sees"), [("scaled", True), ("additive", True), ("causal", False)])
def test_a_position_sees_both_sides_unless_the_variant_is_causal(make_config, data, variant, sees):
    model = built(make_config(*SMALL, f"attention={variant}"), data).model
    text_BT = first(data.val_dataloader()).input_BT[:2]
    changed_BT = text_BT.clone()
    changed_BT[:, -1] = (text_BT[:, -1] - 3) % 100 + 4
    before_BTV, after_BTV = (model(each_BT).logits_BTV for each_BT in (text_BT, changed_BT))
    assert (before_BTV[:, 0] != after_BTV[:, 0]).any() == sees
    assert (before_BTV[:, -1] != after_BTV[:, -1]).any()


def test_pseudo_perplexity_is_that_of_a_loop_over_the_tokens(make_config, data):
    task = built(make_config(*SMALL, "task.pseudo_sentences=3"), data)
    mask, nats = data.tokenizer.special(MASK), []
    for batch in data.test_dataloader():
        with torch.no_grad():
            task.metrics.update(**task.evaluate_batch(batch, "test"))
    for text_T in first(data.test_dataloader()).target_BT[:3]:
        for at, token in enumerate(text_T.tolist()):
            if token in (BOS, EOS):
                continue
            hidden_T = text_T.clone()
            hidden_T[at] = mask
            with torch.no_grad():
                nats.append(-task.model(hidden_T[None]).logits_BTV[0, at].log_softmax(-1)[token].item())
    metric = task.metrics["pseudo_perplexity"]
    assert metric.compute().item() == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-5)
    assert sum(tokens for _, tokens in metric.item_sums().values()) == len(nats)
    assert task.metrics["loss"].seen.sum() > len(nats)


def test_other_tasks_know_no_mask(make_config, data):
    plain = prepared(make_config("task=language_model", *SMALL[1:]))
    assert plain.tokenizer.vocab_size == data.tokenizer.vocab_size - 1 == data.tokenizer.special(MASK)
    assert MASK not in plain.tokenizer.to_text()
    assert plain.fingerprint == data.fingerprint


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_that_masks_nothing_or_all_is_refused(make_config, share):
    from attncompare.errors import Refused

    with pytest.raises(Refused, match=r"task.mask_share"):
        make_config(*SMALL, f"task.mask_share={float(share)}")
