"""What the framework adds to a training step: trainer, record, W&B, maps."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from attncompare.bench.apart import Apart
from attncompare.bench.contender import Contender
from attncompare.bench.options import Length, Options
from attncompare.bench.plain_loops import train_by_command, train_task
from attncompare.bench.report import Column, Row, Table, Value
from attncompare.bench.rounds import Timed, measure
from attncompare.bench.spread import spread
from attncompare.bench.trainings import TINY, default_schedule, in_turns, language_model
from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.errors import RunFailed
from attncompare.tasks import build_task
from attncompare.maps.map_files import keep_maps
from attncompare.record import LAST_WEIGHTS
from attncompare.record import RecordLogger
from attncompare.wandb_logging.wandb_view import WandbView

_PLAIN, _AGAIN = "the plain loop", "the plain loop, once more"
_MODES = ("disabled", "offline")
_SCALARS = 10


def overhead_tables(options: Options, folder: Path) -> Sequence[Table]:
    """Return what a step takes in the framework beyond the plain loop, and what maps and rows cost.

    Raises:
        RunFailed: if both do not end with the same bits.
    """
    steps, rounds = (2, options.rounds or 2) if options.quick else (20, options.rounds or 30)
    sizes = TINY if options.quick else ()
    config = language_model(folder, options.device, (*in_turns(rounds, steps), *sizes))
    data = DataModule(config)
    data.prepare()
    loops = dict.fromkeys((_PLAIN, _AGAIN), (train_task, config, steps))
    runs = {_run_name(mode): (train_by_command, _tracked(config, mode)) for mode in _MODES}
    apart: dict[str, Apart] = {}

    def begin(name: str, orders: Sequence[Any]) -> Callable[[], None]:
        apart[name] = Apart(*orders)
        return apart[name].turn

    try:
        found = measure(
            [Contender(name, partial(begin, name, orders)) for name, orders in (loops | runs).items()],
            Length(rounds, 0.0, 0.0),
        )
        weights = apart[_PLAIN].finish()
        for name in runs:
            _require_same_bits(apart[name].finish(), weights)
    finally:
        for one in apart.values():
            one.leave()
    base = found.timed[_PLAIN]
    rows = tuple(Row((name,), _beyond(timed, base, steps)) for name, timed in found.timed.items())
    columns = (Column("step", "step", "seconds"), Column("overhead", "beyond the plain loop", "seconds"))
    notes = (
        f"4 layers, 4 heads, width 128, context 64, batch 12, fp32; a row of metrics every {steps} steps; no validation.",
        "Checked in this run: the weights after the last step are bitwise those of the plain loop.",
        "The plain loop runs twice: what the second seems to add is chance.",
    )
    added = Table("Overhead of a step", ("training",), columns, rows, notes)
    return [added, _beside(options, folder, config, data, base.spread.median / steps)]


def _tracked(config: RunConfig, mode: str) -> RunConfig:
    return config.model_copy(update={"tracking": config.tracking.model_copy(update={"wandb": mode})})


def _run_name(mode: str) -> str:
    return f"attncompare train, W&B {mode}"


def _beyond(timed: Timed, base: Timed, steps: int) -> dict[str, Value]:
    seconds = [one / steps for one in timed.seconds]
    beyond = [(one - other) / steps for one, other in zip(timed.seconds, base.seconds, strict=True)]
    return {"step": spread(seconds), **({} if timed is base else {"overhead": spread(beyond)})}


def _require_same_bits(record: Path, weights: dict[str, np.ndarray]) -> None:
    """Fail where the weights of the run after its last step are not those given."""
    last = load_file(record / LAST_WEIGHTS)
    other = [name for name, values in weights.items() if not np.array_equal(last[name], values)]
    if other:
        raise RunFailed(f"{record.name} ends with other weights than the plain loop: {', '.join(other)}")


def _beside(options: Options, folder: Path, config: RunConfig, data: DataModule, step_seconds: float) -> Table:
    """Return what maps cost at the default schedule, and what a row of scalars does."""
    task: Any = build_task(config, data.tokenizer, data.source_tokenizer)
    probes, images = data.probes(config.tracking.probes), config.tracking.images
    every = default_schedule(folder)
    places = [folder / name for name in ("maps", *_MODES)]
    for place in places:
        place.mkdir()
    columns = [f"train/{number}" for number in range(_SCALARS)]
    values = {name: 0.1 * number for number, name in enumerate(columns)}
    record = RecordWriter.create(places[1], config, [], columns)
    view = WandbView.start(places[2], _tracked(config, "offline"), None, run_id="benchmark")
    shown = RecordWriter.create(places[2], config, [], columns)

    def both() -> None:
        shown.log(1, 0, values)
        view.log(1, values)

    rows = {"disabled": lambda: record.log(1, 0, values), "offline": both}
    contenders = [
        Contender("maps", lambda: lambda: keep_maps(places[0], task, probes, 1, images)),
        *(Contender(mode, lambda work=work: work) for mode, work in rows.items()),  # type: ignore[misc]
    ]
    length = options.length(rounds=10, seconds=0.0)
    try:
        found = measure(contenders, replace(length, sample_seconds=length.sample_seconds * 4)).timed
    finally:
        view.finish("finished", {})
    share = spread([seconds / (every * step_seconds) for seconds in found["maps"].seconds])
    what = f"maps of {len(probes)} sentences, {images} drawn, every {every} steps"
    lines = [Row((what,), {"once": found["maps"].spread, "share": share})]
    for mode in _MODES:
        shares = spread([seconds / step_seconds for seconds in found[mode].seconds])
        lines.append(Row((f"{_SCALARS} scalars, W&B {mode}",), {"once": found[mode].spread, "share": shares}))
    heads = (Column("once", "each time", "seconds"), Column("share", "of training time", "share"))
    note = "Scalars as if they were logged after each step; by default a run logs every 20 steps."
    return Table("Maps and metrics", ("what",), heads, tuple(lines), (note,))
