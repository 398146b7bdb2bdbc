"""From a model to its attention maps: of one sentence, and during training as a Lightning callback."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer

from attncompare.data.module import Probe
from attncompare.maps.maps import ProbeMaps, SiteMap, load_maps, save_maps
from attncompare.maps.page import MapSeries, maps_page
from attncompare.maps.pictures import heatmap_png
from attncompare.record import write_bytes, write_text

_MEMORY = 64 * 2**20  # bytes of maps that a callback holds; those of further steps are read from their files at the end


@torch.no_grad()
def probe_maps(task: Any, number: int, probe: Probe) -> ProbeMaps:
    """Return all attention maps of one sentence, in evaluation mode and with the weights computed explicitly.

    The training mode of the model is what it was before, and no random number is drawn.

    Args:
        task: a task with ``probe_weights(source_ids, target_ids)``, its tokenizers, and the ``sites`` of its model.
        number: of the sentence, from 0.
        probe: the sentence.
    """
    was_training = task.training
    task.eval()
    try:
        weights = task.probe_weights(probe.source_ids, probe.target_ids)
    finally:
        task.train(was_training)
    read = tuple(task.tokenizer.labels(probe.target_ids[:-1]))
    source = tuple(task.source_tokenizer.labels(probe.source_ids)) if probe.source_ids is not None else ()
    text = task.tokenizer.decode(probe.target_ids)
    if probe.source_ids is not None:
        text = f"{task.source_tokenizer.decode(probe.source_ids)} → {text}"
    labels = {"source": source, "target": read}
    sites = []
    for name, weights_LHTS in weights.items():
        site = task.sites[name]
        T, S = weights_LHTS.shape[2:]
        queries, keys = _fitting(labels[site.queries], T), _fitting(labels[site.keys], S)
        gold = (probe.sure_TS, probe.possible_TS) if (site.queries, site.keys) == ("target", "source") else (None, None)
        sites.append(SiteMap(name, queries, keys, weights_LHTS.numpy(), *gold, title=site.title))
    return ProbeMaps(number, text, tuple(sites))


def _fitting(labels: tuple[str, ...], size: int) -> tuple[str, ...]:
    """Return the tokens where their number fits, else positions from 1."""
    return labels if len(labels) == size else tuple(str(place + 1) for place in range(size))


class AttentionMaps(Callback):
    """Keeps the attention maps of the same sentences before training and at each of its validations, as files and pictures.

    Each step becomes ``maps/step-*.npz`` in the run's folder. The first sentences are also drawn, into PNG files beside it
    and for each of the trainer's loggers that has ``log_image``. After the test ``maps/index.html`` shows all steps.

    Args:
        probes: the sentences; without any nothing is written.
        folder: the run's folder.
        images: how many of the sentences are drawn.

    Attributes:
        page: the text of ``maps/index.html``, once it is written.
    """

    def __init__(self, probes: Sequence[Probe], folder: Path, images: int) -> None:
        self.probes, self.images = list(probes), images
        self.page: str | None = None
        self._folder = Path(folder)
        self._held: dict[int, list[ProbeMaps]] = {}
        self._held_bytes = 0

    @property
    def maps(self) -> list[tuple[int, list[ProbeMaps]]]:
        """The maps of all steps in order, also of those before the run was resumed."""
        files = sorted((self._folder / "maps").glob("step-*.npz"))
        steps = {int(file.stem.removeprefix("step-")): file for file in files}
        return [(step, self._held[step] if step in self._held else load_maps(file)[1]) for step, file in steps.items()]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Capture the maps of the untrained model."""
        if trainer.global_step == 0 and trainer.is_global_zero:
            self.capture(pl_module, 0, trainer.loggers)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Capture the maps at a validation that belongs to training."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and trainer.is_global_zero:
            self.capture(pl_module, trainer.global_step, trainer.loggers)

    def capture(self, task: LightningModule, step: int, loggers: Sequence[Any]) -> None:
        """Write the maps as they are after ``step``, draw the first sentences, and give the pictures to the loggers."""
        if not self.probes:
            return
        maps = [_rounded(probe_maps(task, number, probe)) for number, probe in enumerate(self.probes)]
        folder = self._folder / "maps"
        folder.mkdir(exist_ok=True)
        save_maps(folder / f"step-{step:07d}.npz", step, maps)
        size = sum(site.weights_LHTS.nbytes for one in maps for site in one.sites)
        if self._held_bytes + size <= _MEMORY:
            self._held[step] = maps
            self._held_bytes += size
        for one in maps[: self.images]:
            for site in one.sites:
                png = heatmap_png(site, f"{self._label(task)}, {site.title}, step {step}")
                write_bytes(folder / f"step-{step:07d}-probe{one.probe}-{site.site}.png", png)
                for logger in loggers:
                    if hasattr(logger, "log_image"):
                        picture = Image.open(io.BytesIO(png), formats=["PNG"])
                        logger.log_image(f"maps/{site.site}/probe{one.probe}", [picture], step=step)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the interactive page of all steps."""
        maps = self.maps if trainer.is_global_zero else []
        if not maps:
            return
        self.page = maps_page(self._folder.name, [MapSeries(self._label(pl_module), maps)])
        write_text(self._folder / "maps" / "index.html", self.page)

    def _label(self, task: LightningModule) -> str:
        """Return the name of the attention variant, or that of the run for a module without a config of ours."""
        config: Any = getattr(task, "config", None)
        return str(config.attention.name) if hasattr(config, "attention") else self._folder.name


def _rounded(one: ProbeMaps) -> ProbeMaps:
    """Return the maps with the precision of their files, so that pictures and pages agree with what is read from there."""
    sites = tuple(replace(site, weights_LHTS=site.weights_LHTS.astype(np.float16)) for site in one.sites)
    return replace(one, sites=sites)
