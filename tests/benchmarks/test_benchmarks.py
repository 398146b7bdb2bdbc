"""What is measured beside each other is the same work, each is measured in its turn, and the scripts print their tables."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from works import filling, reporting, sleeping

from attncompare.data.batches import PairBatch, TextBatch
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy, translate_all
from attncompare.model import parameter_count
from attncompare.tasks import build_task
from benchmarks import attention, decode, measure, models, recurrent, text

ROOT = Path(__file__).parents[2]
SIZES = models.Sizes(vocab_size=50, max_length=16, d_model=64, layers=2, d_ff=256, heads=4, dropout=0.0, smoothing=0.1)
DECODERS = (models.HandwrittenDecoder, models.Gpt2, models.XDecoder)
TRANSLATORS = (models.HandwrittenTranslator, models.Marian, models.TorchTransformer)
SHAPE = {"batch": 2, "heads": 3, "length": 9, "head_dim": 5}


class Fifty:
    vocab_size = 50


def made(peer):
    torch.manual_seed(1)
    try:
        return peer(SIZES).train()
    except measure.LeftOut as reason:
        pytest.skip(str(reason))


def text_batch():
    ids_BT = torch.randint(4, 50, (3, 11), generator=torch.Generator().manual_seed(1))
    everything = torch.ones(3, 10, dtype=torch.bool)
    return TextBatch(ids_BT[:, :-1], ids_BT[:, 1:], everything, everything.long(), everything.long())


def pair_batch(padding=0):
    draw = torch.Generator().manual_seed(1)
    source_BS, target_BT = (torch.randint(4, 50, (3, length), generator=draw) for length in (7, 9))
    fill = torch.full((3, padding), PAD)
    return PairBatch(torch.cat((source_BS, fill), 1), torch.cat((target_BT, fill), 1), torch.arange(3))


def translator(make_config):
    sizes = ("backbone.d_model=16", "backbone.layers=2", "backbone.d_ff=32", "task.max_length=32")
    return build_task(make_config("task=translation", "data=reverse", *sizes), Fifty()).model.eval()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("score", ("additive", "dot", "scaled"))
@pytest.mark.parametrize("form", ["ours", "sdpa"])
def test_all_forms_of_attention_are_the_formula(score, form, causal):
    if form == "sdpa" and score == "additive":
        pytest.skip("torch has no such score")
    q, k, values, _ = attention.inputs(**SHAPE, dtype="float32", device="cpu")
    scorer = attention.make_score(score, 3, 5)
    found = [attention.function_of(one, scorer, score, causal)(q, k, values) for one in ("eager", form)]
    torch.testing.assert_close(*found)
    assert 0 < attention.error_over_eager(form, score, causal, device="cpu", dtype="float32", **SHAPE) < 4


def test_all_modules_are_the_same_function_of_the_same_weights():
    x = torch.randn(2, 7, 12)
    modules = {form: attention.module_of(form, 3, 4) for form in attention.MODULES}
    for module, call in modules.values():
        torch.testing.assert_close(call(x), modules["by_hand"][1](x))
        assert parameter_count(module) == parameter_count(modules["by_hand"][0])


@pytest.mark.parametrize("peer", DECODERS)
def test_a_decoder_learns_and_sees_nothing_that_comes_later(peer):
    model, batch = made(peer), text_batch()
    loss = model.loss(batch)
    assert abs(loss.item() - math.log(50)) < 1, "of guessing"
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    first_BT, other_BT = batch.target_BT.clone(), batch.input_BT.clone()
    first_BT[:, 4:] = -100  # torch's loss leaves these out
    other_BT[:, 4:] = other_BT[:, 4:].flip(1)
    losses = [model.loss(batch._replace(input_BT=ids, target_BT=first_BT)).item() for ids in (batch.input_BT, other_BT)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("peer", TRANSLATORS)
def test_a_translator_reads_its_source_and_no_padding(peer):
    model, batch = made(peer), pair_batch()
    loss = model.loss(batch).item()
    assert model.loss(pair_batch(padding=4)).item() == pytest.approx(loss, rel=1e-4)
    assert model.loss(batch._replace(source_BS=batch.source_BS.flip(1))).item() != loss


@torch.no_grad()
def test_the_hand_written_decoder_with_our_weights_has_our_loss(make_config):
    sizes = ("backbone.d_model=64", "backbone.layers=2", "backbone.d_ff=256", "attention.heads=4", "task.max_length=16")
    config = make_config(
        "experiment=nanogpt_cpu", "data=recall", *sizes, "task.eval_stride=null", "task.sample_prompts=[]"
    )
    task, theirs = build_task(config, Fifty()), made(models.HandwrittenDecoder)
    ours = task.model
    theirs.tokens.weight.copy_(ours.embedding.tokens.weight)
    theirs.positions.weight.copy_(ours.embedding.positions.weight)
    for block, other in zip(ours.decoder, theirs.blocks, strict=True):
        of = block.self_attention
        other.attention.projections.weight.copy_(torch.cat([one.weight for one in (of.query, of.key, of.value)]))
        other.attention.output.weight.copy_(of.output.weight)
        other.inner.weight.copy_(block.feed_forward.inner.weight)
        other.outer.weight.copy_(block.feed_forward.outer.weight)
    assert theirs.loss(text_batch()).item() == pytest.approx(task.loss(text_batch()).item(), rel=1e-5)


def test_translations_are_as_long_as_their_sources(make_config):
    lengths = (5, 11, 3, 11, 8)
    draw = torch.Generator().manual_seed(1)
    rows = [[*torch.randint(4, 50, (length - 1,), generator=draw).tolist(), EOS] for length in lengths]
    model = models.fix_lengths(translator(make_config))
    found = translate_all(model, rows, bos=BOS, eos=EOS, max_length=20, beam=5)
    assert tuple(len(best.ids) for best, *_ in found) == lengths
    assert tuple(made(models.Marian).eval().translated_lengths(models.padded(rows), 5)) == lengths


@torch.no_grad()
def test_without_a_cache_the_same_tokens_come_out(make_config):
    model = translator(make_config)
    source_BS = torch.randint(4, 50, (3, 7), generator=torch.Generator().manual_seed(1))
    assert torch.equal(decode.read_again(model, source_BS, 9), greedy(model, source_BS, BOS, -1, 9))


def test_the_loop_by_hand_trains():
    class Line(nn.Linear):
        def loss(self, batch):
            return (self(batch) - 3).square().mean()

    model = Line(2, 1)

    class Config:
        class optimizer:  # noqa: N801
            lr, betas, eps, weight_decay, clip_norm = 0.1, (0.9, 0.99), 1e-8, 0.0, 1.0

        class trainer:  # noqa: N801
            precision = "32-true"

    batches = iter([torch.ones(4, 2)] * 60)
    step = models.loop(Config, model, model.loss, models.peer_optimizers(Config, model), batches)
    for _ in range(60):
        step()
    assert model.loss(torch.ones(4, 2)).item() < 0.1


def test_contenders_take_turns_and_each_begins_a_round():
    calls = []
    seconds = measure.in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, 4, sample=0.0)
    assert all(len(found) == 4 and min(found) > 0 for found in seconds.values())
    assert [measure.rotated(list("abc"), number) for number in range(3)] == [list("abc"), list("bca"), list("cab")]


def test_a_slow_round_leaves_ratio_and_difference_alone():
    base = [1.0, 1.0, 10.0, 1.0, 1.0]
    assert measure.ratio([2 * one for one in base], base) == (2.0, 2.0, 2.0)
    assert measure.difference([one + 1 for one in base], base) == (1.0, 1.0, 1.0)
    low, high = measure.median(range(101))[1:]
    assert low < 50 < high
    assert measure.shown(measure.Median(0.0123, 0.012, 0.013), "s") == "12.3 ms [12.0, 13.0]"


def test_works_in_processes_of_their_own_take_turns_and_say_what_went_wrong():
    works = {"slow": (sleeping, 0.1, 99), "told": (reporting, 7.0), "ends": (sleeping, 0.0, 1)}
    seconds, left_out = measure.turns_apart(works, rounds=2)
    assert min(seconds["slow"]) > 0.09
    assert seconds["told"] == [7.0, 7.0]
    assert list(left_out) == ["ends"]


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's /proc")
def test_the_peak_is_what_one_call_holds_at_once():
    found = measure.peak_bytes(filling, {"mebibytes": 64}, {"mebibytes": 1})
    assert abs(found - 64 * 2**20) < 2**20  # the system counts pages in batches


def test_generated_pairs_are_as_long_as_those_of_multi30k(tmp_path):
    models.pair_corpus(tmp_path, pairs=2_000)
    lengths = [len(line.split()) for line in (tmp_path / "train.en").read_text().splitlines()]
    assert len(lengths) == 2_000
    assert 12 < sum(lengths) / len(lengths) < 14
    assert 4 <= min(lengths) <= max(lengths) <= 40


def test_a_library_that_is_not_there_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "x_transformers", None)
    with pytest.raises(measure.LeftOut, match=r"x_transformers.*pip install 'attncompare\[bench\]'"):
        models.XDecoder(SIZES)


@pytest.mark.long
def test_scripts_print_their_tables_in_markdown(capfd):
    attention.main(["--quick", "--threads", "1", "--scores", "dot", "--lengths", "16"])
    decode.main(["--quick", "--threads", "1"])
    text.main(["--quick", "--kinds", "word"])
    recurrent.main(["--quick", "--threads", "1"])
    printed = capfd.readouterr().out
    for words in (
        "**dot: batch 1",
        "| 16 | SDPA | ",
        "**Beam search, width 5",
        "| with the cache | ",
        "| recurrent | 16 | ",
        "1 threads",
    ):
        assert words in printed


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_bench_gpu_measures_where_there_is_a_gpu(gpu, tmp_path):
    scripts = tmp_path / "venv" / "bin"
    scripts.mkdir(parents=True)
    line = 'case "$*" in *-c*) exit $GPU;; *) echo "$@";; esac'
    (scripts / "python").write_text(f"#!/bin/sh\n{line}\n")
    (scripts / "python").chmod(0o755)
    (scripts.parent / "installed").touch()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | {
        "GPU": "0" if gpu else "1"
    }
    command = ["make", "bench-gpu", f"VENV={scripts.parent}", f"GPU_TABLES={tmp_path / 'tables.md'}"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tables.md").exists() == gpu
    if gpu:
        lines = (tmp_path / "tables.md").read_text().splitlines()
        assert [f"-m benchmarks.{name} --device cuda" in lines for name in ("attention", "train", "decode")] == [
            True
        ] * 3
    else:
        assert "nothing was measured" in done.stdout
