"""The numbers of each head over training: on the same sentences for all variants, as curves and as figures to compare.

The sentences do not depend on ``tracking``, which says what is shown and decides no number.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attncompare.data.kinds import Probe
from attncompare.maps.capture import probe_maps
from attncompare.maps.maps import ProbeMaps, head_numbers, head_similarity
from attncompare.tasks.metrics import Metric

SENTENCES = 8
"""On so many sentences of a split the numbers are means: more cost time at each validation, about 3 ms each on a CPU."""


@dataclass(frozen=True)
class Number:
    """What a number of a head is called, how it is written, and which way is better, if any (:class:`Metric`)."""

    title: str
    unit: str = ""
    digits: int = 2
    bounds: tuple[float | None, float | None] = (0.0, None)
    lower_is_better: bool = False


NUMBERS = {
    "entropy": Number("entropy", "nats"),
    "distance": Number("distance", "tokens", 1),
    "largest": Number("largest weight", bounds=(0.0, 1.0)),
    "aer": Number("alignment error", "%", 1, (0.0, 1.0), lower_is_better=True),
    "first": Number("weight of the first token", bounds=(0.0, 1.0)),
    "score": Number("largest score", bounds=(None, None)),
    "similarity": Number("similarity of heads", bounds=(0.0, 1.0)),
}
"""By name; docs/maps.md defines them."""

Head = tuple[str, int, int]  # site, layer, head


class HeadMetric(Metric):
    """The mean of one number over the heads and layers of a site; a callback computes it, and comparisons are asked for it.

    Most of them are neither good nor bad, so that verdicts say which variant has more.
    """

    in_table, tested, judges = False, False, False
    per_token = True
    higher_is_better = True


_NAME = re.compile(rf"([A-Za-z0-9_-]+)_head_({'|'.join(NUMBERS)})")


def head_metrics(names: Iterable[str]) -> dict[str, type[Metric]]:
    """Return those of ``names``, such as ``cross_head_entropy``, that are numbers of heads at a site."""
    return {name: _metric(*found.groups()) for name in names if (found := _NAME.fullmatch(name))}


def site_title(site: str) -> str:
    """Return what a site is called: "encoder self-attention"."""
    return f"{site.replace('_', ' ')}-attention"


def _metric(site: str, number: str) -> type[Metric]:
    one = NUMBERS[number]
    declared = {
        "name": f"{site}_head_{number}",
        "title": f"{one.title} in {site_title(site)}",
        "short": f"{one.title}\n{site}",
        "unit": one.unit,
        "digits": one.digits,
        "bounds": one.bounds,
        "judges": one.lower_is_better,
        "higher_is_better": not one.lower_is_better,
        "__doc__": HeadMetric.__doc__,
    }
    return type("HeadMetric", (HeadMetric,), declared)


def numbers_of_heads(maps: Sequence[ProbeMaps]) -> dict[Head, dict[str, float]]:
    """Return the :data:`NUMBERS` of each head over some sentences: means over those that tell, of scores the largest.

    A number is NaN where no sentence tells, and absent where none could, as the alignment error without gold alignments. A head
    that attends to nothing is left out: where layers have different counts of heads, some lack the last ones.
    """
    seen: dict[Head, dict[str, list[float]]] = {}
    for site in (site for one in maps for site in one.sites):
        alike_LH = head_similarity(site.weights_LHTS)
        for found in head_numbers(site):
            layer, head = found.layer - 1, found.head - 1
            alike = float(alike_LH[layer, head]) if site.heads > 1 else None
            if site.weights_LHTS[layer, head].any():
                own = seen.setdefault((site.site, found.layer, found.head), {name: [] for name in NUMBERS})
                for name, value in {**asdict(found), "similarity": alike}.items():
                    if name in own and value is not None:
                        own[name].append(value)
    return {place: {name: _over(name, values) for name, values in own.items() if values} for place, own in seen.items()}


def means_of_sites(numbers: Mapping[Head, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each number over the heads and layers of each site that have it, by the name of its metric."""
    of_metric: dict[str, list[float]] = {}
    for (site, _, _), values in numbers.items():
        for name, value in values.items():
            of_metric.setdefault(f"{site}_head_{name}", []).append(value)
    return {name: mean for name, values in of_metric.items() if not math.isnan(mean := _over("", values))}


def _over(name: str, values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.nan if not known else max(known) if name == "score" else math.fsum(known) / len(known)


class HeadCurves(Callback):
    """Logs the numbers of each head before training and at each validation, and their means over each site with the metrics.

    The first go to the trainer's loggers as ``heads/cross/1.2/entropy`` (site, layer, head, number), the second into the row of
    the validation or test as ``val/cross_head_entropy``. It serves any module that has what
    :func:`attncompare.maps.capture.probe_maps` asks for. Where the model has no attention, nothing is logged.

    Args:
        sentences: those of val, and those of test.
    """

    def __init__(self, **sentences: Sequence[Probe]) -> None:
        self.sentences = sentences

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the numbers of the untrained model."""
        if trainer.global_step == 0 and trainer.is_global_zero:
            _log(trainer, self._numbers(pl_module, "val"))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the numbers, and their means beside the metrics of val."""
        if not trainer.sanity_checking and trainer.is_global_zero:
            numbers = self._numbers(pl_module, "val")
            _log_means(pl_module, "val", numbers)
            if trainer.state.fn == "fit":
                _log(trainer, numbers)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the means beside the metrics of test."""
        if trainer.is_global_zero:
            _log_means(pl_module, "test", self._numbers(pl_module, "test"))

    def _numbers(self, task: LightningModule, split: str) -> dict[Head, dict[str, float]]:
        return numbers_of_heads([probe_maps(task, number, one) for number, one in enumerate(self.sentences[split])])


def _log(trainer: Trainer, numbers: Mapping[Head, Mapping[str, float]]) -> None:
    values = {
        f"heads/{site}/{layer}.{head}/{name}": value
        for (site, layer, head), own in numbers.items()
        for name, value in own.items()
    }
    for logger in trainer.loggers if values else ():
        logger.log_metrics(values, step=trainer.global_step)


def _log_means(task: LightningModule, split: str, numbers: Mapping[Head, Mapping[str, float]]) -> None:
    for name, value in means_of_sites(numbers).items():
        one = torch.tensor(value, dtype=torch.float64)
        task.log(f"{split}/{name}", one, batch_size=1, rank_zero_only=True)
