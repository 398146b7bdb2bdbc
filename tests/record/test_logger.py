"""Writing a record as a Lightning logger: rows with the same bits, new columns, going on, sealing at the end."""

import math
import resource

import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.utilities import rank_zero_only

from attncompare.errors import Refused
from attncompare.record import RecordLogger, Run, create_folder, mark_lost


@pytest.fixture
def config(make_config):
    return make_config("attention=additive", "attention.heads=3", "seed=7")


@pytest.fixture
def logger(config):
    return RecordLogger.create(create_folder(config), config, ["seed=7"], group="sweep")


def rows(logger):
    return Run.open(logger.path).metrics()


def content(logger):
    return (logger.path / "metrics.csv").read_text()


class Tiny(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.save_hyperparameters({"width": 2})

    def training_step(self, batch):
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch):
        self.log("val/loss", self.layer(batch).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def test_lightning_logs_to_it_and_leaves_it_open(logger):
    data = torch.utils.data.DataLoader(torch.ones(4, 2))
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=2, logger=logger, log_every_n_steps=2, accelerator="cpu", **quiet)
    trainer.fit(Tiny(), data, data)
    assert trainer.log_dir == str(logger.path)
    assert content(logger).splitlines()[0] == "step,epoch,train/loss,val/loss"
    assert [(row["step"], row["epoch"], "val/loss" in row) for row in rows(logger)] == [
        *((1, 0, False), (3, 0, False), (3, 0, True), (5, 1, False), (7, 1, False), (7, 1, True))
    ]
    assert Run.open(logger.path).state == "running"


def test_metrics_come_back_with_the_same_bits(logger):
    values = [0.1, 1 / 3, 1e-320, 1.7976931348623157e308, -0.0, 3.0, math.inf, 2.5e-5]
    for step, value in enumerate(values):
        logger.log_metrics({"epoch": 0, "train/loss": value}, step)
    assert [row["train/loss"].hex() for row in rows(logger)] == [value.hex() for value in values]
    logger.log_metrics({"val/loss": math.nan}, 99)
    assert math.isnan(rows(logger)[-1]["val/loss"]) and rows(logger)[-1].keys() == {"step", "val/loss"}


def test_a_new_metric_gets_a_column_behind_the_others(logger):
    logger.log_metrics({"epoch": 0, "train/loss": 1.5}, 1)
    logger.log_metrics({"epoch": 0, "val/loss": 2.5, "val/bleu": 3}, 1)
    logger.log_metrics({"epoch": 1.0, "train/loss": 0.5}, 2)
    lines = ["step,epoch,train/loss,val/loss,val/bleu", "1,0,1.5,,", "1,0,,2.5,3", "2,1,0.5,,"]
    assert content(logger).splitlines() == lines
    with pytest.raises(ValueError, match="commas"):
        logger.log_metrics({"a,b": 1.0}, 3)


@pytest.mark.parametrize("known", ["train", "val"])
def test_a_run_goes_on_with_the_rows_that_its_checkpoint_knew(logger, known):
    """Also where a column came after the checkpoint: then the whole file had been written anew."""
    for step in (1, 2):
        logger.log_metrics({"epoch": 0, "train/loss": 1 / step}, step)
    if known == "val":
        logger.log_metrics({"epoch": 0, "val/loss": 2.5}, 2)
    checkpoint = logger.metrics_so_far()
    known_rows = rows(logger)

    def rest(logger):
        logger.log_metrics({"epoch": 0, "train/loss": 0.25}, 3)
        logger.log_metrics({"epoch": 0, "val/loss": 2.25}, 3)
        return content(logger), logger.metrics_so_far()

    whole = rest(logger)
    with (logger.path / "metrics.csv").open("a") as file:
        file.write("4,0,0.2")  # half a row
    resumed = [{"step": 2, "environment": []}]
    again = RecordLogger.reopen(Run.open(logger.path), **checkpoint, wall_seconds=60.0, resumed=resumed)
    assert rows(again) == known_rows
    assert rest(again) == whole
    summary = Run.open(logger.path).summary
    assert (summary["state"], summary["resumed"], again.wall_seconds >= 60) == ("running", resumed, True)


@pytest.mark.parametrize("change", [("0.5", "0.6"), ("train/loss", "train/lr"), ("2,0,0.5\n", "")])
def test_rows_that_are_not_those_of_the_checkpoint_are_refused(logger, change):
    for step in (1, 2):
        logger.log_metrics({"epoch": 0, "train/loss": 1 / step}, step)
    checkpoint = logger.metrics_so_far()
    (logger.path / "metrics.csv").write_text(content(logger).replace(*change))
    with pytest.raises(Refused, match="its rows"):
        RecordLogger.reopen(Run.open(logger.path), **checkpoint)


