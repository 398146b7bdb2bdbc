"""Maps of a model in training, captured by the callback; the model here is the smallest that has attention weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from attncompare.data.kinds import Probe
from attncompare.maps import AttentionMaps, load_maps, probe_maps
from attncompare.model import Site

GOLD = np.eye(4, 3, dtype=bool)
PROBES = [Probe([1, 2, 3], [4, 5, 6, 7, 8], GOLD, GOLD), Probe([1, 2, 3], [4, 9, 6], None, None)]


class Words:
    def labels(self, ids):
        return [f"word{i}" for i in ids]

    def decode(self, ids):
        return " ".join(self.labels(ids))


class Toy(pl.LightningModule):
    """Has two attention sites, one of which no built-in model has, and dropout, so that training draws random numbers."""

    def __init__(self):
        super().__init__()
        self.sites = {
            "cross": Site("cross-attention", queries="target", keys="source"),
            "memory": Site("memory attention", queries="target", keys="target"),
        }
        self.tokenizer = self.source_tokenizer = Words()
        self.scores = torch.nn.Linear(1, 8)
        self.dropout = torch.nn.Dropout(0.5)
        self.losses = []

    def probe_weights(self, source_ids, target_ids):
        T, S = len(target_ids) - 1, len(source_ids)
        scores = self.dropout(self.scores(torch.ones(2, 2, T, 1)))
        return {"cross": scores[..., :S].softmax(-1), "memory": scores[..., :5].softmax(-1)}

    def training_step(self, batch, batch_idx):  # noqa: ARG002
        loss = self.dropout(self.scores(batch[0])).pow(2).mean()
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch, batch_idx):  # noqa: ARG002
        self.log("val/loss", self.scores(batch[0]).mean())

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Pictures(pl.loggers.logger.DummyLogger):
    def __init__(self):
        super().__init__()
        self.shown = []

    def log_image(self, key, images, step=None):
        self.shown.append((key, step, images[0].format))


def fitted(callbacks, logger=False):
    torch.manual_seed(1)
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 1)), batch_size=2)
    quiet = dict.fromkeys(("enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    limits = {"max_steps": 8, "val_check_interval": 2, "log_every_n_steps": 1}
    trainer = pl.Trainer(accelerator="cpu", callbacks=callbacks, logger=logger, **limits, **quiet)
    toy = Toy()
    trainer.fit(toy, batches, batches)
    return trainer, toy, batches


@pytest.fixture
def captured(tmp_path):
    logger, callback = Pictures(), AttentionMaps(PROBES, tmp_path, images=1)
    trainer, toy, batches = fitted([callback], logger)
    return SimpleNamespace(folder=tmp_path / "maps", **locals())


def test_maps_are_kept_before_training_and_at_each_validation(captured):
    assert [step for step, _ in captured.callback.maps] == [0, 2, 4, 6, 8]
    files = sorted(captured.folder.glob("*.npz"))
    assert [load_maps(file)[0] for file in files] == [0, 2, 4, 6, 8]
    probes = load_maps(files[-1])[1]
    for number, (read, probe) in enumerate(zip(probes, PROBES, strict=True)):
        now = probe_maps(captured.toy, number, probe)
        assert read.text == now.text
        assert [site.title for site in read.sites] == ["cross-attention", "memory attention"]
        for one, other in zip(read.sites, now.sites, strict=True):
            np.testing.assert_allclose(one.weights_LHTS, other.weights_LHTS, atol=3e-4)


def test_pictures_of_the_first_sentences_go_to_files_and_loggers(captured):
    names = {file.name for file in captured.folder.glob("*.png")}
    assert names == {f"step-{s:07d}-probe0-{site}.png" for s in (0, 2, 4, 6, 8) for site in ("cross", "memory")}
    expected = [(f"maps/{site}/probe0", step, "PNG") for step in (0, 2, 4, 6, 8) for site in ("cross", "memory")]
    assert captured.logger.shown == expected


def test_the_page_is_written_after_the_test_and_a_validation_alone_changes_no_maps(captured):
    before = {file: file.read_bytes() for file in captured.folder.iterdir()}
    captured.trainer.validate(captured.toy, captured.batches, verbose=False)
    assert {file: file.read_bytes() for file in captured.folder.iterdir()} == before
    captured.trainer.test(captured.toy, captured.batches, verbose=False)
    assert (captured.folder / "index.html").read_text() == captured.callback.page


def test_maps_of_before_a_resume_are_among_all(captured):
    later = AttentionMaps(PROBES, captured.folder.parent, images=0)
    later.capture(captured.toy, 10, [])
    assert [step for step, _ in later.maps] == [0, 2, 4, 6, 8, 10]


def test_capturing_changes_neither_the_training_nor_the_mode_of_the_model(captured, tmp_path):
    _, alone, _ = fitted([])
    assert captured.toy.losses == alone.losses
    one, again = (probe_maps(captured.toy.train(), 0, PROBES[0]) for _ in range(2))
    assert captured.toy.training
    np.testing.assert_array_equal(one.sites[0].weights_LHTS, again.sites[0].weights_LHTS)


def test_gold_belongs_to_cross_attention_and_keys_that_are_no_tokens_are_numbered(captured):
    cross, memory = probe_maps(captured.toy, 0, PROBES[0]).sites
    assert cross.sure_TS is GOLD and cross.queries == ("word4", "word5", "word6", "word7")
    assert memory.sure_TS is None and memory.queries == cross.queries and memory.keys == ("1", "2", "3", "4", "5")


def test_without_probes_nothing_is_written(tmp_path):
    fitted([AttentionMaps([], tmp_path, images=1)])
    assert not (tmp_path / "maps").exists()
