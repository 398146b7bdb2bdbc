"""From a model to its attention maps: of one sentence, and during training as a Lightning callback."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from attncompare.attention import Attention
from attncompare.config import variant_label
from attncompare.data.kinds import Probe
from attncompare.errors import Refused
from attncompare.maps.maps import ProbeMaps, SiteMap, load_maps, save_maps
from attncompare.maps.page import MapSeries, maps_page
from attncompare.maps.pictures import heatmap_png
from attncompare.record import write_bytes, write_text


@torch.no_grad()
def probe_maps(task: Any, number: int, probe: Probe) -> ProbeMaps:
    """Return all attention maps of sentence ``number``, in evaluation mode and with the weights computed explicitly.

    ``task`` has ``probe_weights(source_ids, target_ids)``, its tokenizers, and the ``sites`` of its model. Its training
    mode is what it was before, and no random number is drawn.
    """
    was_training = task.training
    task.eval()
    try:
        with largest_scores(task) as scores:
            weights = task.probe_weights(probe.source_ids, probe.target_ids)
    finally:
        task.train(was_training)
    sides: dict[str, tuple[Any, Any, Any]] = {}
    if probe.target_ids:
        sides = {"target": (task.tokenizer, probe.target_ids, probe.target_ids[:-1])}
    if probe.source_ids is not None:
        sides = {"source": (task.source_tokenizer, probe.source_ids, probe.source_ids), **sides}
    labels: dict[str, list[str]] = {"source": [], "target": []}
    texts: list[str] = []
    for side, (tokenizer, ids, shown) in sides.items():
        if side == "source" and probe.places is not None:
            texts.append(probe.written)
            labels[side] = probe.places
        elif written := probe.target_written if texts else probe.written:  # what the vocabulary lacks is not in its ids
            texts.append(written)
            labels[side] = tokenizer.labels(shown, written)
        else:
            texts.append(tokenizer.decode(ids))
            labels[side] = tokenizer.labels(shown)
    sites = []
    for name, weights_LHTS in weights.items():
        site = task.sites[name]
        T, S = weights_LHTS.shape[2:]
        queries, keys = _fitting(labels[site.queries], T), _fitting(labels[site.keys], S)
        gold = (probe.sure_TS, probe.possible_TS) if (site.queries, site.keys) == ("target", "source") else (None, None)
        wave = probe.wave if site.keys == "source" else None
        found: dict[str, Any] = {"title": site.title, "wave": wave}
        found["scores_LH"] = by_heads(scores.get(name, []), weights_LHTS.shape[1])
        if (site.queries, site.keys) == ("target", "source"):
            found["written"] = _fitting(task.tokenizer.labels(probe.target_ids[1:]), T)
        sites.append(SiteMap(name, queries, keys, weights_LHTS.numpy(), *gold, **found))
    return ProbeMaps(number, " → ".join(texts), tuple(sites), probe.image, probe.patch)


Watched = tuple[Attention, list[Tensor]]  # with the largest score of each head in each call of its normalizer


@contextmanager
def largest_scores(task: Any) -> Iterator[dict[str, list[Watched]]]:
    """Watch what enters the normalizers meanwhile: by site, for each layer, the largest score of each head.

    Nothing is watched in a module without ``attentions``, or whose model calls its sites by names of its own.
    """
    try:
        attentions: dict[str, list[Attention]] = task.attentions
    except (AttributeError, Refused):
        attentions = {}
    watched: dict[str, list[Watched]] = {name: [(one, []) for one in own] for name, own in attentions.items()}

    def watch(found: list[Tensor]) -> Any:
        def note(_: Any, arguments: tuple[Any, ...]) -> None:
            scores_BHTS, may_attend = arguments
            seen_BHTS = scores_BHTS if may_attend is None else scores_BHTS.masked_fill(~may_attend, -math.inf)
            found.append(seen_BHTS.float().amax((0, 2, 3)))

        return note

    hooks = [one.normalizer.register_forward_pre_hook(watch(found)) for own in watched.values() for one, found in own]
    try:
        yield watched
    finally:
        for hook in hooks:
            hook.remove()


def by_heads(watched: Sequence[Watched], heads: int) -> np.ndarray | None:
    """Return the largest scores of all layers, (L, ``heads``) as by_layer pads them; None where none was seen."""
    if not watched or not all(found for _, found in watched):
        return None
    largest_LH = np.full((len(watched), heads), np.nan, dtype=np.float32)
    for layer, (one, found) in enumerate(watched):
        # A call is all heads, or one after the other where they are stacked; a differential head has scores of two halves.
        largest_H = torch.cat(found).view(-1, one.score.heads).amax(0).view(one.heads, -1).amax(1)
        largest_LH[layer, : one.heads] = largest_H.cpu().numpy()
    return largest_LH


def _fitting(labels: Sequence[str], size: int) -> tuple[str, ...]:
    """Return the tokens where their number fits, else positions from 1."""
    return tuple(labels if len(labels) == size else map(str, range(1, size + 1)))


_MEMORY = 64 * 2**20  # bytes of maps that a callback holds; those of further steps are read from their files at the end


class AttentionMaps(Callback):
    """Keeps the attention maps of the same sentences before training and at each of its validations, as files and pictures.

    Each step becomes ``maps/step-*.npz`` in the run's ``folder``. The first ``images`` of the sentences are also drawn, into
    PNG files beside it and for each of the trainer's loggers that has ``log_image``. After the test ``maps/index.html`` shows
    all steps; ``page`` is its text. Without ``probes``, the sentences, or in a model without attention, nothing is written.
    """

    def __init__(self, probes: Sequence[Probe], folder: Path, images: int) -> None:
        self.probes, self.images = list(probes), images
        self.page: str | None = None
        self._folder = Path(folder)
        self._held: dict[int, list[ProbeMaps]] = {}
        self._room = _MEMORY

    @property
    def maps(self) -> list[tuple[int, list[ProbeMaps]]]:
        """The maps of all steps in order; of files only those are read that were written before the run was resumed."""
        steps = {int(file.stem.removeprefix("step-")): file for file in (self._folder / "maps").glob("step-*.npz")}
        return [(step, self._held[step] if step in self._held else load_maps(steps[step])[1]) for step in sorted(steps)]

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
        maps = [probe_maps(task, number, probe) for number, probe in enumerate(self.probes)]
        if not any(one.sites for one in maps):
            return
        folder = self._folder / "maps"
        folder.mkdir(exist_ok=True)
        save_maps(folder / f"step-{step:07d}.npz", step, maps)
        held = [_rounded(one) for one in maps]
        self._room -= sum(site.weights_LHTS.nbytes for one in held for site in one.sites)
        if self._room > 0:
            self._held[step] = held
        for one in maps[: self.images]:
            for site in one.sites:
                png = heatmap_png(site, f"{self._label(task)}, {site.title}, step {step}", one)
                write_bytes(folder / f"step-{step:07d}-probe{one.probe}-{site.site}.png", png)
                for logger in [one for one in loggers if hasattr(one, "log_image")]:
                    picture = Image.open(io.BytesIO(png), formats=["PNG"])
                    logger.log_image(f"maps/{site.site}/probe{one.probe}", [picture], step=step)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the interactive page of all steps."""
        if trainer.is_global_zero and (maps := self.maps):
            self.page = maps_page(self._folder.name, [MapSeries(self._label(pl_module), maps)])
            write_text(self._folder / "maps" / "index.html", self.page)

    def _label(self, task: LightningModule) -> str:
        """Return what the attention variant is called, or that of the run for a module without a config of ours."""
        config: Any = getattr(task, "config", None)
        return variant_label(config.attention) if hasattr(config, "attention") else self._folder.name


def _rounded(one: ProbeMaps) -> ProbeMaps:
    """Return the maps with the precision of their files, so that a page shows what is read from there."""

    def of_site(site: SiteMap) -> SiteMap:
        scores_LH = None if site.scores_LH is None else site.scores_LH.astype(np.float16)
        return replace(site, weights_LHTS=site.weights_LHTS.astype(np.float16), scores_LH=scores_LH)

    return replace(one, sites=tuple(map(of_site, one.sites)))