def test_without_a_checkpoint_it_begins_anew(logger):
    logger.log_metrics({"epoch": 0, "train/loss": 0.5}, 1)
    logger.log_metrics({"heads/cross/1.1/entropy": 0.5}, 0)
    again = RecordLogger.reopen(Run.open(logger.path))
    assert rows(again) == [] and Run.open(logger.path).heads() == []
    again.log_metrics({"heads/cross/1.1/distance": 0.5}, 0)
    assert Run.open(logger.path).heads() == [{"step": 0, "heads/cross/1.1/distance": 0.5}]


def test_numbers_of_heads_have_a_file_of_their_own_a_row_for_each_head(logger):
    values = {
        "heads/cross/1.1/entropy": 1 / 3,
        "heads/cross/1.1/aer": 0.25,
        "heads/encoder_self/2.10/entropy": math.nan,
        "train/loss": 2.0,
    }
    logger.log_metrics(values, 4)
    assert (logger.path / "heads.csv").read_text().splitlines() == [
        *("step,site,layer,head,entropy,aer", f"4,cross,1,1,{1 / 3!r},0.25", "4,encoder_self,2,10,nan,")
    ]
    first, second = Run.open(logger.path).heads()
    assert first == {"step": 4, "heads/cross/1.1/entropy": 1 / 3, "heads/cross/1.1/aer": 0.25}
    assert math.isnan(second["heads/encoder_self/2.10/entropy"])
    assert rows(logger) == [{"step": 4, "train/loss": 2.0}]
    logger.log_metrics({"heads/cross/1.1/first": 0.5}, 5)
    assert Run.open(logger.path).heads()[::2] == [first, {"step": 5, "heads/cross/1.1/first": 0.5}]


def test_rows_of_heads_from_after_the_checkpoint_go_and_lacking_ones_are_refused(logger):
    for step in (0, 2):
        logger.log_metrics({f"heads/cross/1.{head}/entropy": step + head / 3 for head in (1, 2)}, step)
    checkpoint, known = logger.metrics_so_far(), (logger.path / "heads.csv").read_text()

    def rest(logger):
        logger.log_metrics({f"heads/cross/1.{head}/entropy": 4.0 for head in (1, 2)}, 4)
        return (logger.path / "heads.csv").read_text(), logger.metrics_so_far()

    whole = rest(logger)
    (logger.path / "heads.csv").write_text(whole[0] + "6,cr")  # half a row
    again = RecordLogger.reopen(Run.open(logger.path), **checkpoint)
    assert (logger.path / "heads.csv").read_text() == known
    assert rest(again) == whole
    (logger.path / "heads.csv").write_text(known[:-5])
    with pytest.raises(Refused, match="lacks rows"):
        RecordLogger.reopen(Run.open(logger.path), **checkpoint)


def test_a_record_says_running_until_it_is_closed(logger, config):
    run = Run.open(logger.path)
    assert (run.state, run.config, run.summary["group"]) == ("running", config, "sweep")
    assert yaml.safe_load((run.path / "overrides.yaml").read_text()) == ["seed=7"]
    assert run.predictions() == run.items() == run.metrics() == run.map_files() == []
    assert (run.path / ".reserve").stat().st_size >= 2**16  # room for the end on a full disk
    logger.close("failed", "the loss is nan")
    run = Run.open(logger.path)
    assert (run.state, run.summary["message"]) == ("failed", "the loss is nan")
    assert not (run.path / ".reserve").exists() and not (run.path / "manifest.json").exists()


def test_a_lost_run_has_failed_and_a_closed_one_keeps_its_state(logger):
    mark_lost(logger.path, "killed")
    assert (Run.open(logger.path).state, Run.open(logger.path).summary["message"]) == ("failed", "killed")
    logger.close("interrupted", "Ctrl-C")
    mark_lost(logger.path, "killed")
    assert Run.open(logger.path).state == "interrupted"


def test_a_row_that_cannot_be_written_leaves_the_rows_before_it(logger):
    logger.log_metrics({"epoch": 0, "train/loss": 0.5}, 1)
    before = content(logger)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4, hard))  # as on a full disk, a part of the row fits
    try:
        with pytest.raises(OSError, match="too large") as failed:
            logger.log_metrics({"epoch": 0, "train/loss": 0.25}, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.value.filename == str(logger.path / "metrics.csv")
    assert content(logger) == before


def test_other_ranks_write_nothing(config, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = RecordLogger(create_folder(config), config, {})
    logger.log_metrics({"epoch": 0, "train/loss": 0.5}, 1)
    logger.update(a=1)
    logger.items([{"id": 0}])
    logger.metrics_so_far()
    logger.close("finished")
    assert list(logger.path.iterdir()) == []
