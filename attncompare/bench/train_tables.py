"""Training steps in turns: the framework, its task in a plain loop, and what people would train with instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import nn

from attncompare.bench.apart import Apart
from attncompare.bench.contender import Contender
from attncompare.bench.options import Length
from attncompare.bench.peers.sizes import Sizes, require_equal_size
from attncompare.bench.plain_loops import device_of, multiply, train_by_command, train_peer, train_task
from attncompare.bench.report import Column, Line, Picture, Row, Table, Value
from attncompare.bench.rounds import Measured, Timed, measure
from attncompare.bench.spread import Spread, spread
from attncompare.config import RunConfig
from attncompare.data.batches import PairBatch
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import PAD
from attncompare.model.cost import Lengths, parameter_count, train_flops_per_token
from attncompare.tasks import build_task

OURS = "attncompare train"
PLAIN = "its task in a plain loop"
_PEAK = 2048  # rows and columns of the products that the peak is measured with
_TIMES = 8  # of them make a turn: the first finds threads asleep and caches cold


@dataclass(frozen=True)
class Peer:
    """What is trained beside ours: its model, and ``trainer.precision`` as for ours."""

    model: Callable[[Sizes], nn.Module]
    precision: str = "32-true"


@dataclass(frozen=True)
class Training:
    """One table.

    Attributes:
        title: of the table.
        ours: the configs to train by ``attncompare train``, by the name of their row; the first is what others are held to.
        peers: who else trains, by name.
        steps: of one turn.
        rounds: how often everybody has a turn.
        peak: whether to measure which share of the machine's matrix products that is.
        notes: sentences below the table.
    """

    title: str
    ours: dict[str, RunConfig]
    peers: dict[str, Peer]
    steps: int
    rounds: int
    peak: bool = False
    notes: tuple[str, ...] = ()


def training_table(training: Training) -> Table:
    """Let everybody train in turns, and return who was how fast."""
    config = next(iter(training.ours.values()))
    data = DataModule(config)
    data.prepare()
    model = build_task(config, data.tokenizer, data.source_tokenizer).model
    sizes = Sizes.of(config, data.tokenizer.vocab_size)
    counts: dict[str, int] = dict.fromkeys((*training.ours, PLAIN), parameter_count(model))
    started: list[Apart] = []

    def contender(name: str, begin: Callable[[], Apart]) -> Contender:
        def prepare() -> Callable[[], None]:
            started.append(begin())
            return started[-1].turn

        return Contender(name, prepare)

    def peer(name: str, chosen: Peer) -> Apart:
        other = chosen.model(sizes)
        require_equal_size(model, {name: other})
        counts[name] = parameter_count(other)
        trainer = config.trainer.model_copy(update={"precision": chosen.precision})
        its_config = config.model_copy(update={"trainer": trainer})
        return Apart(train_peer, its_config, chosen.model, training.steps)

    contenders = [
        *(contender(name, partial(Apart, train_by_command, one)) for name, one in training.ours.items()),
        contender(PLAIN, lambda: Apart(train_task, config, training.steps)),
        *(contender(name, partial(peer, name, chosen)) for name, chosen in training.peers.items()),
    ]
    if training.peak:
        where = str(device_of(config))
        contenders += [contender(_peak_name(t), partial(Apart, multiply, _PEAK, _TIMES, t, where)) for t in _PEAKS]
    try:
        found = measure(contenders, Length(training.rounds, 0.0, 0.0))
    finally:
        for one in started:
            one.leave()
    return _table(training, found, counts, _Work.of(data, training, model, config))


_PEAKS = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class _Work:
    """What is done in each round: target tokens, and for one of them floating-point operations."""

    tokens: list[int]
    flops_per_token: float

    @classmethod
    def of(cls, data: DataModule, training: Training, model: Any, config: RunConfig) -> "_Work":
        batches = islice(data.train_dataloader(), (training.rounds + 2) * training.steps)
        tokens = [_targets(batch) for batch in batches]
        turns = [sum(tokens[start : start + training.steps]) for start in range(0, len(tokens), training.steps)]
        flops = train_flops_per_token(model, Lengths(0, config.task.max_length)) if training.peak else 0.0
        return cls(turns[2:], flops)  # the first two are no rounds

    def rate(self, timed: Timed) -> list[float]:
        return [tokens / seconds for tokens, seconds in zip(self.tokens, timed.seconds, strict=True)]


def _targets(batch: Any) -> int:
    """Return how many tokens of ``batch`` are predicted."""
    if isinstance(batch, PairBatch):
        return int((batch.target_BT[:, 1:] != PAD).sum())
    return int(batch.scored_BT.sum())


def _peak_name(dtype: torch.dtype) -> str:
    return f"matrix products in {str(dtype).removeprefix('torch.')}"


def _table(training: Training, found: Measured, counts: dict[str, int], work: _Work) -> Table:
    ours = next(iter(training.ours))
    names = [*training.ours, PLAIN, *training.peers]
    base = found.timed[ours]
    shares = [
        (_peak_name(dtype), f"of the {str(dtype).removeprefix('torch.')} peak") for dtype in _PEAKS * training.peak
    ]
    columns = [
        Column("parameters", "parameters", "number"),
        Column("step", "step", "seconds"),
        Column("rate", "target tokens", "rate"),
        Column("lead", f"{ours} is faster", "ratio"),
        *(Column(peak, title, "share") for peak, title in shares),
    ]

    def values(name: str, timed: Timed) -> dict[str, Value]:
        rate = work.rate(timed)
        figures: dict[str, Value] = {
            "parameters": counts[name],
            "step": spread([seconds / training.steps for seconds in timed.seconds]),
            "rate": spread(rate),
            "lead": base.faster_than(timed),
        }
        return figures | {peak: _share(rate, work.flops_per_token, found.timed[peak]) for peak, _ in shares}

    rows = tuple(
        Row((name,), values(name, found.timed[name]) if name in found.timed else {}, found.left_out.get(name, ""))
        for name in names
    )
    measured = [row for row in rows if row.values]
    heights = tuple(row.values["rate"] for row in measured)
    picture = Picture(
        training.title, "", "target tokens/s", tuple(row.label[0] for row in measured), (Line("", heights),)
    )
    peaks = [
        f"{peak}: {_PEAK}**3 each, {_TIMES * 2 * _PEAK**3 / found.timed[peak].spread.median / 1e9:,.0f} GFLOP/s."
        for peak, _ in shares
    ]
    return Table(training.title, ("training",), tuple(columns), rows, (*training.notes, *peaks), (picture,))


def _share(rate: Sequence[float], flops_per_token: float, peak: Timed) -> Spread:
    """Return the model's operations a second over those of matrix products in the same rounds."""
    flops = [_TIMES * 2 * _PEAK**3 / seconds for seconds in peak.seconds]
    return spread([one * flops_per_token / other for one, other in zip(rate, flops, strict=True)])
