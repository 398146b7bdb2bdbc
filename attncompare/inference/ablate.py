"""Heads turned off: what each is worth to a finished run, and how many of a site can go (Michel et al. 2019).

A head that is off gives the output projection zero, or the mean of what it gives at all positions of val, instead of what it
would give. That is the same for every variant: nothing of its scores, weights, values or gate is left. What is chosen, the
order in which heads are pruned and the means, comes from val; the figures come from the split that is asked for.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from attncompare.attention import Attention
from attncompare.compare.statistics.family import holm_p
from attncompare.compare.statistics.items import Items, item_test, read_items
from attncompare.data.batches import BatchLoader
from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun
from attncompare.tasks import Task
from attncompare.tasks.metrics import Metric, metrics_of
from attncompare.training import evaluate

Replacement = Literal["zero", "mean"]
Tell = Callable[[str], None]

_STEPS = 10  # of a pruning curve, as Michel et al. prune a tenth of the heads at a time
FORMAT = 1


class Head(NamedTuple):
    """The place of a head; ``layer`` and ``head`` count from 1."""

    site: str
    layer: int
    head: int


@dataclass(frozen=True)
class HeadLoss:
    """What turning one head off does.

    Attributes:
        metrics: all metrics without it; None where one is not finite.
        loss: by how much the leading metric is worse, in its unit; below 0 where it is better.
        interval: of the loss, over test items; None of fewer than 20.
        p: that it does nothing, two-sided, over items; None likewise.
        p_holm: p, corrected for all heads by Holm.
        importance: expected absolute gradient of the loss by the head's mask variable, over rows of val, divided by the l2 norm
            of its layer at its site (Michel et al. 2019, equation 2 and section 4.1).
    """

    site: str
    layer: int
    head: int
    metrics: dict[str, float | None]
    loss: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None
    importance: float


@dataclass(frozen=True)
class Curve:
    """The leading metric of the split, ``values``, after ``pruned`` heads of a site, the first of ``heads``, were turned off.

    ``order`` is ``greedy``, each time those whose loss on val is least beside those that are off already, or ``gradient``, the
    least important first. ``heads`` are (layer, head).
    """

    site: str
    order: Literal["greedy", "gradient"]
    heads: tuple[tuple[int, int], ...]
    pruned: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Ablation:
    """What :func:`ablate` found; ``heads`` begin with the one whose loss is largest.

    ``metrics`` are those of the whole model, ``titles`` what sites are called, ``items`` the test items of the leading metric,
    ``metric``.
    """

    run: str
    checkpoint: str
    split: str
    rows: int
    replacement: Replacement
    metric: str
    items: int
    metrics: dict[str, float | None]
    titles: dict[str, str]
    heads: tuple[HeadLoss, ...]
    curves: tuple[Curve, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Ablation":
        """Return what :meth:`to_dict` wrote."""
        values = {key: value for key, value in values.items() if key != "format"}
        heads = (
            HeadLoss(**{**one, "interval": None if one["interval"] is None else tuple(one["interval"])})
            for one in values["heads"]
        )
        curves = (
            Curve(
                one["site"],
                one["order"],
                tuple((layer, head) for layer, head in one["heads"]),
                tuple(one["pruned"]),
                tuple(one["values"]),
            )
            for one in values["curves"]
        )
        return cls(**{**values, "heads": tuple(heads), "curves": tuple(curves)})


def ablate(
    trained: TrainedRun,
    *,
    replacement: Replacement = "zero",
    split: Literal["val", "test"] = "test",
    sentences: int = 200,
    tell: Tell = lambda _: None,
) -> Ablation:
    """Turn off each head of a run, and more and more heads of each site, on the first ``sentences`` rows of a split.

    Args:
        trained: the run.
        replacement: what a head that is off gives.
        split: ``val`` or ``test``.
        sentences: so many rows of it, and of val for means, gradients and the greedy order; windows of one long text.
        tell: told in words how far it is.

    Raises:
        Refused: if ``sentences`` is not positive, the model has no attention, or the data cannot be had.
    """
    if sentences < 1:
        raise Refused(f"sentences={sentences}: must be a positive integer")
    if not trained.task.sites:
        raise Refused(f"{trained.run.path}: the model has no attention, so no heads")
    study = _Study(trained, replacement, split, sentences)
    tell("gradients on val")
    importance = head_importance(study.task, study.val_rows)
    whole = study.evaluated(())
    tested = []
    for number, head in enumerate(study.heads, 1):
        tell(f"head {number} of {len(study.heads)}")
        tested.append(_tested(head, whole, study.evaluated((head,)), study.leading, importance[head]))
    p_values = [one["p"] for one in tested]
    corrected = holm_p(p_values) if None not in p_values else p_values
    losses = [HeadLoss(**one, p_holm=p) for one, p in zip(tested, corrected, strict=True)]
    curves = [
        study.curve(site, order, importance, tell) for site in study.task.sites for order in ("greedy", "gradient")
    ]
    return Ablation(
        str(trained.run.path),
        trained.weights_file,
        split,
        len(study.data.first_rows(split, sentences)),
        replacement,
        study.leading.name,
        0 if whole.items is None else len(whole.items.ids),
        whole.metrics,
        {name: site.title for name, site in study.task.sites.items()},
        tuple(sorted(losses, key=lambda one: -one.loss)),
        tuple(curves),
    )


class _Rows(DataModule):
    """The data of a run, of which evaluations read the first ``count`` rows of val and test alone."""

    def __init__(self, trained: TrainedRun, count: int) -> None:
        config = trained.run.config
        super().__init__(config, tokenizers=trained.tokenizers)
        self._at_most, self._size = count, max(1, config.data.rows_of(config.task.max_length))

    def val_dataloader(self) -> BatchLoader:
        return self.first_rows("val", self._at_most, self._size)

    def test_dataloader(self) -> BatchLoader:
        return self.first_rows("test", self._at_most, self._size)


class _Evaluated(NamedTuple):
    """Metrics, of which one is the leading one, and its items."""

    metrics: dict[str, float | None]
    value: float
    items: Items | None


class _Study:
    """A run with some heads off, evaluated; what was evaluated once is known."""

    def __init__(self, trained: TrainedRun, replacement: Replacement, split: str, sentences: int) -> None:
        self.task, self.split = trained.task, split
        self.data = _Rows(trained, sentences)
        # One by one: alone a row has no padding, of which means and gradients should know nothing.
        self.val_rows = self.data.first_rows("val", sentences)
        self.leading: type[Metric] = next(iter(metrics_of(trained.run.config).values()))
        self.heads = heads_of(self.task)
        means = mean_contexts(self.task, self.val_rows) if replacement == "mean" else None
        self._fill = {
            name: [torch.zeros(one.heads, one.value_dim) for one in modules] if means is None else means[name]
            for name, modules in self.task.attentions.items()
        }
        self._known: dict[tuple[str, frozenset[Head]], _Evaluated] = {}

    def evaluated(self, off: Sequence[Head], split: str | None = None) -> _Evaluated:
        key = (split or self.split, frozenset(off))
        if key not in self._known:
            with heads_off(self.task, off, self._fill):
                metrics = evaluate(self.task, self.data, key[0])
            items = read_items(self.leading, self.task.item_rows())
            finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
            self._known[key] = _Evaluated(finite, metrics[self.leading.name], items)
        return self._known[key]

    def curve(
        self, site: str, order: Literal["greedy", "gradient"], importance: dict[Head, float], tell: Tell
    ) -> Curve:
        left = [head for head in self.heads if head.site == site]
        step, total = max(1, round(len(left) / _STEPS)), len(left)
        off: list[Head] = []
        pruned, values = [0], [self.evaluated(()).value]
        while left:
            tell(f"{order} pruning, {self.task.sites[site].title}: {len(off)} of {total} heads")
            if order == "gradient":
                left.sort(key=importance.__getitem__)
            elif len(left) > step:
                sign = -1 if self.leading.higher_is_better else 1
                loss = {head: sign * self.evaluated((*off, head), "val").value for head in left}
                left.sort(key=loss.__getitem__)
            off, left = [*off, *left[:step]], left[step:]
            pruned.append(len(off))
            values.append(self.evaluated(off).value)
        return Curve(site, order, tuple((one.layer, one.head) for one in off), tuple(pruned), tuple(values))


def _tested(
    head: Head, whole: _Evaluated, without: _Evaluated, metric: type[Metric], importance: float
) -> dict[str, Any]:
    sign = 1 if metric.higher_is_better else -1
    test = None
    if whole.items is not None and without.items is not None:
        test = item_test({0: whole.items}, {0: without.items})
    low, high = sorted((sign * test.interval.low, sign * test.interval.high)) if test else (0.0, 0.0)
    return {
        **head._asdict(),
        "metrics": without.metrics,
        "loss": sign * (whole.value - without.value),
        "interval": (low, high) if test else None,
        "p": test.p if test else None,
        "importance": importance,
    }


def heads_of(task: Task) -> list[Head]:
    """Return all heads of a model, site by site."""
    return [
        Head(name, layer, head)
        for name, modules in task.attentions.items()
        for layer, module in enumerate(modules, 1)
        for head in range(1, module.heads + 1)
    ]


@contextmanager
def heads_off(task: Task, off: Sequence[Head], fill: dict[str, list[Tensor]]) -> Iterator[None]:
    """Let some heads give what ``fill`` has for them, by site and layer (H, V), to the output projection."""

    def replaced(keep_H1: Tensor, fill_HV: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda mixed_BTHV: torch.where(keep_H1.to(mixed_BTHV.device), mixed_BTHV, fill_HV.to(mixed_BTHV))

    hooks: list[list[Callable[[Tensor], Tensor] | None]] = []
    for name, modules in task.attentions.items():
        hooks.append([])
        for layer, module in enumerate(modules, 1):
            keep_H1 = torch.tensor([[Head(name, layer, head + 1) not in off] for head in range(module.heads)])
            hooks[-1].append(None if keep_H1.all() else replaced(keep_H1, fill[name][layer - 1]))
    with on_heads(task, hooks):
        yield


@contextmanager
def on_heads(task: Task, hooks: Sequence[Sequence[Callable[[Tensor], Tensor] | None]]) -> Iterator[None]:
    """Set :attr:`Attention.on_heads` of all modules, by site and layer, for a while."""
    modules: list[Attention] = [one for modules in task.attentions.values() for one in modules]
    for module, hook in zip(modules, (hook for site in hooks for hook in site), strict=True):
        module.on_heads = hook
    try:
        yield
    finally:
        for module in modules:
            module.on_heads = None


@torch.no_grad()
def mean_contexts(task: Task, rows: Iterable[Any]) -> dict[str, list[Tensor]]:
    """Return the mean (H, V), over all positions of ``rows``, of what heads give to the output projection, by site and layer."""
    sums = {
        name: [torch.zeros(one.heads, one.value_dim, dtype=torch.float64) for one in modules]
        for name, modules in task.attentions.items()
    }
    counts = {name: [0] * len(modules) for name, modules in task.attentions.items()}

    def adding(name: str, place: int) -> Callable[[Tensor], Tensor]:
        def add(mixed_BTHV: Tensor) -> Tensor:
            sums[name][place] += mixed_BTHV.double().sum((0, 1)).cpu()
            counts[name][place] += mixed_BTHV.shape[0] * mixed_BTHV.shape[1]
            return mixed_BTHV

        return add

    with on_heads(task, [[adding(name, place) for place in range(len(of_site))] for name, of_site in sums.items()]):
        for row in rows:
            task.loss(row)
    return {
        name: [(total / max(1, count)).float() for total, count in zip(sums[name], counts[name], strict=True)]
        for name in sums
    }


def head_importance(task: Task, rows: Iterable[Any]) -> dict[Head, float]:
    """Return how sensitive the loss is to each head (Michel et al. 2019, equation 2), over ``rows``, each a batch of its own.

    ``E |d loss / d xi_h|``, where ``xi_h`` multiplies what head h gives; divided by the l2 norm of the heads of a layer at its
    site, as there in section 4.1.
    """
    modules = [one for of_site in task.attentions.values() for one in of_site]
    xi = [torch.ones(one.heads, 1, requires_grad=True) for one in modules]
    sums = [torch.zeros(one.heads, dtype=torch.float64) for one in modules]

    def times(xi_H1: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda mixed_BTHV: mixed_BTHV * xi_H1.to(mixed_BTHV.dtype)

    with on_heads(task, [[times(xi_H1) for xi_H1 in xi]]):
        for row in rows:
            gradients = torch.autograd.grad(task.loss(row), xi, allow_unused=True)
            for place, gradient_H1 in enumerate(gradients):
                if gradient_H1 is not None:  # None where the loss did not come by
                    sums[place] += gradient_H1[:, 0].abs().double()
    scores = [total_H / total_H.norm().clamp(min=1e-30) for total_H in sums]
    return dict(zip(heads_of(task), torch.cat(scores).tolist(), strict=True))
