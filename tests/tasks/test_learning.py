"""Every variant in conf/attention but controls learns to reverse strings, through the real task, data and optimizer."""

import pytest
from pytorch_lightning import Trainer
from variants import VARIANTS

from attncompare.data.module import DataModule
from attncompare.tasks import build_task

STEPS = 750
SHORT = ("multihead", "alibi")  # in every test run: with a kernel of our own, and with one of torch
CONTROLS = ("random", "uniform")  # what they choose by is no key: they only have to run
# Little and short, so that a variant takes seconds. Heads are 8 wide, because unscaled dot products of wider ones
# saturate the softmax at the start and need many more steps (Vaswani et al. 2017, section 3.2.1).
EASY = (
    *("attention.head_dim=8", "data=reverse", "data.symbols=12", "data.min_symbols=3", "data.max_symbols=4"),
    *("data.train_size=10000", "data.batch_size=64", "backbone.d_model=32", "backbone.d_ff=64", "backbone.layers=2"),
    *("backbone.dropout=0.0", "task.label_smoothing=0.0", "task.max_length=8", "optimizer.lr=5e-3"),
    *("optimizer.warmup_steps=30", "trainer=cpu", f"trainer.max_steps={STEPS}"),
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "variant",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in VARIANTS],
)
def test_every_variant_but_controls_learns_to_reverse_strings(variant, make_config):
    config = make_config(f"attention={variant}", *EASY)
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        gradient_clip_val=config.optimizer.clip_norm,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, datamodule=data)
    (tested,) = trainer.test(task, datamodule=data, verbose=False)
    assert tested["test/exact_match"] >= (0 if variant in CONTROLS else 0.99)
