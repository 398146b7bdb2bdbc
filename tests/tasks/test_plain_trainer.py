"""A task and its data train in any Lightning trainer, without our callbacks, loggers and checkpoints."""

import pytest
import torch
from commands import SMOKE
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CSVLogger
from training_runs import LANGUAGE_MODEL

from attncompare.data.module import DataModule
from attncompare.tasks import build_task


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("overrides", [SMOKE, LANGUAGE_MODEL], ids=["translation", "language model"])
def test_it_trains_validates_and_logs_in_a_plain_trainer(make_config, tmp_path, overrides):
    config = make_config(*overrides, "trainer.log_every=5", "trainer.max_steps=20", "trainer.limit_batches=null")
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer)
    before = {name: parameter.clone() for name, parameter in task.named_parameters()}
    logger = CSVLogger(tmp_path)
    trainer = Trainer(max_steps=20, accelerator="cpu", logger=logger, log_every_n_steps=5, enable_progress_bar=False)
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 20
    assert any(not torch.equal(before[name], parameter) for name, parameter in task.named_parameters())
    assert trainer.callback_metrics["val/loss"].isfinite()
    text = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    assert "train/loss" in text.splitlines()[0] and "val/loss" in text.splitlines()[0]
    (tested,) = trainer.test(task, datamodule=data, verbose=False)
    assert {f"test/{name}" for name in config.task.metrics} <= tested.keys()
